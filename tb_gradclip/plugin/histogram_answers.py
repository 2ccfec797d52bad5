"""The histograms of many steps to what the route `histograms` sends: a map of magnitudes over steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from tb_gradclip.core import framing
from tb_gradclip.core.histogram import GradientHistogram
from tb_gradclip.core.histogram_map import Shares, histogram_map, thinned
from tb_gradclip.core.rules import Floats
from tb_gradclip.storage.read import Histograms, Run

MOST_STEPS = 120
"""Steps of a map: each is read, unpacked and binned, of a long run also fetched."""


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
    """Those of `most` of the places that the loader did not leave out."""
    for i in thinned(len(places), most):
        with contextlib.suppress(KeyError):
            yield histograms[places[i]]
