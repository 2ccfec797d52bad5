"""What routes send of single parameters: windows of steps, and every step around an alert."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tb_gradclip.core import framing
from tb_gradclip.core.charts import heatmap
from tb_gradclip.core.flight import AFTER, BEFORE, Flight
from tb_gradclip.core.schema import WINDOW_DTYPE, Window
from tb_gradclip.plugin import limits
from tb_gradclip.storage.read import Run
from tb_gradclip.storage.source import Recorded

MOST_WINDOWS = 400
MOST_CELLS = 400_000
"""Windows times parameters: 8 MB. A model of more than a thousand tensors gets fewer windows."""

MOST_PARAMETERS = 10_000
MOST_LINES = 32
"""Parameters around an alert: more lines in one chart tell nothing."""

MEASURED: tuple[tuple[str, DTypeLike], ...] = (
    ("norm_before_mean", "<f4"),
    ("norm_before_max", "<f4"),
    ("norm_after_mean", "<f4"),
    ("clipped", "<u4"),
    ("nonfinite", "<u4"),
)


def windows_body(recorded: Recorded, bounds: tuple[float, float], most: int) -> bytes:
    """The binary body of the `parameters` route."""
    run = recorded.run
    begin, end = int(recorded.lines.first(run.steps)["step"]), int(run.steps["step"][-1])
    first = math.ceil(min(max(bounds[0], begin), end + 1))
    last = math.floor(max(min(bounds[1], end), begin - 1))
    most = max(1, min(most, MOST_CELLS // max(1, min(len(run.parameters), MOST_PARAMETERS))))
    found = recorded.details.windows(first, last, len(run.parameters))
    windows = heatmap.merged(found, (first, last), most) if first <= last else []
    places = _listed(run, windows)
    rows = np.array([w.rows for w in windows], WINDOW_DTYPE).reshape(len(windows), len(run.parameters))
    header = {
        "run": run.name,
        "windows": len(windows),
        "parameters": [run.parameters[p].name for p in places],
        "shapes": [list(run.parameters[p].shape) for p in places],
        "left_out": len(run.parameters) - len(places),
    }
    joint = heatmap.joint_norms(rows["norm_before_mean"].astype(np.float64))
    edges = np.array([(w.first_step, w.last_step, w.steps) for w in windows], float).reshape(-1, 3).T
    blocks = [_block(edges, "<f8"), _block(joint, "<f8")]
    blocks += [_block(rows[name][:, places].T, dtype) for name, dtype in MEASURED]
    return framing.pack(header, b"".join(blocks), align=8)


def _listed(run: Run, windows: Sequence[Window]) -> list[int]:
    """Places of the parameters with the largest mean share, of those whose names fit; without windows the first."""
    names = [parameter.name for parameter in run.parameters]
    if len(names) <= MOST_PARAMETERS and sum(map(len, names)) <= limits.MOST_OF_NAMES:
        return list(range(len(names)))
    order = heatmap.by_share(windows).tolist() if windows else list(range(len(names)))
    few = order[:MOST_PARAMETERS]
    return sorted(few[i] for i in limits.fitting((names[place] for place in few), limits.MOST_OF_NAMES))


def _block(numbers: NDArray[Any], dtype: DTypeLike) -> bytes:
    return np.ascontiguousarray(numbers, dtype).tobytes()


def flight_body(recorded: Recorded, step: int) -> bytes:
    """The binary body of the `flight` route, without rows of an alert that no norms were kept around.

    Raises:
      KeyError: the run has no norms of that step, and no alert there.
    """
    run = recorded.run
    flight = recorded.details.flight(step - BEFORE, step + AFTER, len(run.parameters))
    if step not in flight.steps:
        if not any(alert.step == step for alert in run.alerts):
            raise KeyError(
                f"run {run.name!r} has no norms of single steps around step {step}: they are kept around the first "
                "alerts of a run only"
            )
        return framing.pack({"run": run.name, "step": step, "rows": 0, "parameters": [], "left_out": 0}, align=8)
    places = _shown(run, flight, step)
    header = {
        "run": run.name,
        "step": step,
        "rows": len(flight.steps),
        "parameters": [run.parameters[p].name for p in places],
        "left_out": len(run.parameters) - len(places),
    }
    return framing.pack(header, _block(flight.steps, "<f8") + _block(flight.norms[:, places].T, "<f4"), align=8)


def _shown(run: Run, flight: Flight, step: int) -> list[int]:
    """Places of the parameters to show: those that departed, in that order, then those whose share was largest."""
    names = {parameter.name: place for place, parameter in enumerate(run.parameters)}
    departed = [name for alert in run.alerts if alert.step == step for name, _ in alert.departures]
    shares = heatmap.shares(flight.norms.astype(np.float64))
    by_share = np.argsort(-np.nan_to_num(shares).max(axis=0), kind="stable").tolist()
    chosen = dict.fromkeys([names[name] for name in departed if name in names] + by_share)
    few = list(chosen)[:MOST_LINES]
    return [few[i] for i in limits.fitting((run.parameters[place].name for place in few), limits.MOST_OF_NAMES)]
