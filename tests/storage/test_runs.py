"""Runs of a directory are read when they are asked for, and only those."""

from __future__ import annotations

from pathlib import Path

import pytest

import tb_gradclip
from tb_gradclip.core.rows import STEP_DTYPE
from tb_gradclip.storage import runs as module
from tb_gradclip.storage.problems import Problems
from tests.logs import Rule, write_run
from tests.scalars import write_scalars


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    for name in ("b", "a", "deep/c"):
        write_run(tmp_path / name, 300, Rule("none"))
    write_scalars(tmp_path / "scalars", {"loss": [(0, 1.0)]})
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Directories whose event files were read whole."""
    seen: list[str] = []
    original = module.read_shards

    def read_shards(files: list[Path], problems: Problems) -> object:
        seen.append(files[0].parent.name)
        return original(files, problems)

    monkeypatch.setattr(module, "read_shards", read_shards)
    return seen


def test_names_are_known_without_reading_a_run(logdir: Path, read_files: list[str]) -> None:
    runs = tb_gradclip.read(logdir)
    assert list(runs) == ["a", "b", "deep/c"]
    assert len(runs) == 3
    assert "scalars" not in runs
    assert "nowhere" not in runs
    assert repr(runs) == "<runs: 'a', 'b', 'deep/c'>"
    assert read_files == []


def test_a_run_is_read_when_asked_for_and_once(logdir: Path, read_files: list[str]) -> None:
    runs = tb_gradclip.read(logdir)
    run = runs["deep/c"]
    assert run is runs["deep/c"]
    assert (run.name, len(run.steps)) == ("deep/c", 300)
    assert read_files == ["c"]
    assert [each.name for each in runs.values()] == ["a", "b", "deep/c"]
    assert read_files == ["c", "a", "b"]


def test_to_find_one_no_file_of_another_is_opened(logdir: Path) -> None:
    runs = tb_gradclip.read(logdir)
    for path in (*(logdir / "a").iterdir(), *(logdir / "scalars").iterdir()):
        path.unlink()
    assert "b" in runs
    assert runs["b"].name == "b"


@pytest.mark.parametrize("name", ["scalars", "empty", "nowhere"])
def test_what_is_no_run_is_a_missing_key(logdir: Path, name: str) -> None:
    runs = tb_gradclip.read(logdir)
    with pytest.raises(KeyError, match=name):
        runs[name]
    assert runs.get(name) is None


def test_the_documentation_names_every_column_and_everything_that_a_run_has() -> None:
    words = str(tb_gradclip.read.__doc__)
    for name in STEP_DTYPE.names or ():
        assert f"`{name}`" in words, name
        assert STEP_DTYPE[name].name in words
    for name in ("steps", "parameters", "histograms", "alerts", "rule", "clip_rate()", "what_if()", "to_pandas()"):
        assert f"`{name}`" in words, name


def test_a_run_before_its_first_step_is_none_yet(tmp_path: Path) -> None:
    from tests.logs import GrowingRun

    growing = GrowingRun(tmp_path / "run")
    growing.recorder.flush()
    assert list(tb_gradclip.read(tmp_path)) == []
    growing.grow(100)
    assert list(tb_gradclip.read(tmp_path)) == ["run"]
    growing.recorder.close()
