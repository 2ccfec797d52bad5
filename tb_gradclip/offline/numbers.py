"""Numbers of answers as few bytes, with no more digits than anybody sees.

Strategy: digits are cut off in binary, so that a number stays what it is in kind: NaN, infinities, signs and powers of
two are kept. Then bytes of equal significance are put together, which deflates to half of what the numbers would. The
page undoes the latter, `embedded_numbers.ts`, to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core import framing

_MANTISSA = {4: 23, 8: 52}
"""Bits behind the binary point of an IEEE number of so many bytes."""


def rounded(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """The same floats with so many bits behind the point: none changes by more than 2 ** -(bits + 1) of itself.

    What is not finite, and the few largest numbers that would become infinite, stay as they are.
    """
    kind = np.dtype(f"<u{values.itemsize}")
    dropped = _MANTISSA[values.itemsize] - bits
    words = np.ascontiguousarray(values).view(kind)
    half, mask = kind.type(1 << (dropped - 1)), kind.type(~((1 << dropped) - 1) & ((1 << 8 * values.itemsize) - 1))
    nearest = ((words + half) & mask).view(values.dtype)
    return np.where(np.isfinite(values) & np.isfinite(nearest), nearest, values)


def whole_parts(times: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    """Times in whole parts of their span, of which there are at least so many; a part is a power of two seconds.

    What is not finite stays as it is, and so do all times where there is no span.
    """
    known = times[np.isfinite(times)]
    span = float(np.ptp(known)) if len(known) else 0.0
    if not 0 < span < np.inf:
        return times
    part = 2.0 ** np.floor(np.log2(span / parts))
    return np.round(times / part) * part


def condensed(body: bytes, start: int, word: int) -> bytes:
    """The body, of equal length, with byte 0 of every word from `start` on first, then byte 1 of every word, ..."""
    return body[:start] + framing.planes(np.frombuffer(body, f"<u{word}", offset=start))


def few_digits(value: Any, digits: int = 6, exact: frozenset[str] = frozenset({"wall_time"})) -> Any:
    """JSON whose numbers with a point have so many digits, but for those under `exact` names."""
    if isinstance(value, dict):
        return {key: each if key in exact else few_digits(each, digits, exact) for key, each in value.items()}
    if isinstance(value, list):
        return [few_digits(each, digits, exact) for each in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
