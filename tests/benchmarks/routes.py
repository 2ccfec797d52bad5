"""How long the `series` route takes for one chart of many long runs, and the `runs` route, which is polled.

    python -m tests.benchmarks.routes [--runs 20] [--steps 1000000] [--rounds 15] [--points 1000]

One run is written by the real recorder and linked under many names; TensorBoard's own data provider, the one in Python,
holds them all. What is timed, in this process, is all that the plugin does with what the provider gives, up to the body
of its answer. `cold`: the first time a column is asked for. `warm`: again. `its CPU`: the processor time of that, which
other work on the machine does not add to. `zoom`: a range nobody asked for before, from the whole run down to a
hundredth of it, at random places; its steps have to be read. `zoomed`: the same range again.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext

from tb_gradclip.core.charts.lines import View
from tb_gradclip.plugin.answers import KINDS, run_json, series, series_body
from tb_gradclip.storage import provider
from tb_gradclip.storage.source import Recorded
from tests.benchmarks.contest import parser
from tests.benchmarks.made import LongRun

NEW = 1000
CHARTS = {
    "loss": ("loss",),
    "gradient norm": ("norm_before", "norm_after", "threshold"),
    "clip rate, window 100": ("clip_rate",),
    "throttle, window 100": ("throttle",),
}
AXES = ("step", "relative", "wall_time")


class Runs:
    """One long run under many names, in the hands of TensorBoard."""

    def __init__(self, logdir: Path, runs: int, steps: int) -> None:
        self._run = LongRun(logdir / "run00", 200)
        self._run.grow(steps)
        (file,) = (logdir / "run00").iterdir()
        for number in range(1, runs):
            (logdir / f"run{number:02}").mkdir()
            os.link(file, logdir / f"run{number:02}" / file.name)
        self._multiplexer = EventMultiplexer(tensor_size_guidance={"gradclip": 0})
        self._multiplexer.AddRunsFromDirectory(str(logdir))
        self._multiplexer.Reload()
        self._runs = provider.ProviderRuns(MultiplexerDataProvider(self._multiplexer, str(logdir)), KINDS)

    def grow(self, steps: int) -> None:
        self._run.grow(steps)
        self._multiplexer.Reload()
        time.sleep(3 * provider.FRESH_SECONDS)

    def recorded(self) -> Collection[Recorded]:
        return self._runs.runs(RequestContext(), "").values()

    def close(self) -> None:
        self._run.close()


def chart(
    runs: Runs,
    columns: tuple[str, ...],
    points: int,
    axis: str = "step",
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> bytes:
    """The body of one answer."""
    known = runs.recorded()
    view = View(axis, bounds, points)
    return series_body([series(recorded, column, view, 100) for recorded in known for column in columns])


def zooms(rounds: int, steps: int) -> list[tuple[float, float]]:
    """Ranges of steps nobody asked for before."""
    rng = np.random.default_rng(1)
    widths = steps * 10 ** rng.uniform(-2, 0, rounds)
    starts = rng.uniform(0, steps - widths)
    return list(zip(starts.tolist(), (starts + widths).tolist(), strict=True))


def milliseconds(action: Callable[[], object]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - start)


def options() -> argparse.Namespace:
    """The command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=20)
    arguments.add_argument("--steps", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--points", type=int, default=1000)
    return arguments.parse_args()


def compare(runs: Runs, given: argparse.Namespace) -> None:
    """Time the charts and print the table."""
    whole = (-np.inf, np.inf)

    def timed(columns: tuple[str, ...], axis: str = "step", bounds: tuple[float, float] = whole) -> float:
        return milliseconds(lambda: chart(runs, columns, given.points, axis, bounds))

    def listed() -> float:
        return milliseconds(lambda: json.dumps([run_json(recorded) for recorded in runs.recorded()]))

    first, rest = listed(), [listed() for _ in range(given.rounds)]
    print(f"{'list of runs':28} {first:8.1f} {np.median(rest):8.1f}")
    for name, columns in CHARTS.items():
        cold, used = timed(columns), time.process_time()
        warm = [timed(columns) for _ in range(given.rounds)]
        used = 1e3 * (time.process_time() - used) / given.rounds
        ranges = zooms(given.rounds, given.steps)
        zoom, again = zip(*((timed(columns, bounds=each), timed(columns, bounds=each)) for each in ranges), strict=True)
        figures = (cold, np.median(warm), used, np.median(zoom), max(zoom), np.median(again))
        print(f"{name:28}" + "".join(f" {figure:8.1f}" for figure in figures))
    for axis in AXES[1:]:
        cold, warm = timed(("loss",), axis), [timed(("loss",), axis) for _ in range(given.rounds)]
        print(f"{f'loss over {axis}':28} {cold:8.1f} {np.median(warm):8.1f}")
    runs.grow(NEW)
    taken = listed()
    print(f"{NEW} new steps each: taken in in {taken:.1f}; all four charts {sum(map(timed, CHARTS.values())):.1f}")


def main() -> None:
    """Write the runs, time the charts and print the table."""
    given = options()
    with tempfile.TemporaryDirectory() as directory:
        runs = Runs(Path(directory), given.runs, given.steps)
        print(f"{given.runs} runs of {given.steps} steps, {given.points} points; milliseconds")
        heads = ("cold", "warm", "its CPU", "zoom", "worst", "zoomed")
        print(f"{'':28}" + "".join(f" {head:>8}" for head in heads))
        compare(runs, given)
        runs.close()


if __name__ == "__main__":
    main()
