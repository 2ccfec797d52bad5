"""Bytes on disk of runs of 10,000 to a million steps with 200 parameters, beside those of `SummaryWriter`.

    python -m tests.benchmarks.log_size [--full] [--parameters 200]

Noisy made-up measurements go through the real recorder; the file is read back and its bytes are told apart by kind of
record. A `steps` record is written when it is full, or 3.5 seconds old: training that makes more than
some 300 steps a second fills it, slower training does not and pays for more records. All are shown, and of one step a
second, whose records hold four rows, what a step takes in the step table.

For `SummaryWriter`, events of 2000 calls are measured and multiplied: loss and norm of every step with `add_scalar`,
and `add_histogram` of every parameter before and after clipping at every 50th. Gradients of 512 elements are measured;
larger ones take more.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from tb_gradclip.core.schema import KINDS, Tag
from tb_gradclip.recorder import SECONDS_PER_RECORD
from tb_gradclip.storage.events import read_events
from tb_gradclip.storage.write import EventFile
from tests.benchmarks.contest import parser, print_table, size
from tests.benchmarks.synthetic import Training, record

COPIES = "TensorBoard's tabs"
LENGTHS = (10_000, 100_000, 1_000_000)
LONGEST = 10_000_000
TARGETS = {1_000_000: 300e6, 10_000_000: 600e6}
SLOW_STEPS, STEP_TARGET = 10_000, 64
CALLS = 2000


def written(steps: int, parameters: int, pace: int) -> tuple[Counter[str], int]:
    """Bytes of a recorded run by kind of record, and its number of tags. `pace`: steps a second, 0 for no limit."""
    with tempfile.TemporaryDirectory() as directory:
        training = Training(parameters, pace or 1000)
        recorder = training.recorder(EventFile(directory))
        record(training, recorder, steps, flush_every=round(pace * SECONDS_PER_RECORD))
        recorder.close()
        bytes_of, tags = Counter[str](), set()
        (path,) = Path(directory).iterdir()
        for event in read_events(path):
            for value in event.summary.value:
                tag = Tag.parse(value.tag)
                bytes_of[tag.kind if tag else COPIES] += event.ByteSize() + 16  # length and two checksums
                tags.add(value.tag)
        bytes_of["sum"] = path.stat().st_size
    return bytes_of, len(tags)


def event_sizes() -> tuple[float, float]:
    """Bytes that a scalar and a histogram take with `SummaryWriter`."""
    random = np.random.default_rng(0)
    sizes = []
    for kind in ("scalar", "histogram"):
        with tempfile.TemporaryDirectory() as directory, SummaryWriter(directory) as board:
            (path,) = Path(directory).iterdir()
            board.flush()
            before = path.stat().st_size
            for step in range(CALLS):
                if kind == "scalar":
                    board.add_scalar("loss", random.random(), step)
                else:
                    gradients = random.normal(0, random.lognormal(-7, 1), 512)
                    board.add_histogram(f"before/layers.{step % 100}.weight", gradients, step)
            board.flush()
            sizes.append((path.stat().st_size - before) / CALLS)
    return sizes[0], sizes[1]


def verdict(steps: int, total: int) -> str:
    """Whether a target is met, where there is one."""
    if steps not in TARGETS:
        return ""
    return f"{'under' if total < TARGETS[steps] else 'OVER'} {size(TARGETS[steps])}"


def compare_to_board(lengths: list[int], parameters: int) -> None:
    """Print what `SummaryWriter` would take."""
    scalar, histogram = event_sizes()
    rows = []
    for steps in lengths:
        scalars, histograms = 2 * steps * scalar, 2 * parameters * -(-steps // 50) * histogram
        rows.append([f"{steps:,}", size(scalars), size(histograms), size(scalars + histograms)])
    title = f"SummaryWriter, from {scalar:.0f} bytes a scalar and {histogram:.0f} a histogram:"
    print_table(title, ("steps", "loss and norm", "histograms, every 50 steps", "sum"), rows)


def step_table(parameters: int) -> None:
    """Print what a step takes in the step table, by steps a second."""
    rows = []
    for pace in (1, 10, 0):
        taken = written(SLOW_STEPS, parameters, pace)[0]["steps"] / SLOW_STEPS
        rows.append([str(pace or "no limit"), f"{taken:.1f} B", "under" if taken < STEP_TARGET else "OVER"])
    header = ("steps a second", "a step", f"target: {STEP_TARGET} B")
    print_table(f"Step table, {SLOW_STEPS:,} steps:", header, rows)


def main() -> None:
    """Write the runs and print the tables."""
    arguments = parser(__doc__)
    arguments.add_argument("--full", action="store_true", help="10 million steps too; takes half an hour or more")
    arguments.add_argument("--parameters", type=int, default=200)
    arguments.add_argument("--longest", type=int, default=LENGTHS[-1], help="leave longer runs out")
    given = arguments.parse_args()
    lengths = [n for n in LENGTHS if n <= given.longest] + [LONGEST] * given.full
    kinds = (*KINDS, COPIES)
    header = ("steps", *kinds, "sum", "a step", "tags", "target")
    for pace, title in ((0, "Ours, steps records full:"), (10, "Ours, 10 steps a second:")):
        rows = []
        for steps in lengths:
            bytes_of, tags = written(steps, given.parameters, pace)
            total = bytes_of["sum"]
            each = [size(bytes_of[kind]) for kind in (*kinds, "sum")]
            rows.append([f"{steps:,}", *each, f"{total / steps:.0f} B", f"{tags:,}", verdict(steps, total)])
        print_table(f"{title[:-1]}, {given.parameters} parameters:", header, rows)
    step_table(given.parameters)
    compare_to_board(lengths, given.parameters)


if __name__ == "__main__":
    main()
