"""The step table, from records in any order, against putting everything together at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tb_gradclip.storage.history import History
from tests.core.tables import table

Record = tuple[str, int, NDArray[np.void]]


def attempt(name: str, first_step: int, lengths: list[int]) -> list[Record]:
    """Records of one attempt; every row has a loss of its own, to be known by."""
    rows = table(sum(lengths), seed=int(name, 16))
    rows["step"], rows["loss"] = first_step + np.arange(len(rows)), int(name, 16) * 1e6 + np.arange(len(rows))
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    return [(name, start, rows[start : start + n]) for start, n in zip(starts, lengths, strict=True)]


def at_once(records: list[Record]) -> NDArray[np.void]:
    """By definition: later attempts replace what earlier ones recorded from their first step on."""
    order = sorted(records, key=lambda record: record[:2])
    rows = [
        row
        for name, _, part in order
        for row in part
        if all(row["step"] < first["step"][0] for other, _, first in order if other > name)
    ]
    return np.array(rows, order[0][2].dtype)


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=6)
attempts = st.lists(st.tuples(st.integers(0, 120), lengths), min_size=1, max_size=4)


def history(records: list[Record], look_after: set[int] = frozenset()) -> tuple[History, list[tuple[int, bytes]]]:
    """A history that took these records, and what it showed after some of them, each with its edition."""
    taken, seen = History(), []
    for i, record in enumerate(records):
        taken.add(*record)
        if i in look_after:
            rows = taken.rows
            seen.append((taken.edition, rows.tobytes()))
    return taken, seen


@given(lives=attempts, data=st.data())
def test_any_order_with_looks_in_between_gives_the_same_table(
    lives: list[tuple[int, list[int]]], data: st.DataObject
) -> None:
    records = [record for i, (first, sizes) in enumerate(lives) for record in attempt(f"{i + 1:x}", first, sizes)]
    expected = at_once(records)
    shuffled = data.draw(st.permutations(records))
    looks = data.draw(st.sets(st.integers(0, len(records) - 1)))
    taken, seen = history(shuffled, looks)
    rows = taken.rows
    assert rows.tobytes() == expected.tobytes()
    assert taken.complete
    assert (np.diff(rows["step"]) > 0).all()
    finite = expected["threshold"][~np.isnan(expected["threshold"])]
    np.testing.assert_equal(taken.threshold, finite[-1] if len(finite) else np.nan)
    for edition, before in seen:
        if edition == taken.edition:
            assert rows.tobytes().startswith(before)


def test_in_order_the_table_is_a_view_and_of_one_edition() -> None:
    taken, _ = history(attempt("1", 0, [10] * 30) + attempt("2", 300, [10] * 3))
    assert taken.edition == 0
    assert np.shares_memory(taken.rows, taken.rows)
    assert taken.ends == {"1": 300, "2": np.iinfo(np.int64).max}


def test_a_resumed_run_takes_back_steps_in_a_new_edition() -> None:
    first = attempt("1", 0, [10, 10])
    taken, _ = history(first)
    before = taken.rows
    for record in attempt("2", 15, [10, 10]):
        taken.add(*record)
    assert taken.rows["step"].tolist() == list(range(35))
    assert (taken.rows["loss"] >= 2e6).tolist() == [False] * 15 + [True] * 20
    assert taken.edition == 1
    assert before.tobytes() == b"".join(rows.tobytes() for _, _, rows in first)


def test_a_record_that_is_missing_is_known_and_may_still_come() -> None:
    records = attempt("1", 5, [10] * 5)
    missing = records.pop(2)
    taken, _ = history(records)
    assert not taken.complete
    assert taken.rows["step"].tolist() == [*range(5, 25), *range(35, 55)]
    assert taken.edition == 0
    taken.add(*missing)
    assert taken.complete
    assert taken.rows["step"].tolist() == list(range(5, 55))
    assert taken.edition == 1


def test_a_record_is_held_unless_it_has_grown() -> None:
    taken, _ = history(attempt("1", 0, [10, 5]))
    assert taken.holds("1", 10, 5)
    assert not taken.holds("1", 10, 6)
    assert not taken.holds("1", 15, 1)
    assert not taken.holds("2", 0, 1)
    grown = attempt("1", 0, [10, 8])[1]
    taken.add(*grown)
    assert taken.rows["step"].tolist() == list(range(18))
    assert taken.complete


@pytest.mark.parametrize("starts", [(0, 50, 20), (50, 20, 0), (20, 20, 20)])
def test_an_attempt_may_be_replaced_as_a_whole(starts: tuple[int, int, int]) -> None:
    records = [record for i, first in enumerate(starts) for record in attempt(f"{i + 1:x}", first, [10, 10])]
    taken, _ = history(records, look_after=set(range(len(records))))
    assert taken.rows.tobytes() == at_once(records).tobytes()


@pytest.mark.parametrize(
    ("starts", "seams"),
    [
        ((0, 20), [20]),  # goes on
        ((0, 50), [50]),  # after steps that were lost
        ((0, 15), [15]),  # takes back steps
        ((0, 0), []),  # replaces all there was
        ((50, 20), []),
        ((0, 15, 25), [15, 25]),
        ((0, 15, 5), [5]),  # replaces the second one
        ((0, 15, 15), [15]),
    ],
)
def test_seams_are_where_a_later_attempt_goes_on(starts: tuple[int, ...], seams: list[int]) -> None:
    records = [record for i, first in enumerate(starts) for record in attempt(f"{i + 1:x}", first, [10, 10])]
    for look in (set(), set(range(len(records)))):
        taken, _ = history(records, look)
        assert taken.seams == seams
