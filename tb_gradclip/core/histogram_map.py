"""Distributions of many steps as one matrix: which share of all gradients lies in which bin of magnitude, step by step.

Signs are folded together: what a map over time shows is how large gradients are, and what clipping does to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tb_gradclip.core.histogram import EDGES, INFINITY, Distribution, GradientHistogram, spread
from tb_gradclip.core.rules import Floats

MOST_BINS = 96
"""Bins of a map, which are about 200 pixels high: with more, pairs of bins are joined."""


class Shares(NamedTuple):
    """Where the values of S steps lie, as shares of all values of the step; rows of a step without values are NaN.

    `bins`: shape [S, B], `zero` and `nonfinite`: shape [S]. Each step's sum to 1.
    """

    bins: Floats
    zero: Floats
    nonfinite: Floats


class HistogramMap(NamedTuple):
    """Distributions of S steps in B bins of magnitude that all of them share.

    `steps`, `wall_times`: shape [S], ascending in step. `edges`: shape [B + 1], ascending and positive; bin b holds
    magnitudes from `edges[b]` up to `edges[b + 1]`. B is 0 if no step has a finite value other than zero.
    `low`, `high`: shape [S], what a `value` rule cuts to, NaN under other rules.
    """

    steps: Floats
    wall_times: Floats
    edges: Floats
    before: Shares
    after: Shares
    low: Floats
    high: Floats


def histogram_map(histograms: Iterable[GradientHistogram], parameter: str | None = None) -> HistogramMap:
    """The map of these histograms, in order of step.

    Bins are the half octaves of `core.histogram`, from the smallest to the largest that any step has values in, joined
    by two, four, ... where there would be more than `MOST_BINS`. Bins that scaling moved spread over these in
    proportion to their share of a bin's width on a logarithmic axis, so that shares of `after` are exact in sum only.

    Args:
      histograms: of any steps, one of which is in memory at a time; empty gives a map without steps and bins.
      parameter: one parameter's gradients; those of all together if None.

    Raises:
      KeyError: a histogram has no such parameter.
    """
    taken = [(h.before(parameter), h.after(parameter), h.step, h.wall_time, h.rule) for h in histograms]
    before, after = [each[0] for each in taken], [each[1] for each in taken]
    counts = np.stack([_magnitudes(one) for one in (*before, *after)] or [np.zeros(INFINITY)])
    used = np.flatnonzero(counts.any(axis=0))
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
    width = 1
    while last - first > MOST_BINS * width:
        width *= 2
    starts = np.arange(first, last, width)
    binned = np.add.reduceat(counts[:, :last], starts, axis=1) if len(starts) else counts[:, :0]
    rules = [each[4] for each in taken]
    return HistogramMap(
        np.array([each[2] for each in taken], float),
        np.array([each[3] for each in taken], float),
        EDGES[[*starts, last]] if len(starts) else EDGES[:0],
        _shares(before, binned[: len(before)]),
        _shares(after, binned[len(before) : 2 * len(before)]),
        np.array([rule.low if rule.kind == "value" else np.nan for rule in rules], float),
        np.array([rule.high if rule.kind == "value" else np.nan for rule in rules], float),
    )


def _magnitudes(values: Distribution) -> Floats:
    """How many values lie in each of the standard bins of magnitude, shape [INFINITY]."""
    total = np.zeros(INFINITY)
    bounds = np.abs(np.stack((values.low, values.high)))
    low, high = bounds.min(axis=0), bounds.max(axis=0)
    spread(total, low[low > 0], high[low > 0], values.counts[low > 0])
    return total


def _shares(distributions: Sequence[Distribution], bins: Floats) -> Shares:
    sizes = np.array([one.size or np.nan for one in distributions], float)
    nonfinite = [one.nan + one.positive_infinity + one.negative_infinity for one in distributions]
    zero = np.array([one.zero for one in distributions], float)
    return Shares(bins / sizes[:, None], zero / sizes, np.array(nonfinite, float) / sizes)


def thinned(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, evenly spread, the first and the last among them; of one, the last."""
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count - 1]
    return np.unique(np.linspace(0, count - 1, most).round().astype(int)).tolist()
