"""What may be asked for and what goes out: in TensorBoard as a user starts it, and in the plugin alone."""

from __future__ import annotations

import contextlib
import http.client
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

from tb_gradclip.plugin import answers
from tb_gradclip.plugin.routes import BUNDLE, GradClipPlugin
from tests.logs import write_runs
from tests.plugin.server import serve
from tests.tensorboard import tensorboard, wait_for_steps

ROUTES = list(GradClipPlugin(TBContext()).get_plugin_apps())
ANSWERED = {
    "/index.js": "",
    "/runs": "",
    "/series": "run=clipped&column=loss",
    "/csv": "run=clipped&column=loss",
    "/histogram": "run=clipped&step=0",
    "/histograms": "run=clipped",
    "/what_if": "run=clipped",
    "/parameters": "run=clipped",
    "/flight": "run=broken&step=3000",
}
PARAMETERS = ("run", "column", "parameter", "loss", "step", "from", "to", "points", "axis", "window", "steps", "at")
ELSEWHERE = [
    "/etc/passwd",
    "../../../../etc/passwd",
    "file:///etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "clipped/../broken",
]


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("http") / "logs"
    write_runs(path, 3100)
    return path


@pytest.fixture(scope="module")
def address(logdir: Path) -> Iterator[str]:
    with tensorboard(logdir) as address:
        wait_for_steps(address, 3100)
        yield address


@pytest.fixture(scope="module")
def client(logdir: Path) -> Client:
    return serve(logdir)


def asked(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, of a path that goes over the wire as it stands."""
    parts = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=60)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    found = response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    connection.close()
    return found


def route(path: str, query: str = "") -> str:
    return f"/data/plugin/gradclip{path}" + (f"?{query}" if query else "")


@pytest.mark.parametrize("path", ROUTES)
def test_only_get_and_head_are_answered_and_no_other_site_is_told_that_it_may_read(address: str, path: str) -> None:
    query = ANSWERED[path]
    other = {"Origin": "https://evil.example", "Access_Control_Request_Method": "GET"}
    status, headers, body = asked(address, route(path, query), **other)
    assert (status, len(body) > 0) == (200, True)
    head = asked(address, route(path, query), "HEAD", **other)
    assert (head[0], head[2]) == (200, b"")
    assert head[1]["content-type"] == headers["content-type"]
    told = [headers, head[1]]
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        status, headers, body = asked(address, route(path, query), method, Content_Length="0", **other)
        assert (status, headers["allow"]) == (405, "GET, HEAD")
        assert body.decode() == f"this address answers GET and HEAD only, got {method}"
        told.append(headers)
    for headers in told:
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-cache, must-revalidate"
        assert headers["content-type"].split(";")[0] not in ("text/html", "image/svg+xml")
        assert not [name for name in headers if name.startswith("access-control")]


def test_the_page_around_us_runs_no_script_but_tensorboards_and_ours(address: str) -> None:
    _, headers, body = asked(address, "/data/plugin_entry.html?name=gradclip")
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert "'unsafe-inline'" not in policy["script-src"]
    assert "http" not in policy["script-src"]
    assert b'import("./index.js")' in body


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "[::1]"])
def test_a_foreign_host_header_is_answered_just_as_tensorboard_answers_it(address: str, host: str) -> None:
    theirs, _, _ = asked(address, "/data/runs", Host=host)
    ours, _, _ = asked(address, route("/runs"), Host=host)
    assert ours == theirs


@pytest.mark.parametrize(
    "path",
    [
        *("/static/index.js", "/../index.js", "/index.js/../routes.py", "/..%2froutes.py", "/%2e%2e/routes.py"),
        *("/index.js/", "/routes.py", "/http_api.md", "//etc/passwd", "/index.js%00.html", "/", ""),
    ],
)
def test_one_file_is_served_and_nothing_beside_it(address: str, path: str) -> None:
    status, _, body = asked(address, route(path))
    if status == 200:
        assert body == BUNDLE.read_bytes()
        assert path == "/index.js/"  # TensorBoard drops the slash
    else:
        assert status == 404


def test_a_browser_that_has_an_answer_is_told_so_and_one_that_takes_no_gzip_gets_none(
    address: str, logdir: Path
) -> None:
    (log,) = logdir.parent.glob("tensorboard-*.log")
    warned = log.read_text().count("security_validator")
    for path in ("/index.js", "/runs"):
        _, headers, plain = asked(address, route(path))
        assert "content-encoding" not in headers
        _, packed, _ = asked(address, route(path), Accept_Encoding="gzip, deflate")
        assert packed["content-encoding"] == "gzip"
        assert int(packed["content-length"]) < len(plain) == int(headers["content-length"])
        assert packed["etag"] == headers["etag"]
        status, again, body = asked(address, route(path), If_None_Match=headers["etag"])
        assert (status, body, again["etag"]) == (304, b"", headers["etag"])
        assert again["x-content-type-options"] == "nosniff"
        assert again["content-type"] == headers["content-type"]
        assert asked(address, route(path), If_None_Match='"another"')[0] == 200
    assert log.read_text().count("security_validator") == warned


class Opened:
    """What this process opens, lists or connects to, while it is watched: an audit hook cannot be taken back."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._watching = False
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._watching and event in ("open", "os.listdir", "os.scandir", "socket.connect", "subprocess.Popen"):
            self.seen.append(f"{event} {arguments[0]}")

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[str]]:
        """A list that grows meanwhile."""
        self.seen.clear()
        self._watching = True
        try:
            yield self.seen
        finally:
            self._watching = False


@pytest.fixture(scope="module")
def opened() -> Opened:
    return Opened()


def ask_for_paths(client: Client, path: str) -> None:
    query = dict(urllib.parse.parse_qsl(ANSWERED[path]))
    assert client.get(path, query_string=query).status_code == 200
    for name in PARAMETERS:
        for value in ELSEWHERE:
            answer = client.get(path, query_string={**query, name: value})
            assert answer.status_code in (200, 400, 404)
            assert b"root:" not in answer.data


@pytest.mark.parametrize("path", ROUTES)
def test_no_parameter_is_a_path(client: Client, path: str, opened: Opened) -> None:
    ask_for_paths(client, path)  # imports modules
    with opened.watched() as seen:
        ask_for_paths(client, path)
        assert set(seen) <= {f"open {BUNDLE}"}
    with opened.watched() as seen:
        Path("/etc/passwd").read_bytes()
        assert seen == ["open /etc/passwd"]


def test_errors_of_ours_say_nothing_of_this_machine(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "series_body", lambda lines: 1 / 0)
    answer = client.get("/series?run=clipped&column=loss&points=77")
    assert (answer.status_code, answer.mimetype) == (500, "text/plain")
    assert answer.text == "gradclip failed to answer; TensorBoard's log says why"
