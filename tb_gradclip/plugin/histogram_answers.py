"""Which histogram the route `histogram` sends, and those of many steps as `histograms` does: a map of magnitudes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from tb_gradclip.core import framing
from tb_gradclip.core.histogram import GradientHistogram
from tb_gradclip.core.histogram_map import Shares, histogram_map, thinned
from tb_gradclip.core.rules import Floats
from tb_gradclip.storage.read import Histograms, Run, UnreadableHistogramError

MOST_STEPS = 120
"""Steps of a map: each is read, unpacked and binned, of a long run also fetched."""


def nearest(histograms: Histograms, step: int, bounds: tuple[float, float]) -> GradientHistogram:
    """The one that lies nearest to `step` among those from the first to the last of the `bounds`, both included.

    Of two as near it is the later. Where there is none, it is the last one at or before `step`, or the first of all.
    """
    steps = histograms.steps
    within = np.flatnonzero((steps >= bounds[0]) & (steps <= bounds[1]))
    if not len(within):
        return histograms.at(step)
    distance = np.abs(steps[within].astype(float) - step)
    return histograms[int(within[np.flatnonzero(distance == distance.min())[-1]])]


def map_body(run: Run, bounds: tuple[float, float], parameter: str | None, most: int = MOST_STEPS) -> bytes:
    """The binary body of the `histograms` route. `KeyError` for an unknown parameter.

    Args:
      run: one that has histograms.
      bounds: first and last step, both included; the last recorded step before the first comes too.
      parameter: one parameter's gradients; those of all together if None.
      most: steps, evenly thinned from those recorded.
    """
    places = _places(run.histograms, bounds)
    found = histogram_map(_loaded(run.histograms, places, most), parameter)
    numbers = {
        "step": found.steps,
        "wall_time": found.wall_times,
        "low": found.low,
        "high": found.high,
        "edges": found.edges,
        **{f"{side}{rest}": block for side in ("before", "after") for rest, block in _blocks(getattr(found, side))},
    }
    header = {
        "run": run.name,
        "parameter": parameter,
        "steps": len(found.steps),
        "bins": max(len(found.edges) - 1, 0),
        "total": len(places),
        "fields": list(numbers),
    }
    body = b"".join(np.ascontiguousarray(block, "<f8").tobytes() for block in numbers.values())
    return framing.pack(header, body, align=8)


def _blocks(shares: Shares) -> tuple[tuple[str, Floats], ...]:
    return ("", shares.bins), ("_zero", shares.zero), ("_nonfinite", shares.nonfinite)


def _places(histograms: Histograms, bounds: tuple[float, float]) -> range:
    """Where the histograms of this range are, and the one that still holds where it begins."""
    first = int(np.searchsorted(histograms.steps, bounds[0], side="right")) - 1
    return range(max(first, 0), int(np.searchsorted(histograms.steps, bounds[1], side="right")))


def _loaded(histograms: Histograms, places: range, most: int) -> Iterator[GradientHistogram]:
    """Those of `most` of the places that the loader did not leave out, and that can be read."""
    for i in thinned(len(places), most):
        with contextlib.suppress(KeyError, UnreadableHistogramError):
            yield histograms[places[i]]
