"""How long the `series` route takes for one chart of many long runs, and the `runs` route, which is polled.

    python -m tests.benchmarks.routes [--runs 20] [--steps 1000000] [--rounds 15] [--points 1000]

The runs are built in this process from encoded records, as a data provider hands them over; what is timed is all that
the route does after that, up to the body of its answer. `cold`: the first time a column is asked for. `warm`: again.
`its CPU`: the processor time of that, which other work on the machine does not add to. `zoom`: a range nobody asked for
before, from the whole run down to a hundredth of it, at random places.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

from tb_gradclip.core import schema
from tb_gradclip.core.charts.lines import Lines
from tb_gradclip.core.rows import STEP_DTYPE
from tb_gradclip.core.rules import Rule
from tb_gradclip.core.schema import RECORDS_PER_SHARD, Parameter, RunRecord, StepsRecord, Tag
from tb_gradclip.plugin.answers import run_json, series, series_body
from tb_gradclip.storage.events import Shard
from tb_gradclip.storage.read import RunBuilder
from tb_gradclip.storage.source import Recorded

ATTEMPT = "00000000001"
ROWS_PER_RECORD = 1024
NEW = 1000
CHARTS = {
    "loss": ("loss",),
    "gradient norm": ("norm_before", "norm_after", "threshold"),
    "clip rate, window 100": ("clip_rate",),
    "throttle, window 100": ("throttle",),
}
AXES = ("step", "relative", "wall_time")


def table(steps: int) -> np.ndarray:
    """Rows with the noise of a real run, and a few steps that broke."""
    rng, rows = np.random.default_rng(0), np.zeros(steps, STEP_DTYPE)
    rows["step"] = np.arange(steps)
    rows["wall_time"] = 1_767_225_600.0 + np.cumsum(rng.uniform(0.04, 0.06, steps))
    rows["loss"] = 3 / np.sqrt(1 + rows["step"] / 1000) + rng.normal(0, 0.02, steps)
    rows["threshold"], rows["norm_before"] = 1.0, np.exp(rng.normal(-0.5, 0.4, steps))
    rows["clipped"] = rows["norm_before"] > 1.0
    rows["coefficient"] = 1 / np.maximum(rows["norm_before"], 1.0)
    rows["norm_after"] = rows["norm_before"] * rows["coefficient"]
    rows["norm_before"][steps // 3 : steps // 3 + 5] = np.nan
    return rows


def shards(rows: np.ndarray, first_row: int = 0) -> dict[Tag, Shard]:
    """These rows, of which the first is row `first_row` of the run, as a writer would record them."""
    content, found = schema.metadata_content("steps"), {}
    for number, start in enumerate(range(0, len(rows), ROWS_PER_RECORD), -(-first_row // ROWS_PER_RECORD)):
        frame = schema.encode_steps(StepsRecord(rows[start : start + ROWS_PER_RECORD], first_row + start))
        tag = Tag("steps", ATTEMPT, number // RECORDS_PER_SHARD)
        found.setdefault(tag, Shard(content, [])).frames.append(frame)
    return found


class Source:
    """A run that is given records, with its lines."""

    def __init__(self, name: str, records: dict[Tag, Shard]) -> None:
        self._builder, self._lines = RunBuilder(name), Lines()
        run = RunRecord("torch", "torch 2", (Parameter("weight", (2, 2)),), Rule("global_norm", 1.0))
        self._builder.add(Tag("run", ATTEMPT, 0), Shard(schema.metadata_content("run"), [schema.encode_run(run)]))
        self.take(records)

    def take(self, records: dict[Tag, Shard]) -> None:
        for tag, shard in records.items():
            self._builder.add(tag, shard)

    def recorded(self) -> Recorded:
        run = self._builder.build()
        assert run is not None
        return Recorded(run, self._lines)


def chart(
    sources: list[Source],
    columns: tuple[str, ...],
    points: int,
    axis: str = "step",
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> bytes:
    """The body of one answer."""
    known = [source.recorded() for source in sources]
    return series_body(
        [series(r, c, axis=axis, bounds=bounds, points=points, window=100) for r in known for c in columns]
    )


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--points", type=int, default=1000)
    return parser.parse_args()


def main() -> None:
    """Build the runs, time the charts and print the table."""
    given = options()
    rows = table(given.steps + NEW)
    records = shards(rows[: given.steps])
    sources: list[Source] = []
    built = milliseconds(lambda: sources.extend(Source(f"run{i}", records) for i in range(given.runs)))
    whole = (-np.inf, np.inf)

    def timed(columns: tuple[str, ...], axis: str = "step", bounds: tuple[float, float] = whole) -> float:
        return milliseconds(lambda: chart(sources, columns, given.points, axis, bounds))

    def listed() -> float:
        return milliseconds(lambda: json.dumps([run_json(source.recorded()) for source in sources]))

    print(
        f"{given.runs} runs of {given.steps} steps, {given.points} points, built in {built / 1e3:.1f} s; milliseconds"
    )
    print(f"{'chart':28} {'cold':>8} {'warm':>8} {'its CPU':>8} {'zoom':>8} {'worst zoom':>11}")
    for name, columns in CHARTS.items():
        cold, used = timed(columns), time.process_time()
        warm = [timed(columns) for _ in range(given.rounds)]
        used = 1e3 * (time.process_time() - used) / given.rounds
        zoom = [timed(columns, bounds=bounds) for bounds in zooms(given.rounds, given.steps)]
        print(f"{name:28} {cold:8.1f} {np.median(warm):8.1f} {used:8.1f} {np.median(zoom):8.1f} {max(zoom):11.1f}")
    for axis in AXES[1:]:
        cold, warm = timed(("loss",), axis), [timed(("loss",), axis) for _ in range(given.rounds)]
        print(f"{f'loss over {axis}':28} {cold:8.1f} {np.median(warm):8.1f}")
    cold, warm = listed(), [listed() for _ in range(given.rounds)]
    print(f"{'list of runs':28} {cold:8.1f} {np.median(warm):8.1f}")
    new = shards(rows[given.steps :], given.steps)
    taken = milliseconds(lambda: [source.take(new) for source in sources])
    grown = sum(timed(columns) for columns in CHARTS.values())
    print(f"{NEW} new steps each: taken in {taken:.1f}; then all four charts {grown:.1f}, list of runs {listed():.1f}")


if __name__ == "__main__":
    main()
