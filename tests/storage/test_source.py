"""Which source a run has, as it grows: whole, in outline, or whole since its outlines were of no use."""

from __future__ import annotations

import gc
import math
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_gradclip.plugin.answers import run_json
from tb_gradclip.storage import source as source_module
from tests.logs import GrowingRun
from tests.storage.reading import Reader, chart

pytestmark = pytest.mark.usefixtures("small_records")


def test_a_run_that_is_looked_at_grows_and_takes_to_newer_outlines(
    run: GrowingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "MOST_ROWS", 4_096)
    few, all_of_it = Reader(tmp_path), Reader(tmp_path, outlined=False)
    known, lines = few.recorded(), set()
    few.read()
    for _ in range(12):
        run.grow(1_000)
        outlined = few.recorded()
        lines.add(id(outlined.lines))
        assert sum(few.read().values()) < 40
        assert run_json(outlined) == {**run_json(all_of_it.recorded()), "overhead": None}
        assert chart(outlined)[0].total == run.steps
    assert few.is_outlined()
    assert 2 <= len(lines) <= 5
    assert run_json(known)["steps"] <= run.steps  # who still holds it may ask it


def test_a_run_is_read_in_outline_whose_newest_outline_looks_back_into_its_last_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of that record no more is listed than where it begins: before what the outline needs."""
    monkeypatch.setattr("tb_gradclip.recorder.ROWS_PER_RECORD", 2_000)
    run = GrowingRun(tmp_path / "run")
    run.grow(70_000)
    for _ in range(6):  # that many records long, a shard ends with it, or it stands in one of its own
        run.grow(2_000)
        few, whole = Reader(tmp_path), Reader(tmp_path, outlined=False).recorded()
        outlined = few.recorded()
        assert few.is_outlined()
        assert few.read()["steps"] <= 2
        begin = (int(outlined.run.steps["step"][0]), math.inf)
        for mine, theirs in zip(*(chart(each, begin, points=10_000) for each in (outlined, whole)), strict=True):
            for numbers, expected in zip(mine.numbers, theirs.numbers, strict=True):
                np.testing.assert_allclose(numbers, expected, rtol=1e-12, atol=1e-12)
    run.recorder.close()


def test_of_outlines_that_newer_ones_took_the_place_of_nothing_is_held(
    run: GrowingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not when Python looks for cycles: that it does late in a heap as large as TensorBoard's."""
    monkeypatch.setattr(source_module, "MOST_ROWS", 4_096)
    few = Reader(tmp_path)
    recorded = few.recorded()
    chart(recorded, (100, 160), points=10_000)
    recorded.run.histograms.at(7_000)
    list(recorded.details.windows(0, 20_000, len(recorded.run.parameters)))
    held = [weakref.ref(each) for each in (recorded.lines, recorded.details)]
    del recorded
    gc.collect()
    assert [each() is None for each in held] == [False, False]
    gc.disable()
    try:
        run.grow(8_000)
        for _ in range(2):  # they are read, and then found to be many
            few.recorded()
        assert [each() is None for each in held] == [True, True]
    finally:
        gc.enable()


def test_a_short_run_that_becomes_a_long_one_lets_go_of_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "MOST_ROWS", 10_000)
    run, few = GrowingRun(tmp_path / "run"), Reader(tmp_path)
    run.grow(5_000)
    assert len(few.recorded().run.steps) == 5_000
    assert not few.is_outlined()
    run.grow(15_000)
    few.recorded()  # how long it is shows once it is read
    assert run_json(few.recorded())["steps"] == 20_000
    assert few.is_outlined()
    run.recorder.close()


def test_a_run_that_is_resumed_is_read_whole(run: GrowingRun, tmp_path: Path) -> None:
    few = Reader(tmp_path)
    few.recorded()
    assert few.is_outlined()
    run.recorder.close()
    time.sleep(0.01)  # attempts are told apart by the millisecond they start in
    resumed = GrowingRun(tmp_path / "run", start=15_000)
    resumed.grow(1_000)
    recorded = few.recorded()
    resumed.recorder.close()
    assert not few.is_outlined()
    assert recorded.run.steps["step"].tolist() == list(range(16_000))
    assert recorded.run.complete


@pytest.mark.parametrize("kind", ["outlines", "steps"])
def test_a_run_of_which_a_loader_left_something_out_is_read_whole_and_stays_so(
    run: GrowingRun, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "MOST_ROWS", 4_096)
    few = Reader(tmp_path)
    few.leave_out(monkeypatch, kind)
    first = few.recorded()
    assert not few.is_outlined()
    assert first.run.complete == (kind == "outlines")
    few.read()
    again = few.recorded()
    assert again.lines is first.lines
    assert few.read() == {}


def test_outlines_that_were_of_no_use_are_tried_again_once_the_run_has_grown(
    run: GrowingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "MOST_ROWS", 4_096)
    few = Reader(tmp_path)
    with pytest.MonkeyPatch.context() as sampled:
        few.leave_out(sampled, "outlines")
        lines = few.recorded().lines
        few.read()
        run.grow(4_000)
        assert few.recorded().lines is lines
        assert "outlines" not in few.read()
        run.grow(4_000)
        for _ in range(2):  # how long it is shows once it is read
            assert few.recorded().lines is lines  # tried in vain: what had been read is kept
        read = few.read()
        assert read["outlines"] > 0
        assert read["steps"] < 40
        assert not few.is_outlined()
    few.recorded()
    assert few.read() == {}
    run.grow(8_000)
    for _ in range(2):
        recorded = few.recorded()
    assert few.is_outlined()
    assert run_json(recorded) == {**run_json(Reader(tmp_path, outlined=False).recorded()), "overhead": None}


def test_of_a_run_that_is_read_whole_nothing_stays_that_is_gone(
    run: GrowingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "MOST_ROWS", 4_096)
    few = Reader(tmp_path)
    few.leave_out(monkeypatch, "outlines")
    assert len(few.recorded().run.steps) == run.steps
    list_tensors = few.provider.list_tensors

    def without_the_last_steps(*args: Any, **options: Any) -> Any:
        listed = list_tensors(*args, **options)
        last = max(tag for tag in listed["run"] if "/steps/" in tag)
        return {"run": {tag: series for tag, series in listed["run"].items() if tag != last}}

    monkeypatch.setattr(few.provider, "list_tensors", without_the_last_steps)
    left = few.recorded()
    assert not few.is_outlined()
    assert 0 < len(left.run.steps) < run.steps
