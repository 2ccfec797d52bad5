"""Alerts posted to a server on this machine that answers, fails, is busy or hangs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tb_gradclip import Webhook
from tb_gradclip.core.alert import Alert
from tb_gradclip.webhook import MOST_WAITING

ALERT = Alert(9, "divergence", "error", "loss rose from 1 to 9 within 5 steps", "rnn", 1.7e9)


class Server(ThreadingHTTPServer):
    """Answers with the statuses it was given, one after the other, then with the last one; None hangs."""

    daemon_threads = True

    def __init__(self, *statuses: int | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = list(statuses)
        self.bodies: list[Any] = []
        self.headers: list[Any] = []
        self.elsewhere = ""
        self.done = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/secret"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.headers.append(dict(self.headers))
        status = self.server.statuses[0] if len(self.server.statuses) == 1 else self.server.statuses.pop(0)
        if status is None:
            self.server.done.wait(30)
            return
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.server.elsewhere)
        self.end_headers()

    def do_GET(self) -> None:
        self.server.bodies.append("GET")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Any]:
    servers: list[Server] = []

    def start(*statuses: int | None) -> Server:
        servers.append(Server(*statuses))
        return servers[-1]

    yield start
    for server in servers:
        server.done.set()
        server.shutdown()
        server.server_close()


def wait_until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "nothing happened for 20 seconds"
        time.sleep(0.01)


def test_an_alert_arrives_as_json_with_all_its_fields_and_a_line_for_people(serve: Any) -> None:
    server = serve(200)
    hook = Webhook(server.url, headers={"Authorization": "Bearer me"})
    hook(ALERT)
    hook.close()
    assert server.bodies == [{"text": str(ALERT), **vars(ALERT), "departures": []}]
    (headers,) = server.headers
    assert (headers["Content-Type"], headers["Authorization"]) == ("application/json", "Bearer me")


def test_the_body_may_be_made_by_the_user(serve: Any) -> None:
    server = serve(204)
    hook = Webhook(server.url, body=lambda alert: {"content": alert.message})
    hook(ALERT)
    hook.close()
    assert server.bodies == [{"content": ALERT.message}]


def test_a_busy_server_is_asked_again(serve: Any) -> None:
    server = serve(503, 200)
    hook = Webhook(server.url)
    hook(ALERT)
    wait_until(lambda: len(server.bodies) == 2)
    hook.close()
    assert len(server.bodies) == 2


def test_a_server_that_refuses_is_not_asked_again_and_told_of_once_without_the_path(serve: Any) -> None:
    server = serve(404)
    hook = Webhook(server.url)
    with pytest.warns(UserWarning, match="alert of step 9 was not posted to 127.0.0.1: HTTP Error 404") as told:
        hook(ALERT)
        hook(ALERT)
        hook.close()
    assert len(server.bodies) == 2
    assert len(told) == 1
    assert "secret" not in str(told[0].message)


def test_training_does_not_wait_for_a_server_that_hangs(serve: Any) -> None:
    server = serve(None)
    hook = Webhook(server.url, timeout=0.5, retries=0)
    start = time.monotonic()
    for _ in range(50):
        hook(ALERT)
    assert time.monotonic() - start < 0.4
    with pytest.warns(UserWarning, match="not posted to 127.0.0.1: .*timed out"):
        wait_until(lambda: len(server.bodies) > 1)
        hook.close()


def test_what_waits_is_bounded_and_what_is_dropped_is_told(serve: Any) -> None:
    hook = Webhook(serve(None).url, timeout=30)
    with pytest.warns(UserWarning, match=f"{MOST_WAITING} alerts are waiting"):
        for _ in range(MOST_WAITING + 2):
            hook(ALERT)
    hook._timeout = 0.0  # nobody waits for the rest


def test_nobody_listening_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="not posted to 127.0.0.1: .*refused"):
        hook = Webhook("http://127.0.0.1:1/", retries=0)
        hook(ALERT)
        hook.close()


def test_where_warnings_are_errors_a_failure_is_told_on_standard_error_and_the_next_alert_is_posted(
    serve: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(404)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hook = Webhook(server.url)
        for _ in range(MOST_WAITING):
            hook(ALERT)
        hook.close()
    assert len(server.bodies) == MOST_WAITING
    (told,) = capfd.readouterr().err.splitlines()
    assert told.startswith("gradclip: the alert of step 9 was not posted to 127.0.0.1: HTTP Error 404")


def test_an_alert_of_the_last_step_is_posted_before_the_program_ends(serve: Any) -> None:
    server = serve(200)
    program = (
        "from tb_gradclip import Webhook\nfrom tb_gradclip.core.alert import Alert\n"
        f"Webhook({server.url!r})(Alert(3, 'spike', 'warning', 'late'))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert [body["step"] for body in server.bodies] == [3]


FORKING = """
import os, sys
from tb_gradclip import Webhook
from tb_gradclip.core.alert import Alert
hook = Webhook(sys.argv[1], timeout=600)
hook(Alert(3, "spike", "warning", "of the parent"))
hook(Alert(4, "spike", "warning", "of the parent, and waits"))
sys.stdin.readline()
child = os.fork()
if child == 0:
    if sys.argv[2] == "heard":
        hook(Alert(5, "spike", "warning", "of the child"))
    sys.exit()
os.waitpid(child, 0)
os._exit(0)
"""


@pytest.mark.parametrize("heard", ["heard", "unheard"])
def test_a_forked_child_leaves_what_waits_to_its_parent_and_posts_its_own(serve: Any, heard: str) -> None:
    server = serve(None, 200)
    command = [sys.executable, "-c", FORKING, server.url, heard]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        wait_until(lambda: server.bodies)  # the first alert hangs, the second waits
        process.communicate(b"\n", timeout=30)
    finally:
        process.kill()
        process.wait()
    assert [body["step"] for body in server.bodies] == ([3, 5] if heard == "heard" else [3])


def test_where_no_thread_can_start_it_is_told_once_and_tried_again(serve: Any) -> None:
    server = serve(200)
    hook = Webhook(server.url)
    before = threading.stack_size(1 << 47)  # more than there are addresses
    try:
        with pytest.warns(UserWarning, match="alert of step 9 is not posted to 127.0.0.1: can't start new") as told:
            hook(ALERT)
            hook(ALERT)
    finally:
        threading.stack_size(before)
    assert len(told) == 1
    hook(ALERT)
    hook.close()
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_goes_where_a_server_redirects_to(serve: Any, status: int) -> None:
    server, elsewhere = serve(status), serve(200)
    server.elsewhere = elsewhere.url.replace("127.0.0.1", "localhost")
    hook = Webhook(server.url, headers={"Authorization": "Bearer me"})
    with pytest.warns(UserWarning, match=f"HTTP Error {status}: it redirects to 'localhost'; give the address"):
        hook(ALERT)
        hook.close()
    assert len(server.bodies) == 1
    assert elsewhere.bodies == []


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("hooks.example.com/x", {}, "must be an http or https address, got 'hooks"),
        ("file:///etc/passwd", {}, "must be an http or https address"),
        ("http://", {}, "must be an http or https address"),
        ("http://host", {"timeout": 0}, "`timeout` must be above 0"),
        ("http://host", {"retries": -1}, "`retries` 0 or more"),
    ],
)
def test_what_cannot_work_is_refused_at_once(url: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Webhook(url, **options)


def test_a_body_that_fails_is_a_warning_and_the_next_alert_gets_through(serve: Any) -> None:
    server = serve(200)

    def body(alert: Alert) -> object:
        return {"step": alert.step, "of": 1 / (alert.step - 9)}

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        hook = Webhook(server.url, body=body)
        hook(ALERT)
        hook(Alert(10, "spike", "warning", "next"))
        hook.close()
    assert [body["step"] for body in server.bodies] == [10]
    assert "division by zero" in str(told[0].message)
