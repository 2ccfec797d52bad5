"""What TensorBoard failed to read is asked for again, though answers without it are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider

from tb_gradclip.core.rules import Rule
from tb_gradclip.storage import provider
from tests.logs import write_run
from tests.plugin.server import serve
from tests.plugin.wire import decode_windows


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
