"""A long run, made of records so small that a few thousand steps do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tb_gradclip.storage import provider
from tests.logs import GrowingRun, write_small_records
from tests.storage.reading import STEPS


@pytest.fixture
def small_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written comes in small records, and is seen at once."""
    write_small_records(monkeypatch)
    monkeypatch.setattr(provider, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(provider, "REST", 0)


@pytest.fixture
def run(tmp_path: Path, small_records: None) -> Iterator[GrowingRun]:
    """A run of `STEPS` steps which may grow."""
    run = GrowingRun(tmp_path / "run")
    run.grow(STEPS)
    yield run
    run.recorder.close()
