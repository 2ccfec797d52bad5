"""Lines of a run that is known in outline, against those of the whole table."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tb_gradclip.core.charts.lines import AXES, DERIVED, RECORDED, View
from tb_gradclip.core.charts.outline import OUTLINE_DTYPE, STRETCH, WINDOWS
from tb_gradclip.core.charts.outlined import REACH, WIDEST_STRETCH, OutlinedLines, Span
from tb_gradclip.core.charts.room import Room
from tb_gradclip.core.totals import Totals
from tests.core.tables import outlines_of, table
from tests.core.test_lines import WHOLE, check, numbers, position

ROWS = 12_000
LOOKBACK = 2_000
KEPT_WINDOWS = (*WINDOWS, 10**9)
STRETCHES = st.sampled_from([STRETCH, 2 * STRETCH, 8 * STRETCH])


class Table:
    """A table of which outlines up to row `end` and rows from a little before it are at hand.

    `again` of its outlines can be fetched, the first ones: for want of any, rows are.
    """

    def __init__(
        self,
        seed: int,
        end: int = 10_000,
        rows: NDArray[np.void] | None = None,
        stretch: int = STRETCH,
        again: int = 0,
    ) -> None:
        self.rows = table(ROWS, seed) if rows is None else rows
        self.end, self.fetched, self.fetched_outlines = end, 0, 0
        self.steps, self.newest = self.rows["step"], self.rows[end - LOOKBACK :]
        self.outlines = outlines_of(self.rows, [end // 3, end // 3 + 1, end])
        self.again = self.outlines[:again]
        held = [outline.coarser(stretch) for outline in self.outlines]
        self.lines = OutlinedLines(held, self.fetch, stretch=stretch, fetch_outlines=self.fetch_outlines)

    def fetch(self, span: Span) -> NDArray[np.void]:
        self.fetched += 1
        assert span.first <= span.last < self.newest["step"][0]
        assert span.first_row == np.searchsorted(self.steps, span.first)
        assert span.last_row == np.searchsorted(self.steps, span.last, side="right") - 1
        return self.rows[max(span.first_row - 30, 0) : span.last_row + 31]  # whole records come

    def fetch_outlines(self, first: int, last: int, stretch: int) -> NDArray[np.void]:
        wanted = [o for o in self.again if o.rows["step"][0] <= last and o.rows["step"][-1] >= first]
        self.fetched_outlines += len(wanted)
        return np.concatenate([np.empty(0, OUTLINE_DTYPE), *(outline.coarser(stretch).rows for outline in wanted)])


@pytest.mark.parametrize("column", [*RECORDED, *DERIVED])
@given(seed=st.integers(0, 1000), axis=st.sampled_from(AXES), window=st.sampled_from(KEPT_WINDOWS), stretch=STRETCHES)
def test_the_whole_run_is_drawn_with_all_that_stands_out_and_nothing_fetched(
    column: str, seed: int, axis: str, window: int, stretch: int
) -> None:
    known, points = Table(seed, stretch=stretch), min(30, 4 * ROWS // stretch)
    window = 100 if column == "throttle" else window
    line = known.lines.line(known.newest, column, View(axis, WHOLE, points), window=window)
    expected = numbers(known.rows, column, window)
    check(line, expected[0], 0, ROWS, points)
    for got, column_of in zip(line.numbers, expected, strict=True):
        np.testing.assert_array_equal(got, column_of[line.places])
    for name in ("step", "wall_time"):
        np.testing.assert_array_equal(line.rows[name], known.rows[name][line.places])
    assert known.fetched == 0


@pytest.mark.parametrize("column", ["loss", "norm_before", *DERIVED])
@given(
    seed=st.integers(0, 1000),
    axis=st.sampled_from(AXES),
    window=st.sampled_from([1, 7, 500, *KEPT_WINDOWS]),
    points=st.sampled_from([20, 500, 30_000]),
    ends=st.tuples(st.integers(0, ROWS - 1), st.integers(0, ROWS - 1)),
    stretch=STRETCHES,
)
def test_any_part_looked_at_closely_is_that_of_the_whole_table(
    column: str, seed: int, axis: str, window: int, points: int, ends: tuple[int, int], stretch: int
) -> None:
    known = Table(seed, stretch=stretch)
    place = position(known.rows, axis)
    low, high = place[min(ends)], place[max(ends)]
    line = known.lines.line(known.newest, column, View(axis, (low, high), points), window=window)
    expected = numbers(known.rows, column, window)
    for got, column_of in zip(line.numbers, expected, strict=True):
        np.testing.assert_allclose(got, column_of[line.places], rtol=1e-9, atol=1e-12)
    start = max(int(np.searchsorted(place, low, "left")) - 1, 0)
    stop = min(int(np.searchsorted(place, high, "right")) + 1, ROWS)
    closely = WIDEST_STRETCH * (stop - start + 2 * REACH * stretch) < stretch * (points // 2)
    if known.fetched or closely or start >= known.end:
        finite = np.isfinite(expected[0])  # of sums in another order an extreme may be another by the last bit
        rounded = np.where(finite, np.round(expected[0], 9), expected[0]) if column == "throttle" else expected[0]
        check(line, rounded, start, stop, points)
    else:
        assert abs(line.total - (stop - start)) <= 2 * REACH * stretch
        assert (line.places[0], line.places[-1]) == (min(start, line.places[0]), max(stop - 1, line.places[-1]))
        assert len(line.places) <= points


@pytest.mark.parametrize("column", ["loss", "norm_before", *DERIVED])
@given(
    seed=st.integers(0, 1000),
    axis=st.sampled_from(AXES),
    window=st.sampled_from(KEPT_WINDOWS),
    first=st.integers(0, 1_999),
    width=st.floats(1.5, 5.5),
    stretch=st.sampled_from([2 * STRETCH, 4 * STRETCH, 8 * STRETCH]),
)
def test_a_part_that_longer_stretches_do_not_show_is_drawn_from_outlines_read_again(
    column: str, seed: int, axis: str, window: int, first: int, width: float, stretch: int
) -> None:
    known, points = Table(seed, stretch=stretch, again=3), 20
    window = 100 if column == "throttle" else window
    place = position(known.rows, axis)
    low, high = place[first], place[min(first + int(width * stretch), ROWS - 1)]
    line = known.lines.line(known.newest, column, View(axis, (low, high), points), window=window)
    expected = numbers(known.rows, column, window)
    for got, column_of in zip(line.numbers, expected, strict=True):
        np.testing.assert_array_equal(got, column_of[line.places])
    start = max(int(np.searchsorted(place, low, "left")) - 1, 0)
    stop = min(int(np.searchsorted(place, high, "right")) + 1, ROWS)
    if known.fetched:  # not wide enough for the shortest stretches
        assert WIDEST_STRETCH * (stop - start - 2 * REACH * stretch) < STRETCH * (points // 2)
        return
    assert len(line.places) <= points
    assert line.places[0] <= start
    assert line.places[-1] >= stop - 1
    assert abs(line.total - (stop - start)) <= 2 * REACH * stretch
    edge = WIDEST_STRETCH * line.total // (points // 2)  # of a stretch that reaches out, all may lie outside
    inner, drawn = expected[0][start + edge : stop - edge], line.numbers[0]
    if np.isfinite(inner).any():
        assert drawn[np.isfinite(drawn)].min() <= inner[np.isfinite(inner)].min()
        assert drawn[np.isfinite(drawn)].max() >= inner[np.isfinite(inner)].max()
    assert np.isfinite(inner).all() or not np.isfinite(drawn).all()


@pytest.mark.parametrize("again", [1, 2])
def test_where_an_outline_cannot_be_read_again_rows_are(again: int) -> None:
    known = Table(0, stretch=8 * STRETCH, again=again)
    bounds = float(known.rows["step"][500]), float(known.rows["step"][7_000])
    line = known.lines.line(known.newest, "loss", View("step", bounds, 20), window=100)
    check(line, numbers(known.rows, "loss", 100)[0], 499, 7_002, 20)
    assert known.fetched == 1


def test_outlines_are_read_again_once_for_all_columns_of_a_view() -> None:
    known = Table(0, stretch=8 * STRETCH, again=3)
    bounds = float(known.rows["step"][500]), float(known.rows["step"][7_000])
    for column in ("loss", "norm_before", *DERIVED):
        known.lines.line(known.newest, column, View("step", bounds, 20), window=100)
    assert (known.fetched, known.fetched_outlines) == (0, 3)


@given(seed=st.integers(0, 1000), start=st.integers(0, 9_000), width=st.integers(100, 900), axis=st.sampled_from(AXES))
def test_rows_are_fetched_once_for_all_columns_of_a_close_look(seed: int, start: int, width: int, axis: str) -> None:
    known, room = Table(seed), Room()
    known.lines = OutlinedLines(known.outlines, known.fetch, fetch_outlines=known.fetch_outlines, room=room)
    place = position(known.rows, axis)
    for column in ("loss", "norm_before", "threshold", *DERIVED):
        known.lines.line(known.newest, column, View(axis, (place[start], place[start + width]), 500), window=100)
    assert known.fetched <= 1
    assert len(room._sizes) == 1


def test_a_spike_is_drawn_at_its_step_however_far_one_looks_from() -> None:
    rows = table(ROWS)
    rows["loss"] = 1.0
    rows["loss"][4_567] = 9.0
    known = Table(0, rows=rows)
    for start, stop in ((0, ROWS - 1), (3_000, 9_000), (4_000, 11_000), (4_560, 4_570)):
        bounds = float(rows["step"][start]), float(rows["step"][stop])
        line = known.lines.line(known.newest, "loss", View("step", bounds, 10), window=1)
        assert 4_567 in line.places
    assert known.fetched == 1


def test_what_is_kept_of_many_close_looks_takes_no_more_than_it_is_counted_as() -> None:
    """Not the records that were fetched for it, which are many times as long."""
    rows, room = table(ROWS), Room()
    outlines = outlines_of(rows, [10_000])
    lines = OutlinedLines(
        outlines, lambda _: rows[:10_000].copy(), fetch_outlines=lambda *_: outlines[0].rows, room=room
    )
    tracemalloc.start()
    for start in range(0, 8_000, 200):
        bounds = float(rows["step"][start]), float(rows["step"][start + 50])
        lines.line(rows[8_000:], "loss", View("step", bounds, 200), window=1)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(room._sizes) > 30
    assert taken < room._taken + (1 << 20)


@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(1, LOOKBACK), max_size=5))
def test_newest_rows_may_grow(seed: int, cuts: list[int]) -> None:
    known, points = Table(seed), 1_000
    for length in sorted(cuts):
        newest = known.newest[: LOOKBACK + length]
        assert known.lines.totals(newest).rows == known.end + length
    for column in DERIVED:
        line = known.lines.line(known.newest, column, View("step", WHOLE, 50), window=100)
        np.testing.assert_array_equal(line.numbers[0], numbers(known.rows, column, 100)[0][line.places])
        assert len(line.places) <= points
    assert known.lines.totals(known.newest) == Totals().plus(known.rows)
    assert known.lines.first(known.newest)["step"] == known.rows["step"][0]


def test_rows_that_cannot_be_fetched_leave_the_outline() -> None:
    known = Table(0)
    outlines = outlines_of(known.rows, [known.end])
    known.lines = OutlinedLines(outlines, lambda *_: known.rows[:0], fetch_outlines=known.fetch_outlines)
    line = known.lines.line(known.newest, "loss", View("step", (100, 300), 1000), window=1)
    assert 1 < len(line.places) < 200
    line = known.lines.line(known.newest, "clip_rate", View("step", (100, 300), 1000), window=7)
    assert np.isnan(line.numbers[0]).all()


def test_a_run_that_does_not_clip_has_derived_lines_of_nan() -> None:
    known = Table(0)
    for column, width in (("clip_rate", 3), ("throttle", 1), ("loss", 1)):
        for window in (7, 100):
            line = known.lines.line(known.newest, column, View("step", WHOLE, 20), window=window, clips=False)
            assert len(line.numbers) == width
            assert all(np.isnan(n).all() for n in line.numbers) == (column != "loss")
    assert known.fetched == 0


def test_of_newest_rows_no_more_is_held_than_stands_out() -> None:
    known = Table(0)
    for end in range(LOOKBACK, len(known.newest) + 1, 500):
        known.lines.totals(known.newest[:end])
    outlined = len(outlines_of(known.rows[known.end :], [ROWS - known.end])[0].rows)
    before = OutlinedLines(known.outlines, known.fetch, fetch_outlines=known.fetch_outlines)
    assert len(known.lines._known) - len(before._known) < 2 * outlined


def test_rows_that_could_not_be_fetched_are_fetched_another_time() -> None:
    known, view = Table(3), View("step", (4_000.0, 4_050.0), 200)
    expected = Table(3).lines.line(known.newest, "loss", view, window=100)
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(known, "rows", known.rows[:0])
        assert len(known.lines.line(known.newest, "loss", view, window=100).rows) < len(expected.rows)
    found = known.lines.line(known.newest, "loss", view, window=100)
    np.testing.assert_array_equal(found.rows["step"], expected.rows["step"])
    fetched = known.fetched
    known.lines.line(known.newest, "norm_before", view, window=100)
    assert known.fetched == fetched
