"""How costs grow: with the number of parameter tensors, the size of gradients, and the length of the run.

    python -m tests.benchmarks.growth [--full] [--rounds 5] [--plot tests/benchmarks/growth.png]

The first two tables are clip calls alone, with their record, against the bare `clip_grad_norm_`: default settings, so
that one call in 50 counts histograms, and scalars only. Times are those of the quickest round, which other users of the
machine disturb least; ratios are taken in each round: median and quartiles. The third table is a whole run of 20
parameters through the recorder, and `tb_gradclip.read` of it.

Each column ends with the slope of its logarithm against that of the size, where 1 is linear growth: over all sizes, and
over the larger half of them, where the fixed cost of a call matters less.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_

import tb_gradclip
from tb_gradclip.storage.write import EventFile
from tb_gradclip.torch import ClipWriter
from tests.benchmarks.contest import (
    alternate,
    duration,
    parser,
    print_machine,
    print_table,
    repeats_for,
    slope,
    spread,
    timed,
)
from tests.benchmarks.synthetic import Training, record

TENSORS = (10, 30, 100, 300, 1000, 3000, 10_000)
ELEMENTS = (100_000, 1_000_000, 10_000_000, 100_000_000)
MOST_ELEMENTS = 1_000_000_000
STEPS = (1_000, 10_000, 100_000, 1_000_000)
MOST_STEPS = 10_000_000
LARGE_TENSORS = 4
RUN_PARAMETERS = 20
HISTOGRAM_EVERY = 50

BARE, OURS, SCALARS = "bare clip_grad_norm_", "ours, default settings", "ours, scalars only"


class Growth(NamedTuple):
    """One plot: seconds of each contestant at each size."""

    title: str
    axis: str
    sizes: list[int]
    seconds: dict[str, list[float]]


Shapes = Callable[[int], list[tuple[int, ...]]]


def clip_growth(title: str, axis: str, sizes: list[int], shapes: Shapes, rounds: int) -> Growth:
    """Measure clip calls at these sizes and print their table."""
    seconds: dict[str, list[float]] = {BARE: [], OURS: [], SCALARS: []}
    rows = []
    for size in sizes:
        times = clip_times(shapes(size), rounds)
        for name, column in seconds.items():
            column.append(float(times[name].min()))
        each = [duration(column[-1]) for column in seconds.values()]
        rows.append([f"{size:,}", *each, *(spread(times[name] / times[BARE]) for name in (OURS, SCALARS))])
    ratios = [f"{name}, ratio" for name in (OURS, SCALARS)]
    rows += [[label, *slopes, "", ""] for label, slopes in fitted(sizes, seconds).items()]
    print_table(f"{title}, a call:", (axis, *seconds, *ratios), rows)
    return Growth(title, axis, sizes, seconds)


def clip_times(shapes: list[tuple[int, ...]], rounds: int) -> dict[str, np.ndarray]:
    """Seconds a clip call takes, for all contestants on the same gradients."""
    parameters = []
    for shape in shapes:
        parameter = torch.zeros(1).expand(shape)  # only the gradient's memory is needed
        parameter.grad = torch.randn(shape)
        parameters.append(parameter)
    bare = partial(clip_grad_norm_, parameters, 1.0)
    calls = HISTOGRAM_EVERY * -(-repeats_for(bare, 0.1) // HISTOGRAM_EVERY)
    with tempfile.TemporaryDirectory() as directory:
        places = itertools.count()

        def recorded(**settings: int) -> Callable[[], float]:
            def turn() -> float:
                # A new run each turn, because histograms thin out as a run grows.
                named = ((str(i), parameter) for i, parameter in enumerate(parameters))
                with ClipWriter(Path(directory, str(next(places))), named, **settings) as writer:
                    return timed(lambda: several(writer, parameters, calls), 1) / calls

            return turn

        turns = {BARE: lambda: timed(bare, calls), OURS: recorded(), SCALARS: recorded(histogram_every=0)}
        turns[OURS]()  # the first one of all is slower than those that follow
        return alternate(turns, rounds)


def several(writer: ClipWriter, parameters: list[torch.Tensor], calls: int) -> None:
    """Clip and record, and wait until everything is in the file."""
    for _ in range(calls):
        writer.clip_grad_norm_(parameters, 1.0)
        writer.step(1.0)
    writer.flush()


def run_growth(lengths: list[int]) -> Growth:
    """Measure recording and reading of runs this long and print the table."""
    seconds: dict[str, list[float]] = {"recorded": [], "read": []}
    rows = []
    for steps in lengths:
        with tempfile.TemporaryDirectory() as directory:
            training = Training(RUN_PARAMETERS)
            recorder = training.recorder(EventFile(directory))
            seconds["recorded"].append(record(training, recorder, steps))
            recorder.close()
            seconds["read"].append(timed(lambda: dict(tb_gradclip.read(directory)), 1))
        last = [column[-1] for column in seconds.values()]
        rows.append([f"{steps:,}", *(cell for s in last for cell in (duration(s), duration(s / steps)))])
    rows += [[label, recorded, "", read, ""] for label, (recorded, read) in fitted(lengths, seconds).items()]
    title = f"Steps of a run with {RUN_PARAMETERS} parameters"
    print_table(f"{title}:", ("steps", "recorded", "each", "read", "each"), rows)
    return Growth(title, "steps", lengths, seconds)


def fitted(sizes: list[int], seconds: dict[str, list[float]]) -> dict[str, list[str]]:
    """Slopes of all columns, over all sizes and over the larger ones."""
    upper = max(2, (len(sizes) + 1) // 2)
    parts = {"slope": slice(None), "slope, upper half": slice(-upper, None)}
    return {name: [f"{slope(sizes[p], column[p]):.2f}" for column in seconds.values()] for name, p in parts.items()}


def plot(growths: list[Growth], path: Path) -> None:
    """Draw the tables, if matplotlib is there."""
    try:
        import matplotlib as mpl
    except ImportError:
        print("\nno plot: matplotlib is not installed")
        return
    mpl.use("agg")
    from matplotlib import pyplot

    colors = {BARE: "#555555", OURS: "#d95f02", SCALARS: "#1b7fbd", "recorded": "#d95f02", "read": "#7a3fa0"}
    figure, axes = pyplot.subplots(1, len(growths), figsize=(4.4 * len(growths), 3.8), layout="constrained")
    for axis, growth in zip(np.atleast_1d(axes), growths, strict=True):
        for name, column in growth.seconds.items():
            label = f"{name} (slope {slope(growth.sizes, column):.2f})"
            axis.loglog(growth.sizes, column, "o-", color=colors[name], label=label, markersize=4, linewidth=1.6)
        axis.set(title=growth.title, xlabel=growth.axis, ylabel=unit_of(growth))
        axis.grid(which="major", color="#dddddd", linewidth=0.7)
        axis.set_axisbelow(True)
        axis.legend(frameon=False, fontsize=8, loc="upper left")
        axis.set_ylim(top=10 * axis.get_ylim()[1])  # room for the legend
    figure.savefig(path, dpi=90)
    print(f"\nplot: {path}")


def unit_of(growth: Growth) -> str:
    """What the vertical axis of a plot means."""
    return "seconds, the whole run" if growth.axis == "steps" else "seconds a clip call"


def main() -> None:
    """Measure, print and draw."""
    arguments = parser(__doc__)
    arguments.add_argument("--full", action="store_true", help="also 1e9 elements (12 GB of memory) and 1e7 steps")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--plot", type=Path, default=Path(__file__).with_name("growth.png"))
    arguments.add_argument("--quick", action="store_true", help="leave the two largest sizes of each table out")
    given = arguments.parse_args()
    shorten = -2 if given.quick else None
    print_machine()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {given.rounds} rounds")
    elements = [*ELEMENTS, *[MOST_ELEMENTS] * given.full][:shorten]
    steps = [*STEPS, *[MOST_STEPS] * given.full][:shorten]
    tensors = list(TENSORS[:shorten])
    growths = [
        clip_growth("Tensors of 16 x 16", "tensors", tensors, lambda n: [(16, 16)] * n, given.rounds),
        clip_growth(
            f"Elements in {LARGE_TENSORS} tensors",
            "elements",
            elements,
            lambda n: [(n // LARGE_TENSORS,)] * LARGE_TENSORS,
            given.rounds,
        ),
        run_growth(steps),
    ]
    plot(growths, given.plot)


if __name__ == "__main__":
    main()
