"""What is read of a long run: few tags, and the answers are those of the whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_gradclip.core import schema
from tb_gradclip.core.charts.outline import STRETCH
from tb_gradclip.core.charts.room import Room
from tb_gradclip.plugin.answers import run_json, series_body
from tb_gradclip.storage import outlined_source
from tests.logs import GrowingRun
from tests.storage.reading import STEPS, Reader, chart


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
