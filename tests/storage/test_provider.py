"""Runs out of TensorBoard's own data provider: what is read, when, and what stays."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext

from tb_gradclip.core.schema import KINDS, Tag
from tb_gradclip.storage import provider as provider_module
from tb_gradclip.storage.provider import ProviderRuns
from tests.test_recorder import measured, recorder

WANTED = ("run", "steps", "histograms", "alerts")


class Watched(MultiplexerDataProvider):  # type: ignore[misc]  # TensorBoard ships no types
    """TensorBoard's provider, which notes what it is asked for and may be slow about it."""

    def __init__(self, logdir: Path) -> None:
        self.multiplexer = EventMultiplexer(tensor_size_guidance={"gradclip": 0})
        super().__init__(self.multiplexer, str(logdir))
        self.logdir, self.lists, self.seconds = logdir, 0, 0.0
        self.read: list[str] = []
        self.reload()

    def reload(self) -> None:
        self.multiplexer.AddRunsFromDirectory(str(self.logdir))
        self.multiplexer.Reload()

    def list_tensors(self, *args: Any, **options: Any) -> Any:
        self.lists += 1
        time.sleep(self.seconds)
        return super().list_tensors(*args, **options)

    def read_tensors(self, *args: Any, **options: Any) -> Any:
        self.read += sorted(options["run_tag_filter"].tags)
        return super().read_tensors(*args, **options)


@pytest.fixture(autouse=True)
def _always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_module, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(provider_module, "REST", 0)
    monkeypatch.setattr(provider_module, "RETRY_SECONDS", 0.0)


def write(logdir: Path, steps: int, first: int = 0) -> None:
    book = recorder(logdir)
    for start in range(first, first + steps, 10):
        book.add_steps(measured(start, [2.0] * 10))
        book.flush()
    book.close()


def ask(source: ProviderRuns) -> Any:
    return source.runs(RequestContext(), "")


def test_only_wanted_kinds_are_read_and_only_once(tmp_path: Path) -> None:
    write(tmp_path / "run", 100)
    provider = Watched(tmp_path)
    source = ProviderRuns(provider, WANTED)
    recorded = ask(source)["run"]
    kinds = {tag.kind for tag in map(Tag.parse, provider.read) if tag}
    assert {"run", "steps"} <= kinds <= set(WANTED) < set(KINDS)
    assert (len(recorded.run.steps), recorded.run.windows) == (100, [])
    provider.read.clear()
    assert ask(source)["run"].run is recorded.run
    assert provider.read == []


def test_a_reload_reads_what_is_new_and_keeps_the_lines(tmp_path: Path) -> None:
    book = recorder(tmp_path / "run")
    for first in range(0, 400, 10):
        book.add_steps(measured(first, [2.0] * 10))
        book.flush()
    provider = Watched(tmp_path)
    source = ProviderRuns(provider, WANTED)
    before = ask(source)["run"]
    provider.read.clear()
    book.add_steps(measured(400, [2.0] * 10))
    book.flush()
    provider.reload()
    after = ask(source)["run"]
    book.close()
    assert len(provider.read) == 1
    assert (len(before.run.steps), len(after.run.steps)) == (400, 410)
    assert after.lines is before.lines
    assert after.lines.totals(after.run.steps).rows == 410


def test_a_resumed_run_that_takes_back_steps_gets_new_lines(tmp_path: Path) -> None:
    write(tmp_path / "run", 100)
    provider = Watched(tmp_path)
    source = ProviderRuns(provider, WANTED)
    before = ask(source)["run"]
    time.sleep(0.01)  # attempts are told apart by the millisecond they start in
    write(tmp_path / "run", 30, first=50)
    provider.reload()
    after = ask(source)["run"]
    assert after.run.steps["step"].tolist() == list(range(80))
    assert after.lines is not before.lines
    assert len(before.run.steps) == 100


def test_runs_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, 10)
    provider = Watched(tmp_path)
    source = ProviderRuns(provider, WANTED)
    assert list(ask(source)) == ["a", "b"]
    (file,) = (tmp_path / "a").iterdir()
    file.unlink()
    (tmp_path / "a").rmdir()
    provider.reload()
    assert list(ask(source)) == ["b"]


def test_a_reading_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "run", 10)
    source = ProviderRuns(Watched(tmp_path), WANTED)
    with monkeypatch.context() as broken:
        broken.setattr(MultiplexerDataProvider, "read_tensors", None)
        assert ask(source) == {}
        assert "TensorBoard cannot read it, TypeError" in source.problems["run"][0]
    assert len(ask(source)["run"].run.steps) == 10
    assert source.problems == {}


def test_problems_may_be_asked_for_while_runs_come_and_go(tmp_path: Path) -> None:
    names = [f"run{i}" for i in range(8)]
    for name in names:
        write(tmp_path / name, 10)
    provider = Watched(tmp_path)
    whole = provider.list_tensors(RequestContext(), experiment_id="", plugin_name="gradclip")
    shown = iter([{name: whole[name] for name in names[: 1 + turn % 8]} for turn in range(300)])
    provider.list_tensors = lambda *_, **__: next(shown)  # type: ignore[method-assign]
    source, done = ProviderRuns(provider, WANTED), threading.Event()

    def refresh() -> None:
        for _ in range(300):
            ask(source)
        done.set()

    thread = threading.Thread(target=refresh)
    thread.start()
    while not done.is_set():
        assert source.problems == {}
    thread.join()


def test_a_slow_listing_rests_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_module, "REST", 1e6)
    write(tmp_path / "run", 10)
    provider = Watched(tmp_path)
    source = ProviderRuns(provider, WANTED)
    for _ in range(5):
        ask(source)
    assert provider.lists == 1


def test_who_comes_while_another_refreshes_is_answered_from_what_was_known(tmp_path: Path) -> None:
    write(tmp_path / "run", 10)
    provider = Watched(tmp_path)
    source = ProviderRuns(provider, WANTED)
    provider.seconds = 0.2
    answers: list[Any] = []
    first = [threading.Thread(target=lambda: answers.append(ask(source))) for _ in range(3)]
    for thread in first:
        thread.start()
    for thread in first:
        thread.join()
    assert [len(answer["run"].run.steps) for answer in answers] == [10, 10, 10]
    provider.seconds = 30.0
    slow = threading.Thread(target=lambda: ask(source), daemon=True)
    lists = provider.lists
    slow.start()
    while provider.lists == lists:
        time.sleep(0.01)
    assert ask(source)["run"].run is answers[0]["run"].run
    assert slow.is_alive()


def test_many_tags_are_read_in_few_calls(tmp_path: Path) -> None:
    for i in range(40):
        write(tmp_path / f"run{i:02}", 100)
    provider = Watched(tmp_path)
    recorded = ask(ProviderRuns(provider, WANTED))
    assert [len(each.run.steps) for each in recorded.values()] == [100] * 40
    assert all(np.array_equal(each.run.steps["step"], np.arange(100)) for each in recorded.values())
