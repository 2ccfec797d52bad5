"""Lines of a growing run, against the same computed from the whole table, and against what a chart must show."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tb_gradclip.core.charts.axis import Axis
from tb_gradclip.core.charts.extremes import BLOCK, NONE, BlockExtremes, of_rows
from tb_gradclip.core.charts.lines import AXES, DERIVED, RECORDED, Line, Lines, View
from tb_gradclip.core.rates import windowed_clip_rate, windowed_throttle
from tb_gradclip.core.totals import Totals
from tests.core.tables import pieces, table, tables

WHOLE = (-np.inf, np.inf)
windows = st.sampled_from([1, 7, 32, 100, 500, 10**9])
cuts = st.lists(st.integers(0, 10_000), max_size=6)


def position(rows: NDArray[np.void], axis: str) -> NDArray[np.float64]:
    """Where each row lies, by definition."""
    if axis == "step":
        return rows["step"].astype(float)
    wall_time = np.maximum.accumulate(rows["wall_time"])
    return wall_time - wall_time[0] if axis == "relative" else wall_time


def numbers(rows: NDArray[np.void], column: str, window: int) -> list[NDArray[np.float64]]:
    """A column at every row, by definition; with bounds if it has them."""
    if column == "clip_rate":
        return list(windowed_clip_rate(rows, window)[:3])
    return [windowed_throttle(rows, window) if column == "throttle" else rows[column].astype(float)]


def grown(rows: NDArray[np.void], cuts: list[int], column: str, axis: str, window: int) -> Lines:
    """Lines that saw the table grow."""
    lines = Lines()
    for length in pieces(len(rows), cuts):
        lines.line(rows[:length], column, View(axis, WHOLE, 10), window=window)
    return lines


def check(line: Line, values: NDArray[np.float64], start: int, stop: int, points: int) -> None:
    """What every chart promises of the rows from `start` up to `stop`."""
    kept, part = values[line.places], values[start:stop]
    assert line.total == stop - start
    assert len(line.places) <= max(points, 0)
    assert (np.diff(line.places) > 0).all()
    assert (line.places[0], line.places[-1]) == (start, stop - 1)
    broken, finite = np.flatnonzero(~np.isfinite(part)), part[np.isfinite(part)]
    if len(broken):
        assert start + broken[0] in line.places
    if len(finite):
        assert kept[np.isfinite(kept)].min() == finite.min()
        assert kept[np.isfinite(kept)].max() == finite.max()


@pytest.mark.parametrize("column", [*RECORDED, *DERIVED])
@given(rows=tables, cuts=cuts, axis=st.sampled_from(AXES), window=windows)
def test_all_points_of_a_run_that_grew_are_those_of_the_whole_run(
    column: str, rows: NDArray[np.void], cuts: list[int], axis: str, window: int
) -> None:
    lines = grown(rows, cuts, column, axis, window)
    line = lines.line(rows, column, View(axis, WHOLE, 1000), window=window)
    assert line.places.tolist() == list(range(len(rows)))
    for got, expected in zip(line.numbers, numbers(rows, column, window), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("column", ["loss", "norm_before", *DERIVED])
@given(
    seed=st.integers(0, 1000),
    cuts=cuts,
    axis=st.sampled_from(AXES),
    window=windows,
    points=st.integers(5, 30),
    ends=st.tuples(st.integers(0, 2999), st.integers(0, 2999)),
)
def test_any_part_keeps_its_ends_extremes_and_first_broken_value(
    column: str, seed: int, cuts: list[int], axis: str, window: int, points: int, ends: tuple[int, int]
) -> None:
    rows = table(3000, seed)
    lines, place = grown(rows, cuts, column, axis, window), position(rows, axis)
    low, high = place[min(ends)], place[max(ends)]
    line = lines.line(rows, column, View(axis, (low, high), points), window=window)
    start = max(int(np.searchsorted(place, low, "left")) - 1, 0)
    stop = min(int(np.searchsorted(place, high, "right")) + 1, len(rows))
    check(line, numbers(rows, column, window)[0], start, stop, points)


def test_one_spike_stays_wherever_one_looks() -> None:
    rows = table(100_000)
    rows["loss"], rows["step"] = 1.0, np.arange(len(rows))
    rows["loss"][34_567] = 9.0
    lines = Lines()
    for start, stop in ((0, 99_999), (30_001, 90_007), (34_567, 80_000), (100, 34_567), (34_560, 34_570)):
        line = lines.line(rows, "loss", View("step", (start, stop), 100), window=1)
        assert 34_567 in line.places
    assert len(line.places) == 13


@pytest.mark.parametrize("axis", AXES)
def test_points_are_spread_over_the_axis(axis: str) -> None:
    rows = table(50_000)
    line = Lines().line(rows, "loss", View(axis, WHOLE, 200), window=1)
    gaps = np.diff(position(rows, axis)[line.places])
    assert len(line.places) > 100
    assert gaps.max() < 2.5 * gaps.sum() / 66


def test_a_slow_part_of_a_fast_run_is_drawn_in_full() -> None:
    rows = table(100_500)
    rows["wall_time"] = np.concatenate(
        (np.arange(60_000) / 60_000, 1 + np.arange(1.0, 501), 501 + np.arange(40_000) / 40_000)
    )
    rows["loss"] = np.sin(np.arange(len(rows)))
    line = Lines().line(rows, "loss", View("wall_time", WHOLE, 1000), window=1)
    assert set(range(60_000, 60_499)) <= set(line.places.tolist())
    assert len(line.places) < 600


def test_a_run_that_does_not_clip_has_derived_columns_of_nan() -> None:
    rows, lines = table(5000), Lines()
    for column, width in (("clip_rate", 3), ("throttle", 1), ("loss", 1)):
        line = lines.line(rows, column, View("step", WHOLE, 100), window=10, clips=False)
        assert len(line.numbers) == width
        assert all(np.isnan(n).all() for n in line.numbers) == (column != "loss")
        assert (line.places[0], line.places[-1]) == (0, 4999)


def test_an_older_table_is_answered_from_its_own_rows() -> None:
    rows, lines = table(3000), Lines()
    lines.line(rows, "clip_rate", View("relative", WHOLE, 100), window=50)
    line = lines.line(rows[:1234], "clip_rate", View("relative", WHOLE, 10), window=50)
    check(line, windowed_clip_rate(rows[:1234], 50).rate, 0, 1234, 10)
    assert lines.totals(rows).rows == 3000
    assert lines.totals(rows[:1234]) == Totals().plus(rows[:1234])


def test_only_a_few_windows_are_kept() -> None:
    rows, lines = table(2000), Lines()
    for window in (*range(1, 30), 3):
        line = lines.line(rows, "throttle", View("step", WHOLE, 2000), window=window)
        np.testing.assert_array_equal(line.numbers[0], windowed_throttle(rows, window))
    assert len(lines._derived) == 4


def test_threads_get_the_same_points() -> None:
    rows, lines = table(20_000), Lines()
    expected = Lines().line(rows, "clip_rate", View("step", WHOLE, 100), window=30)
    answers: list[Line] = []

    def ask() -> None:
        for length in range(1000, 20_001, 1000):
            answer = lines.line(rows[:length], "clip_rate", View("step", WHOLE, 100), window=30)
        answers.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    for answer in answers:
        assert answer.places.tolist() == expected.places.tolist()
        np.testing.assert_array_equal(answer.numbers, expected.numbers)


@given(rows=tables, cuts=cuts)
def test_blocks_know_the_extremes_of_their_rows(rows: NDArray[np.void], cuts: list[int]) -> None:
    values, blocks = rows["loss"].astype(float), BlockExtremes()
    for length in pieces(len(rows), cuts):
        blocks.extend(lambda start, stop: values[start:stop], length)
    assert blocks.rows == len(rows) - len(rows) % BLOCK
    found = blocks.between(0, blocks.rows)
    for i, start in enumerate(range(0, blocks.rows, BLOCK)):
        part = values[start : start + BLOCK]
        finite, broken = part[np.isfinite(part)], np.flatnonzero(~np.isfinite(part))
        assert found.broken[i] == (start + broken[0] if len(broken) else NONE)
        if len(finite):
            assert (found.lowest[i], found.highest[i]) == (finite.min(), finite.max())
            assert found.low[i] == start + np.flatnonzero(part == finite.min())[0]
            assert found.high[i] == start + np.flatnonzero(part == finite.max())[0]


@given(rows=tables, data=st.data())
def test_longer_stretches_have_the_extremes_of_the_shorter_ones(rows: NDArray[np.void], data: st.DataObject) -> None:
    values = rows["loss"].astype(float)
    starts = np.array(sorted({0} | data.draw(st.sets(st.integers(0, len(values) - 1), max_size=8))))
    found = of_rows(values, first=100).joined(starts)
    for i, part in enumerate(np.split(values, starts[1:])):
        low, high = (np.where(np.isfinite(part), part, fill) for fill in (np.inf, -np.inf))
        assert (found.low[i], found.high[i]) == (100 + starts[i] + low.argmin(), 100 + starts[i] + high.argmax())
        assert (found.lowest[i], found.highest[i]) == (low.min(), high.max())
        broken = np.flatnonzero(~np.isfinite(part))
        assert found.broken[i] == (100 + starts[i] + broken[0] if len(broken) else NONE)


@pytest.mark.parametrize("name", AXES)
@given(rows=tables, cuts=cuts, at=st.integers(0, 10_000), off=st.sampled_from([-0.3, 0.0, 0.3]))
def test_an_axis_finds_rows_as_if_it_knew_all_positions(
    name: str, rows: NDArray[np.void], cuts: list[int], at: int, off: float
) -> None:
    axis = Axis("step" if name == "step" else "wall_time", origin=np.nan if name == "relative" else 0.0)
    for length in pieces(len(rows), cuts):
        axis.extend(rows[:length])
    place, at = position(rows, name), at % len(rows)
    for bound in (place[at] + off, -np.inf, np.inf):
        for side in ("left", "right"):
            assert axis.find(rows, bound, side) == np.searchsorted(place, bound, side)
    np.testing.assert_array_equal(axis.between(rows, at // 2, at), place[at // 2 : at])


@given(rows=tables, cuts=cuts)
def test_totals_of_pieces_are_totals_of_the_whole(rows: NDArray[np.void], cuts: list[int]) -> None:
    lines = Lines()
    for length in pieces(len(rows), cuts):
        totals = lines.totals(rows[:length])
    finite, loss = np.isfinite(rows["norm_before"]), rows["loss"]
    broken = ~finite | (rows["nonfinite"] > 0)
    given_loss = ~np.isnan(loss).all()
    assert totals.rows == len(rows)
    assert (totals.counted, totals.clipped) == (finite.sum(), rows["clipped"][finite].sum())
    assert totals.nonfinite == (broken | (given_loss & ~np.isfinite(loss))).sum()
