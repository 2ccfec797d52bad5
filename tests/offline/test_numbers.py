"""Numbers with fewer digits, and in fewer bytes."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tb_gradclip.offline.numbers import condensed, few_digits, rounded, whole_parts

LENGTHS = array_shapes(min_dims=1, max_dims=1, min_side=0, max_side=40)


def restored(body: bytes, start: int, word: int) -> bytes:
    """What the page does, one number at a time."""
    planes = body[start:]
    count = len(planes) // word
    return body[:start] + b"".join(bytes(planes[p * count + i] for p in range(word)) for i in range(count))


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
@given(data=st.data(), bits=st.integers(1, 22))
def test_rounding_changes_no_number_by_more_than_it_says_and_none_in_kind(
    dtype: str, data: st.DataObject, bits: int
) -> None:
    values = data.draw(arrays(dtype, LENGTHS))
    kept = rounded(values, bits)
    finite = np.isfinite(values)
    assert kept.dtype == values.dtype
    assert np.array_equal(kept[~finite], values[~finite], equal_nan=True)
    assert np.isfinite(kept[finite]).all()
    assert np.array_equal(np.signbit(kept[finite]), np.signbit(values[finite]))
    exact, near = values[finite].astype(float), kept[finite].astype(float)
    normal = np.abs(exact) > 2 * float(np.finfo(dtype).tiny)
    assert (np.abs(near / 2 - exact / 2)[normal] <= np.abs(exact / 2)[normal] * 2.0 ** -(bits + 1)).all()


@given(values=arrays("<f8", LENGTHS), bits=st.integers(1, 22))
def test_what_was_rounded_stays_and_keeps_its_order(values: np.ndarray, bits: int) -> None:
    kept = rounded(np.sort(values[np.isfinite(values)]), bits)
    assert rounded(kept, bits).tobytes() == kept.tobytes() or np.abs(kept).max() > 1e308
    assert (np.diff(kept / 2) >= 0).all()


@given(body=st.binary(max_size=200), start=st.integers(0, 8), word=st.sampled_from([4, 8]))
def test_condensed_bodies_come_back_to_the_bit(body: bytes, start: int, word: int) -> None:
    body = body[: start + max(len(body) - start, 0) // word * word].ljust(start, b"x")
    assert restored(condensed(body, start, word), start, word) == body


def test_condensed_lines_deflate_better() -> None:
    rng = np.random.default_rng(0)
    steps = np.sort(rng.choice(1_000_000, 2000, replace=False)).astype(float)
    values = rounded(1 + np.exp(-steps / 3e5) + rng.normal(0, 0.01, 2000), 17)
    body = steps.tobytes() + values.tobytes()
    assert len(zlib.compress(condensed(body, 0, 8))) < 0.85 * len(zlib.compress(body))


@given(arrays("<f8", LENGTHS, elements=st.floats(1e9, 3e9)))
def test_times_move_by_less_than_a_pixel_of_a_wide_screen(times: np.ndarray) -> None:
    span = float(np.ptp(times)) if len(times) else 0.0
    assert (np.abs(whole_parts(times, 65536) - times) <= span / 65536 + 1e-6).all()


def test_times_that_are_not_finite_stay() -> None:
    odd = np.array([1.0, np.nan, 5.0, np.inf])
    assert np.array_equal(whole_parts(odd, 4), odd, equal_nan=True)
    assert whole_parts(np.array([7.3, 7.3]), 4).tolist() == [7.3, 7.3]


def test_json_keeps_whole_numbers_texts_and_times() -> None:
    told = {"step": 12345678, "wall_time": 1767225600.123, "at": [{"rate": 0.123456789, "name": "1.23456789"}, None]}
    assert few_digits(told) == {
        "step": 12345678,
        "wall_time": 1767225600.123,
        "at": [{"rate": 0.123457, "name": "1.23456789"}, None],
    }
