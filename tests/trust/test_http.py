"""What may be asked for and what goes out: in TensorBoard as a user starts it, and in the plugin alone."""

from __future__ import annotations

import contextlib
import http.client
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import Rule
from tb_gradclip.plugin import answers
from tb_gradclip.plugin.routes import BUNDLE, GradClipPlugin
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import EventFile
from tests.logs import START, write_runs
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


def test_a_browser_that_has_an_answer_is_told_so_and_one_that_takes_no_gzip_gets_none(address: str) -> None:
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
        assert asked(address, route(path), If_None_Match='"another"')[0] == 200


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


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("run=clipped&run=clipped&column=loss", "`run` must have each value once, got 'clipped' again: leave it out"),
        ("run=clipped&column=loss&column=loss", "`column` must have each value once, got 'loss' again: leave it out"),
        ("&".join(f"run={i}" for i in range(101)) + "&column=loss", "`run` must come 1 to 100 times, got 101"),
    ],
)
def test_nobody_gets_more_by_asking_twice(client: Client, query: str, message: str) -> None:
    for path in ("/series", "/csv"):
        answer = client.get(f"{path}?{query}")
        assert (answer.status_code, answer.text) == (400, f"Invalid argument: {message}")


def test_an_answer_has_so_many_points_and_no_more(client: Client) -> None:
    runs = "&".join(f"run={i}" for i in range(100))
    columns = "&".join(f"column={column}" for column in ("loss", "norm_before", "norm_after"))
    answer = client.get(f"/series?{runs}&{columns}&points=10000")
    assert answer.status_code == 400
    assert answer.text == (
        "Invalid argument: an answer has at most 2,000,000 points, got 100 runs x 3 columns x 10,000 points: "
        "ask for fewer runs, columns or `points`"
    )
    assert client.get(f"/series?{runs}&{columns}&points=6000").status_code == 404  # no such runs


def large_model(logdir: Path, parameters: int, steps: int = 32) -> None:
    book = Recorder(
        EventFile(logdir),
        framework="torch",
        library="torch 2",
        parameters=[Parameter(f"module.layer{i:06}.weight", (4,)) for i in range(parameters)],
    )
    norms = np.ones((steps, parameters), np.float32)
    joint = np.sqrt(np.full(steps, parameters, float))
    axis = np.arange(steps)
    rule, limits = Rule("global_norm", 1.0), np.ones(steps)
    book.add_steps(Measurements(rule, axis, START + axis, np.full(steps, 2.0), limits, joint, norms, None))
    book._write_alerts([Alert(i, "spike", "warning", "high", wall_time=START) for i in range(steps)], steps, START)
    book.close()


def test_a_model_of_a_hundred_thousand_tensors_is_shown_within_bounds(tmp_path: Path) -> None:
    large_model(tmp_path / "run", 100_000)
    client = serve(tmp_path)
    answer = client.get("/runs")
    (run,) = answer.json["runs"]
    assert len(run["parameters"]) == answers.MOST_NAMES
    assert run["parameters_left_out"] == 100_000 - answers.MOST_NAMES
    assert len(answer.data) < 1 << 20
    assert len(client.get("/parameters?run=run").data) < 16 << 20
    unknown = client.get("/histogram?run=run&step=0&parameter=x")
    assert (unknown.status_code, len(unknown.text) < 1000) == (404, True)


def test_where_there_are_many_runs_each_has_fewer_names_and_alerts_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_ALERTS_IN_ALL", 40)
    monkeypatch.setattr(answers, "FEWEST_ALERTS", 5)
    monkeypatch.setattr(answers, "MOST_NAMES_IN_ALL", 400)
    monkeypatch.setattr(answers, "FEWEST_NAMES", 10)
    for i in range(4):
        large_model(tmp_path / f"run{i}", 300)
    runs = serve(tmp_path).get("/runs").json["runs"]
    assert [len(run["parameters"]) for run in runs] == [100] * 4
    assert [run["parameters_left_out"] for run in runs] == [200] * 4
    newest = [alert["step"] for alert in runs[0]["alerts"] if alert["kind"] == "spike"]
    assert newest == sorted(newest)
    assert newest[-1] == 31
    assert len(newest) <= 10
    monkeypatch.setattr(answers, "MOST_NAMES_IN_ALL", 8)
    assert [len(run["parameters"]) for run in serve(tmp_path).get("/runs").json["runs"]] == [10] * 4


def test_errors_of_ours_say_nothing_of_this_machine(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "series_body", lambda lines: 1 / 0)
    answer = client.get("/series?run=clipped&column=loss&points=77")
    assert (answer.status_code, answer.mimetype) == (500, "text/plain")
    assert answer.text == "gradclip failed to answer; TensorBoard's log says why"


def test_long_texts_in_a_log_are_cut_in_the_list_of_runs(tmp_path: Path) -> None:
    book = Recorder(EventFile(tmp_path / "run"), framework="a", library="a", parameters=[Parameter("a", (2,))])
    one = np.ones(1)
    book.add_steps(Measurements(Rule("none"), np.arange(1), one, one, one * np.nan, one, np.ones((1, 1)), None))
    departures = tuple((f"p{i}", i) for i in range(1000))
    findings = [Alert(0, "lint", "info", "m" * 10**4, finding=f"f{i}", remedy="r" * 10**4) for i in range(1100)]
    book._write_alerts([*findings, Alert(1, "spike", "error", "m" * 10**5, departures=departures)], 0, 1.0)
    book.close()
    answer = serve(tmp_path).get("/runs")
    alerts = answer.json["runs"][0]["alerts"]
    assert max(len(alert["message"]) for alert in alerts) == answers.MOST_TEXT + 1
    assert max(len(alert["departures"]) for alert in alerts) == answers.MOST_DEPARTURES
    assert len([alert for alert in alerts if alert["kind"] == "lint"]) <= answers.MOST_ALERTS + answers.MOST_FINDINGS
    assert len(answer.data) < 5 << 20  # of 23 MB
