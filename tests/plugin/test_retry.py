"""What TensorBoard failed to read or list is asked for again, and until then what is known is shown."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tensorboard import errors
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider

from tb_gradclip.core.rules import Rule
from tb_gradclip.storage import provider
from tests.logs import write_run
from tests.plugin.server import serve
from tests.plugin.wire import decode_series, decode_windows
from tests.tensorboard import board, fetch, wait_for_steps
from tests.usage import needs_proc


def test_windows_that_could_not_be_read_are_shown_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(provider, "REST", 0)
    write_run(tmp_path / "run", 3000, Rule("global_norm", 1.0))
    client, read = serve(tmp_path), MultiplexerDataProvider.read_tensors

    def broken(*args: Any, **options: Any) -> Any:
        if any("/parameters/" in tag for tag in options["run_tag_filter"].tags):
            raise ConnectionError("reset by peer")
        return read(*args, **options)

    def windows() -> int:
        return int(decode_windows(client.get("/parameters?run=run").data)["windows"])

    with monkeypatch.context() as patched:
        patched.setattr(MultiplexerDataProvider, "read_tensors", broken)
        assert windows() == 0
        assert "reset by peer" in client.get("/runs").text
    assert windows() == 0  # answers are kept, and a minute has not passed
    monkeypatch.setattr(provider, "RETRY_SECONDS", 0.0)
    assert windows() > 20
    assert "reset by peer" not in client.get("/runs").text


UNLISTED = "what is new since was not read, because TensorBoard could not list it"


def test_runs_that_are_known_are_shown_while_nothing_can_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(provider, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(provider, "REST", 0)
    for name in ("a", "b"):
        write_run(tmp_path / name, 300, Rule("global_norm", 1.0))
    client = serve(tmp_path)
    fails: list[Exception] = []

    def broken(*_: Any, **__: Any) -> Any:
        raise fails[0]

    with monkeypatch.context() as patched:
        patched.setattr(MultiplexerDataProvider, "list_tensors", broken)
        fails[:] = [ConnectionError("reset by peer")]
        assert client.get("/runs").status_code == 500  # nothing is known yet
    good = client.get("/runs").json
    assert good["problems"] == []
    with monkeypatch.context() as patched:
        patched.setattr(MultiplexerDataProvider, "list_tensors", broken)
        for _ in range(3):
            answer = client.get("/runs").json
            assert answer["runs"] == good["runs"]
            sentence = f"{UNLISTED}, ConnectionError: reset by peer"
            assert answer["problems"] == [{"run": name, "problem": sentence} for name in ("a", "b")]
        assert decode_series(client.get("/series?run=a&column=loss").data)[0]["total"] == 300
        fails[:] = [errors.PermissionDeniedError("not yours")]
        assert client.get("/runs").status_code == 403
    assert client.get("/runs").json == good
    assert sum("could not list its records" in record.message for record in caplog.records) == 1


@needs_proc
def test_runs_are_shown_after_the_data_server_died(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    write_run(logs / "run", 300, Rule("global_norm", 1.0))
    with board(logs, "--load_fast=true") as (address, pid):
        wait_for_steps(address, 300, runs=1)
        (server,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(int(server), signal.SIGKILL)
        end, answer = time.monotonic() + 60, {"problems": []}
        while not answer["problems"]:
            assert time.monotonic() < end, "the problem was never told"
            time.sleep(0.3)
            answer = json.loads(fetch(address, "runs"))  # which raises where the status is not 200
        assert [(run["name"], run["steps"]) for run in answer["runs"]] == [("run", 300)]
        (problem,) = answer["problems"]
        assert problem["run"] == "run"
        assert problem["problem"].startswith(UNLISTED)
        assert decode_series(fetch(address, "series?run=run&column=norm_before"))[0]["total"] == 300
