"""Distributions of gradients: signed logarithmic bins, exact counts of zero, NaN and infinity.

A float32 is its own logarithm: the sign, the eight exponent bits and the first mantissa bit, ten bits in all, number
1024 half-octave bins from 2^-149 to 2^128 on either side of zero. Counting codes needs no range pass and no division,
every framework can do it on the device, and histograms of any two steps, parameters or runs add bin by bin.

One read serves both distributions. Multiplied by a factor, counts stay and edges move: *after* is *before* with
its edges times the factor. Clamped to [low, high], the bins beyond a bound empty into the bin at the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tb_gradclip.core.rules import Floats, Rule

CODES = 1025
"""Length of a vector of counts: 1024 codes of sign, exponent and first mantissa bit, then exact zero."""

ZERO = 1024
SIGN = 512
INFINITY = 510
NAN = 511
SHIFT = 22
"""Right shift that leaves sign, exponent and one mantissa bit of a float32."""
PIECE = (1 << 15) - 1
"""Elements counted together: their codes fit into a processor's cache, and PyTorch shares no work of this size among
threads, who would then wait for one another."""
MOST_NAMES = 5
"""Parameters that an error message lists: a model may have a hundred thousand."""

Bincount = Callable[[NDArray[np.uint32], int], NDArray[np.int64]]
"""`np.bincount` of codes with a `minlength`, or another function that gives the same."""


def _edges() -> Floats:
    """Lower edges of the 511 magnitudes 0 .. infinity; code c covers [edge c, edge c + 1)."""
    code = np.arange(INFINITY + 1)
    exponent, half = code >> 1, code & 1
    edges = np.ldexp(1.0 + 0.5 * half, np.maximum(exponent, 1) - 127)
    edges[:2] = 2.0**-149, 2.0**-127
    return edges


EDGES = _edges()
EDGES.setflags(write=False)


def codes(values: ArrayLike) -> NDArray[np.int32]:
    """Code of every value, 0 to 1024: the reference for what adapters compute on the device.

    Values are taken as float32. A float64 beyond its range is first limited to it, so that a finite number never
    counts as infinite; one too small for it counts as zero.
    """
    single = _single(values)
    code = (single.view(np.int32) >> SHIFT) & 1023
    return np.where(single == 0, ZERO, code).astype(np.int32)


def _single(values: ArrayLike) -> NDArray[np.float32]:
    array = np.asarray(values)
    if array.dtype == np.float64:
        limit = float(np.finfo(np.float32).max)
        array = np.where(np.isfinite(array), np.clip(array, -limit, limit), array)
    return np.ascontiguousarray(array, np.float32)


def _bincount(code: NDArray[np.uint32], minlength: int) -> NDArray[np.int64]:
    return np.bincount(code, minlength=minlength)


def count(values: ArrayLike) -> NDArray[np.int64]:
    """Vector of `CODES` counts of these values; all zeros for an empty array."""
    flat = np.ravel(values)
    return count_each(flat, [len(flat)])[0]


def count_each(values: NDArray[Any], sizes: Sequence[int], bincount: Bincount = _bincount) -> NDArray[np.int64]:
    """Counts of k arrays that lie one after the other in `values`, with these sizes; shape [k, CODES].

    Taken in pieces: part of a large array, or many small ones together, whose codes are then told apart by an offset.
    `bincount` is for whoever has one that lets other threads run meanwhile, as NumPy's does not.
    """
    counts = np.zeros((len(sizes), CODES), np.int64)
    bits = _single(values).view(np.uint32)
    ends = np.cumsum(sizes)
    starts = np.arange(0, len(bits), PIECE)
    stops = np.minimum(starts + PIECE, len(bits))
    first, last = np.searchsorted(ends, starts, side="right"), np.searchsorted(ends, stops)
    for start, stop, i, j in zip(starts.tolist(), stops.tolist(), first.tolist(), last.tolist(), strict=True):
        inside = np.minimum(ends[i : j + 1], stop) - start
        counts[i : j + 1] += _count_piece(bits[start:stop], inside, bincount)
    return counts


def _count_piece(bits: NDArray[np.uint32], ends: NDArray[np.int64], bincount: Bincount) -> NDArray[np.int64]:
    """Counts of the arrays that end at `ends` in this piece.

    Ten bits are a code, except that zero shares its ten with the smallest numbers next to it: where there are any of
    these, a second look finds the numbers among them, which are rare.
    """
    code = bits >> np.uint32(SHIFT)
    if len(ends) > 1:
        rows = np.arange(len(ends), dtype=np.uint32) * np.uint32(CODES)
        code += rows.repeat(np.diff(ends, prepend=0))
    found = bincount(code, len(ends) * CODES).reshape(-1, CODES)
    if not found[:, ::SIGN].any():
        return found
    for smallest, zero in ((0, 0), (SIGN, 1 << 31)):
        numbers = np.flatnonzero(bits - np.uint32(zero + 1) < (1 << SHIFT) - 1)  # zero itself wraps around
        not_zero = np.bincount(np.searchsorted(ends, numbers, side="right"), minlength=len(ends))
        found[:, ZERO] += found[:, smallest] - not_zero
        found[:, smallest] = not_zero
    return found


@dataclass(frozen=True)
class Distribution:
    """How many values lie where.

    Bin i holds `counts[i]` > 0 values (fractions after `merged`) between `low[i]` and `high[i]`; bins ascend, empty
    ones are left out and none contains zero. The rest is counted apart, exactly.
    """

    low: Floats
    high: Floats
    counts: NDArray[Any]
    zero: int
    nan: int
    positive_infinity: int
    negative_infinity: int

    @property
    def size(self) -> int:
        """Number of values of every sort."""
        return round(float(self.counts.sum())) + self.zero + self.nan + self.positive_infinity + self.negative_infinity


def distribution(counts: NDArray[Any]) -> Distribution:
    """Read a vector of `CODES` counts."""
    positive, negative = counts[:INFINITY], counts[SIGN : SIGN + INFINITY]
    up, down = np.flatnonzero(positive), np.flatnonzero(negative)[::-1]
    return Distribution(
        low=np.concatenate((-EDGES[down + 1], EDGES[up])),
        high=np.concatenate((-EDGES[down], EDGES[up + 1])),
        counts=np.concatenate((negative[down], positive[up])),
        zero=int(counts[ZERO]),
        nan=int(counts[NAN] + counts[SIGN + NAN]),
        positive_infinity=int(counts[INFINITY]),
        negative_infinity=int(counts[SIGN + INFINITY]),
    )


def scaled(before: Distribution, factor: float) -> Distribution:
    """Distribution of the values times a factor >= 0.

    0 turns every finite value into zero and infinities into NaN, NaN turns every value into NaN: float arithmetic.
    """
    if np.isnan(factor):
        return _lumped(before, zero=0, nan=before.size)
    if factor == 0:
        infinite = before.positive_infinity + before.negative_infinity
        return _lumped(before, zero=before.size - before.nan - infinite, nan=before.nan + infinite)
    return Distribution(
        before.low * factor,
        before.high * factor,
        before.counts,
        before.zero,
        before.nan,
        before.positive_infinity,
        before.negative_infinity,
    )


def _lumped(like: Distribution, zero: int, nan: int) -> Distribution:
    return Distribution(like.low[:0], like.high[:0], like.counts[:0], zero, nan, 0, 0)


def clamped(before: NDArray[np.int64], low: float, high: float) -> NDArray[np.int64]:
    """Counts of the values clamped to [low, high], from counts of the values: infinities are cut, NaN is kept.

    Exact, because a value that is cut lands in the very bin that holds the bound. Shape [..., CODES] in and out.
    """
    ascending = before[..., ASCENDING].copy()
    bottom, top = RANK[codes([low, high])]
    numbers = ascending[..., : CODES - 2]
    numbers[..., top] += numbers[..., top + 1 :].sum(axis=-1)
    numbers[..., top + 1 :] = 0
    numbers[..., bottom] += numbers[..., :bottom].sum(axis=-1)
    numbers[..., :bottom] = 0
    return ascending[..., RANK]


def _ascending() -> NDArray[np.int64]:
    """All codes in order of value: -infinity .. zero .. infinity, then both codes of NaN."""
    magnitude = np.arange(INFINITY + 1)
    return np.concatenate((SIGN + magnitude[::-1], [ZERO], magnitude, [NAN, SIGN + NAN]))


ASCENDING = _ascending()
RANK = np.argsort(ASCENDING)


def merged(parts: list[Distribution]) -> Distribution:
    """One distribution of the values of several whose bins lie askew, in the standard bins.

    Each bin spreads over the standard bins it touches in proportion to their share of its width on a logarithmic
    axis, so counts may be fractions; their sum, and what is counted apart, stay exact.
    """
    total = np.zeros(CODES)
    for part in parts:
        total[ZERO] += part.zero
        total[NAN] += part.nan
        total[INFINITY] += part.positive_infinity
        total[SIGN + INFINITY] += part.negative_infinity
    low, high, counts = (np.concatenate([getattr(part, name) for part in parts]) for name in ("low", "high", "counts"))
    for side, inner, outer in ((0, low, high), (SIGN, -high, -low)):
        kept = inner > 0
        spread(total[side : side + INFINITY], inner[kept], outer[kept], counts[kept])
    return distribution(total)


def spread(total: Floats, low: Floats, high: Floats, counts: NDArray[Any]) -> None:
    """Add counts of positive bins to the standard bins, [INFINITY]; a half-octave bin touches three of them at most."""
    first = np.clip(np.searchsorted(EDGES, low, side="right") - 1, 0, INFINITY - 1)
    bins = np.minimum(first + np.arange(3)[:, None], INFINITY - 1)
    overlap = np.minimum(high, EDGES[bins + 1]) / np.maximum(low, EDGES[bins])
    share = np.log2(np.maximum(overlap, 1.0)) * (first + np.arange(3)[:, None] < INFINITY)
    share[0] += share.sum(axis=0) == 0  # out of range: all of it goes to the nearest bin
    np.add.at(total, bins, counts * share / share.sum(axis=0))


@dataclass(frozen=True)
class GradientHistogram:
    """Gradients of one step, parameter by parameter, before and after clipping.

    `counts`: shape [P, CODES]. `coefficients`: shape [P], factor by which each parameter was scaled, under the norm
    kinds. `counts_after`: measured counts, under `adaptive` and `custom`. `clipped`: shape [P], number of elements
    that were cut, under `value`. `cosine`: of the angle between all gradients before and after, in [-1, 1]; None where
    it was not measured, as under the norm kinds.
    """

    step: int
    wall_time: float
    rule: Rule
    parameters: tuple[str, ...]
    counts: NDArray[np.int64]
    coefficients: Floats | None = None
    counts_after: NDArray[np.int64] | None = None
    clipped: NDArray[np.int64] | None = None
    cosine: float | None = None

    @cached_property
    def total(self) -> NDArray[np.int64]:
        """Counts of all parameters together, shape [CODES]."""
        return np.asarray(self.counts.sum(axis=0))

    def before(self, parameter: str | None = None) -> Distribution:
        """Distribution before clipping, of one parameter or of all together. `KeyError` for an unknown name."""
        return distribution(self._counts(parameter))

    def after(self, parameter: str | None = None) -> Distribution:
        """Distribution after clipping, of one parameter or of all together. `KeyError` for an unknown name."""
        rows = self._rows(parameter)
        if self.counts_after is not None:
            return distribution(self.counts_after[rows].sum(axis=0))
        if self.rule.kind == "value":
            return distribution(clamped(self._counts(parameter), self.rule.low, self.rule.high))
        if self.coefficients is None:
            return self.before(parameter)
        factors = self.coefficients[rows]
        if (factors == factors[:1]).all():
            return scaled(self.before(parameter), float(factors[0])) if len(factors) else self.before(parameter)
        return merged(
            [scaled(distribution(row), factor) for row, factor in zip(self.counts[rows], factors, strict=True)]
        )

    def _counts(self, parameter: str | None) -> NDArray[np.int64]:
        return self.total if parameter is None else np.asarray(self.counts[self._rows(parameter)][0])

    def _rows(self, parameter: str | None) -> slice:
        if parameter is None:
            return slice(None)
        if parameter not in self.parameters:
            known = ", ".join(self.parameters[:MOST_NAMES])
            more = f" and {len(self.parameters) - MOST_NAMES} more" if len(self.parameters) > MOST_NAMES else ""
            raise KeyError(f"unknown parameter {parameter!r}; this run has {known}{more}")
        row = self.parameters.index(parameter)
        return slice(row, row + 1)
