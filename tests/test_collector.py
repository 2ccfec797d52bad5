"""The thread that records: it comes by itself, survives failures, and knows whose it is."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tb_gradclip
from tb_gradclip.collector import Collector, Stopwatch
from tb_gradclip.core.rows import Measurements
from tests.test_recorder import measured, recorder


def outbox(*batches: int) -> Callable[[], Iterator[Measurements]]:
    """A fetch that has as many steps to give as `batches` say, one batch a call."""
    left, first = list(batches), 0

    def fetch() -> Iterator[Measurements]:
        nonlocal first
        if left:
            size = left.pop(0)
            yield measured(first, [2.0] * size)
            first += size

    return fetch


def steps(logdir: Path) -> int:
    run = tb_gradclip.read(logdir).get(".")
    return 0 if run is None else len(run.steps)


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert happened()


def test_it_records_without_being_asked_and_sooner_when_woken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tb_gradclip.recorder.SECONDS_PER_RECORD", 0.0)
    collector = Collector(recorder(tmp_path), outbox(3, 4))
    wait_for(lambda: steps(tmp_path) == 7)
    collector.close()

    monkeypatch.setattr("tb_gradclip.collector.SECONDS_PER_ROUND", 1000.0)
    collector = Collector(recorder(tmp_path / "woken"), outbox(3, 4))
    for _ in range(2):
        collector.wake()
        time.sleep(0.05)
    wait_for(lambda: steps(tmp_path / "woken") == 7)
    collector.close()


def test_what_a_call_finds_is_recorded_when_it_returns(tmp_path: Path) -> None:
    collector = Collector(recorder(tmp_path), outbox(5, 6, 7))
    for _ in range(3):
        collector.flush()
    assert steps(tmp_path) == 18
    collector.close()
    collector.close()
    collector.flush()
    assert not [thread for thread in threading.enumerate() if thread.name == "gradclip"]


def test_a_failing_fetch_warns_once_and_the_next_one_counts(tmp_path: Path) -> None:
    calls = 0

    def fetch() -> Iterator[Measurements]:
        nonlocal calls
        calls += 1
        if calls in (2, 3):
            raise RuntimeError("the device is gone")
        yield measured(calls, [2.0])

    collector = Collector(recorder(tmp_path), fetch)
    with pytest.warns(UserWarning, match="gradclip missed some steps: .*the device is gone.*not affected") as caught:
        for _ in range(4):
            collector.collect()
    collector.close()
    assert len(caught) == 1
    assert steps(tmp_path) >= 3


def test_a_bug_at_the_start_of_close_is_told_and_the_run_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector(recorder(tmp_path), outbox(5))
    whole, calls = Collector._is_ours, 0

    def fails_once(self: Collector) -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("a bug")
        return whole(self)

    monkeypatch.setattr(Collector, "_is_ours", fails_once)
    with pytest.warns(UserWarning, match="gradclip missed some steps: .*a bug.*not affected"):
        collector.close()
    run = tb_gradclip.read(tmp_path)["."]
    assert len(run.steps) == 5
    assert run.complete


def test_a_forked_child_writes_nothing(tmp_path: Path) -> None:
    collector = Collector(recorder(tmp_path), outbox(5, 6))
    collector.collect()
    child = os.fork()
    if child == 0:
        collector.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    collector.close()
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["step"].tolist() == list(range(11))
    assert run.complete


def test_a_stopwatch_counts_a_block_within_a_block_once() -> None:
    watch = Stopwatch()
    start = time.perf_counter()
    with watch:
        time.sleep(0.02)
        with watch:
            time.sleep(0.02)
    elapsed = time.perf_counter() - start
    assert 0.04 <= watch.seconds <= elapsed
