"""What stands out in a table."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tb_gradclip.core.charts.outline import OUTLINE_DTYPE, STRETCH
from tb_gradclip.core.totals import Totals
from tests.core.tables import outlines_of, table


@given(
    seed=st.integers(0, 1000),
    ends=st.lists(st.integers(1, 2_999), max_size=4, unique=True),
    longer=st.sampled_from([(1,), (2,), (8,), (2, 4, 8)]),
)
def test_outlines_join_to_what_stands_out_in_every_stretch(seed: int, ends: list[int], longer: tuple[int]) -> None:
    rows, stretch = table(3_000, seed), longer[-1] * STRETCH
    found = outlines_of(rows, [*sorted(ends), 3_000])
    for times in longer:
        found = [each.coarser(times * STRETCH) for each in found]
    assert [each.first_row for each in found] == [0, *sorted(ends)]
    assert [each.end_row for each in found] == [*sorted(ends), 3_000]
    totals = Totals()
    for each in found:
        assert each.rows.dtype == OUTLINE_DTYPE
        assert (each.rows["row"][0], each.rows["row"][-1]) == (each.first_row, each.end_row - 1)
        assert (each.own_seconds, each.elapsed_seconds) == (1.5, 6.0)
        totals = totals.joined(each.totals)
        losses = rows["loss"][each.first_row : each.end_row]
        for start in range(0, len(losses), stretch):
            part = losses[start : start + stretch]
            finite, first_broken = part[np.isfinite(part)], part[~np.isfinite(part)][:1]
            kept = each.rows["loss"][(each.rows["row"] - each.first_row) // stretch == start // stretch]
            for value in (*first_broken, *([finite.min(), finite.max()] if len(finite) else [])):
                assert any(np.array_equal(value, one, equal_nan=True) for one in kept)
    assert totals == Totals().plus(rows)


def test_few_rows_stand_out() -> None:
    rng, rows = np.random.default_rng(0), table(16_384)
    for name in ("loss", "norm_before", "norm_after", "coefficient"):
        rows[name] = rng.lognormal(size=len(rows))
    rows["threshold"], rows["nonfinite"], rows["wall_time"] = 1.0, 0, np.arange(len(rows)) / 20
    (outline,) = outlines_of(rows, [len(rows)])
    assert len(outline.rows) < len(rows) * 20 / STRETCH
    assert len(outline.coarser(8 * STRETCH).rows) < len(outline.rows) / 5
