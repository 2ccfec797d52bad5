"""Long runs, read in outline: few tags, and the same answers as when everything is read."""

from __future__ import annotations

import gc
import math
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.context import RequestContext

from tb_gradclip.core import schema
from tb_gradclip.core.charts.lines import View
from tb_gradclip.core.charts.outline import STRETCH
from tb_gradclip.core.charts.room import Room
from tb_gradclip.core.schema import Tag
from tb_gradclip.plugin.answers import KINDS, run_json, series, series_body
from tb_gradclip.storage import outlined_source
from tb_gradclip.storage import provider as provider_module
from tb_gradclip.storage import source as source_module
from tb_gradclip.storage.outlined_source import OutlinedSource
from tb_gradclip.storage.provider import ProviderRuns
from tb_gradclip.storage.source import Recorded
from tests.logs import GrowingRun, write_small_records
from tests.storage.test_provider import Watched

STEPS = 20_000
COLUMNS = ("loss", "norm_before", "norm_after", "threshold", "clip_rate", "throttle")
WHOLE = (-np.inf, np.inf)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    write_small_records(monkeypatch)
    monkeypatch.setattr(provider_module, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(provider_module, "REST", 0)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[GrowingRun]:
    run = GrowingRun(tmp_path / "run")
    run.grow(STEPS)
    yield run
    run.recorder.close()


class Reader:
    """One way to read the run: in outline, or everything."""

    def __init__(self, logdir: Path, *, outlined: bool = True) -> None:
        self.provider = Watched(logdir)
        self._outlined, self._runs = outlined, ProviderRuns(self.provider, KINDS)

    def recorded(self) -> Recorded:
        self.provider.reload()
        with pytest.MonkeyPatch.context() as patched:
            if not self._outlined:
                patched.setattr(source_module, "LEAST_SHARDS", 10**9)
            return self._runs.runs(RequestContext(), "")["run"]

    def leave_out(self, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        """Lose the first record of each tag of a kind."""
        read_tensors = self.provider.read_tensors

        def sampled(*args: Any, **options: Any) -> Any:
            found = read_tensors(*args, **options)
            return {run: {t: s[1:] if f"/{kind}/" in t else s for t, s in tags.items()} for run, tags in found.items()}

        monkeypatch.setattr(self.provider, "read_tensors", sampled)

    def is_outlined(self) -> bool:
        return isinstance(self._runs._sources["run"], OutlinedSource)

    def read(self) -> dict[str, int]:
        """How many tags of each kind were read since the last call."""
        kinds = [tag.kind for tag in map(Tag.parse, self.provider.read) if tag]
        self.provider.read.clear()
        return {kind: kinds.count(kind) for kind in kinds}


def chart(recorded: Recorded, bounds: tuple[float, float] = WHOLE, points: int = 20, window: int = 100) -> list[Any]:
    return [series(recorded, column, View("step", bounds, points), window) for column in COLUMNS]


def test_the_first_answer_takes_few_tags_and_is_the_answer_of_the_whole_run(run: GrowingRun, tmp_path: Path) -> None:
    few, all_of_it = Reader(tmp_path), Reader(tmp_path, outlined=False)
    outlined, whole = few.recorded(), all_of_it.recorded()
    assert few.is_outlined()
    assert not all_of_it.is_outlined()
    assert few.read()["steps"] * 10 < all_of_it.read()["steps"]
    assert run_json(outlined) == {**run_json(whole), "overhead": None}
    for one, other in zip(chart(outlined), chart(whole), strict=True):
        assert (one.total, one.fields) == (other.total, other.fields)
        numbers, expected = one.numbers[2], other.numbers[2]
        np.testing.assert_array_equal(np.isnan(numbers).any(), np.isnan(expected).any())
        assert (np.nanmin(numbers), np.nanmax(numbers)) == (np.nanmin(expected), np.nanmax(expected))
    assert few.read() == {}


@pytest.mark.parametrize("bounds", [(100, 160), (6_990, 7_100), (19_400, 30_000), (0, 0), (9_000, 15_000)])
@pytest.mark.parametrize("window", [7, 100, 10**9])
def test_a_closer_look_reads_what_is_there_and_sees_what_the_whole_run_shows(
    run: GrowingRun, tmp_path: Path, bounds: tuple[float, float], window: int
) -> None:
    few = Reader(tmp_path)
    outlined, whole = few.recorded(), Reader(tmp_path, outlined=False).recorded()
    few.read()
    one, other = (chart(each, bounds, points=10_000, window=window) for each in (outlined, whole))
    for mine, theirs in zip(one, other, strict=True):
        assert mine.total == theirs.total
        for numbers, expected in zip(mine.numbers, theirs.numbers, strict=True):
            np.testing.assert_allclose(numbers, expected, rtol=1e-12, atol=1e-12)
    read = few.read()
    assert read.keys() <= {"steps"}
    if window == 100 and bounds[1] - bounds[0] < 200:
        assert read.get("steps", 0) <= 5
    assert series_body(chart(outlined, bounds, points=10_000, window=window)) == series_body(one)
    assert few.read().get("steps", 0) <= read.get("steps", 0)


def test_of_what_is_read_for_a_closer_look_only_records_with_rows_of_it_are_unpacked(
    run: GrowingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlined, unpacked, decode = Reader(tmp_path).recorded(), [], schema.decode_steps
    monkeypatch.setattr(schema, "decode_steps", lambda frame: unpacked.append(found := decode(frame)) or found)
    chart(outlined, (3_000, 3_010), points=10_000)
    rows = [(int(record.rows["step"][0]), int(record.rows["step"][-1])) for record in unpacked]
    assert sum(first <= 3_010 and last >= 3_000 for first, last in rows) >= 1
    assert all(first <= 3_010 + STRETCH and last >= 3_000 - 100 - STRETCH for first, last in rows)
    assert len(set(rows)) == len(rows)


def test_a_very_long_run_is_held_in_longer_stretches_and_looks_the_same(
    run: GrowingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlined, whole = Reader(tmp_path).recorded(), Reader(tmp_path, outlined=False).recorded()
    monkeypatch.setattr(outlined_source, "MOST_STRETCHES", 40)
    few = Reader(tmp_path)
    held = few.recorded()
    assert few.is_outlined()
    assert len(held.lines._known) < 0.7 * len(outlined.lines._known)
    assert run_json(held) == run_json(outlined)
    for mine, theirs in zip(chart(held), chart(outlined), strict=True):
        assert mine.total == theirs.total == STEPS
        for numbers, expected in zip(mine.numbers[2:], theirs.numbers[2:], strict=True):
            assert (np.nanmin(numbers), np.nanmax(numbers)) == (np.nanmin(expected), np.nanmax(expected))
    for bounds in ((100, 160), (9_000, 15_000), (19_400, 30_000)):
        for mine, theirs in zip(*(chart(each, bounds, points=10_000) for each in (held, whole)), strict=True):
            for numbers, expected in zip(mine.numbers, theirs.numbers, strict=True):
                np.testing.assert_allclose(numbers, expected, rtol=1e-12, atol=1e-12)


def test_a_part_of_a_very_long_run_is_drawn_from_its_outlines_read_again(
    run: GrowingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlined = Reader(tmp_path).recorded()
    monkeypatch.setattr(outlined_source, "MOST_STRETCHES", 10)
    few = Reader(tmp_path)
    held, bounds = few.recorded(), (5_000, 12_000)
    few.read()
    for mine, theirs in zip(chart(held, bounds), chart(outlined, bounds), strict=True):
        assert abs(mine.total - theirs.total) <= 2 * (2 * STRETCH)  # one of its own at either end
        for numbers, expected in zip(mine.numbers[2:], theirs.numbers[2:], strict=True):
            assert (np.nanmin(numbers), np.nanmax(numbers)) == (np.nanmin(expected), np.nanmax(expected))
    assert few.read().keys() == {"outlines"}
    few.leave_out(monkeypatch, "outlines")
    chart(held, (500, 7_500))
    assert few.read().keys() == {"outlines", "steps"}  # what a loader dropped is made up for


def test_a_histogram_is_read_when_it_is_looked_at(run: GrowingRun, tmp_path: Path) -> None:
    few = Reader(tmp_path)
    outlined, whole = few.recorded().run, Reader(tmp_path, outlined=False).recorded().run
    few.read()
    assert outlined.histograms.steps.tolist() == whole.histograms.steps.tolist()
    for step in (0, 1_234, 7_000, STEPS):
        one, other = outlined.histograms.at(step), whole.histograms.at(step)
        assert one.step == other.step
        np.testing.assert_array_equal(one.counts, other.counts)
    assert few.read() == {"histograms": 4}
    outlined.histograms.at(7_000)
    assert few.read() == {}


def test_of_histograms_that_were_looked_at_those_looked_at_last_are_kept(
    run: GrowingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(20_000)
    monkeypatch.setattr(outlined_source, "DETAILS", room)
    few = Reader(tmp_path)
    histograms, whole = few.recorded().run.histograms, Reader(tmp_path, outlined=False).recorded().run.histograms
    few.read()
    for one, other in zip(histograms, whole, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
    sizes = list(room._sizes.values())
    assert 0 < sum(sizes) <= 20_000
    assert few.read()["histograms"] > 3 * len(sizes)
    assert histograms.at(7_000).step == whole.at(7_000).step
    histograms.at(0)
    assert few.read()["histograms"] == 2
    histograms.at(0)
    assert few.read() == {}


def test_a_histogram_that_a_loader_left_out_is_said_to_be_missing(
    run: GrowingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Reader(tmp_path)
    few.leave_out(monkeypatch, "histograms")
    histograms = few.recorded().run.histograms
    assert histograms.at(100).step == 100
    with pytest.raises(KeyError, match="did not load the histogram of step 0"):
        histograms.at(0)


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
