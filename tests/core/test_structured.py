"""Copies of structured arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tb_gradclip.core.charts.outline import OUTLINE_DTYPE
from tb_gradclip.core.rows import STEP_DTYPE
from tb_gradclip.core.structured import concatenated, copied, copy_into

DTYPES = pytest.mark.parametrize(
    "dtype", [np.dtype("<f8"), STEP_DTYPE, OUTLINE_DTYPE], ids=["numbers", "steps", "outline"]
)


def arbitrary(dtype: np.dtype, length: int) -> NDArray:
    """Rows of any bytes: NaN of all sorts among them."""
    return np.random.default_rng(length).integers(0, 256, length * dtype.itemsize, np.uint8).view(dtype)


@DTYPES
@given(length=st.integers(0, 40), step=st.sampled_from([1, 2, 3, -1]))
def test_a_copy_is_the_same_to_the_last_bit_and_its_own(dtype: np.dtype, length: int, step: int) -> None:
    rows = arbitrary(dtype, length)
    rows.flags.writeable = False
    copy = copied(rows[::step])
    assert (copy.dtype, copy.tobytes()) == (dtype, rows[::step].tobytes())
    assert copy.flags.writeable
    assert not np.shares_memory(copy, rows)


@DTYPES
@given(lengths=st.lists(st.integers(0, 9), max_size=5))
def test_pieces_follow_each_other(dtype: np.dtype, lengths: list[int]) -> None:
    pieces = [arbitrary(dtype, length) for length in lengths]
    whole = concatenated(pieces, dtype)
    assert (whole.dtype, whole.tobytes()) == (dtype, b"".join(piece.tobytes() for piece in pieces))
    assert not any(np.shares_memory(whole, piece) for piece in pieces)


@DTYPES
def test_rows_are_overwritten_where_they_are(dtype: np.dtype) -> None:
    target, source = np.zeros(9, dtype), arbitrary(dtype, 4)
    copy_into(target[1:9:2], source)
    assert target[1::2].tobytes() == source.tobytes()
    assert target[::2].tobytes() == bytes(5 * dtype.itemsize)


def test_rows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        copy_into(np.zeros(3, STEP_DTYPE), arbitrary(STEP_DTYPE, 2))
