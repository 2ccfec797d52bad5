"""How fast records get into an event file, beside TensorBoard's own writers given the same data.

    python -m tests.benchmarks.write [--rounds 5] [--steps 500]

Three tables: the frame that goes around a record, whose checksum TensorBoard computes in pure Python; the same
summaries through our `EventFile` and TensorBoard's `EventFileWriter`, until they are flushed; and a whole run through
our recorder and a `SummaryWriter`, loss and norm of every step and histograms of all parameters at every 50th. Of the
run, ours also keeps the norms of every parameter; before and after clipping are one record, where `SummaryWriter` gets
two for each parameter.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_UINT8
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter

from tb_gradclip.core.counted import HistogramCounts
from tb_gradclip.core.histogram import distribution
from tb_gradclip.core.rows import Measurements
from tb_gradclip.storage.write import EventFile, frame, histogram_buckets
from tests.benchmarks.contest import (
    Floats,
    alternate,
    duration,
    number,
    parser,
    print_machine,
    print_table,
    repeats_for,
    size,
    spread,
    timed,
)
from tests.benchmarks.synthetic import Training

FRAME_SIZES = (64, 1_000, 16_000, 256_000, 4_000_000)
RECORD_SIZES = (100, 1_000, 20_000, 200_000, 2_000_000)
BYTES_A_TURN = {"ours": 20_000_000, "theirs": 1_000_000}
"""Enough to take some tenths of a second."""
MOST_RECORDS_A_TURN = 3000
TARGET = 50e6
"""Bytes a second, for large records."""

RawHistogram = tuple[float, float, int, float, float, list[float], list[int]]


def compare_frames(rounds: int) -> None:
    """Print how fast records get length and checksums around them, by size of record; no file is involved."""
    rows = []
    for length in FRAME_SIZES:
        data = np.random.default_rng(0).bytes(length)
        ways = {"ours": partial(frame, data), "theirs": partial(RecordWriter(io.BytesIO()).write, data)}
        turns = {name: partial(timed, way, repeats_for(way, 0.05)) for name, way in ways.items()}
        rows.append([size(length), *against(alternate(turns, rounds), length)])
    header = ("size", "ours, MB/s", "TensorBoard's, MB/s", "times as fast (quartiles)")
    print_table("Length and checksums around a record:", header, rows)


def compare_files(rounds: int) -> None:
    """Print throughput of both writers, given the same summaries."""
    rows = []
    theirs(Summary(), 1)  # the first one imports TensorFlow where that is installed
    for length in RECORD_SIZES:
        summary = Summary(value=[Summary.Value(tag="gradclip/steps/0123456789a/000000", tensor=tensor(length))])
        turns = {}
        for name, write in (("ours", ours), ("theirs", theirs)):
            turns[name] = partial(write, summary, max(1, min(MOST_RECORDS_A_TURN, BYTES_A_TURN[name] // length)))
        times = alternate(turns, rounds)
        rates = [f"{1 / np.median(times[name]):,.0f}" for name in ("ours", "theirs")]
        large = "" if length < 10_000 else "yes" if length / np.median(times["ours"]) >= TARGET else "NO"
        rows.append([size(length), *against(times, length), *rates, large])
    both = ("ours, MB/s", "EventFileWriter, MB/s", "times as fast (quartiles)")
    header = ("record", *both, "ours, records/s", "EventFileWriter, records/s", f"{size(TARGET)}/s")
    print_table("The same summaries, until flushed:", header, rows)


def tensor(length: int) -> TensorProto:
    """Random bytes, as a packed record looks."""
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=length)])
    return TensorProto(dtype=DT_UINT8, tensor_shape=shape, tensor_content=np.random.default_rng(0).bytes(length))


def ours(summary: Summary, records: int) -> float:
    """Seconds a record takes."""
    with tempfile.TemporaryDirectory() as directory:
        file = EventFile(directory)
        start = time.perf_counter()
        for step in range(records):
            file.add(summary, step, 1.0)
        file.flush()
        spent = time.perf_counter() - start
        file.close()
    return spent / records


def theirs(summary: Summary, records: int) -> float:
    """Seconds a record takes."""
    with tempfile.TemporaryDirectory() as directory:
        file = EventFileWriter(directory)
        start = time.perf_counter()
        for step in range(records):
            file.add_event(Event(summary=summary, step=step, wall_time=1.0))
        file.flush()
        spent = time.perf_counter() - start
        file.close()
    return spent / records


def against(times: dict[str, Floats], length: int) -> list[str]:
    """MB/s of both, and the ratio."""
    rates = [number(length / 1e6 / np.median(times[name])) for name in ("ours", "theirs")]
    return [*rates, spread(times["theirs"] / times["ours"])]


class Run:
    """The measurements of a whole run, made up before anyone records them."""

    def __init__(self, steps: int, parameters: int) -> None:
        self.training = Training(parameters)
        self.steps = steps
        self.batches: list[tuple[Measurements, list[HistogramCounts]]] = []
        for measured in self.training.batches(steps):
            due = [step for step in measured.steps.tolist() if step % 50 == 0]
            self.batches.append((measured, [self.training.histogram(step) for step in due]))
        self.raw = {h.step: [raw_histogram(row) for row in h.counts] for _, many in self.batches for h in many}

    def to_recorder(self, directory: Path) -> None:
        """Record it our way."""
        recorder = self.training.recorder(EventFile(directory))
        for measured, histograms in self.batches:
            for histogram in histograms:
                recorder.add_histogram(histogram)
            recorder.add_steps(measured)
        recorder.close()

    def to_summary_writer(self, directory: Path) -> None:
        """Record it with `add_scalar` and `add_histogram_raw`."""
        with SummaryWriter(str(directory)) as board:
            for measured, _ in self.batches:
                for step, loss, norm in zip(measured.steps, measured.losses, measured.norm_before, strict=True):
                    board.add_scalar("loss", loss, step)
                    board.add_scalar("norm", norm, step)
                    for when in ("before", "after"):
                        for parameter, raw in zip(self.training.parameters, self.raw.get(step, ()), strict=False):
                            board.add_histogram_raw(f"{when}/{parameter.name}", *raw, global_step=step)


def raw_histogram(counts: np.ndarray) -> RawHistogram:
    """Arguments of `add_histogram_raw` for these counts; sums are near enough, nobody looks at them."""
    low, high, many = histogram_buckets(distribution(counts)).T
    middles = (low + high) / 2
    sums = float(many @ middles), float(many @ middles**2)
    return float(low[0]), float(high[-1]), int(many.sum()), *sums, high.tolist(), many.astype(int).tolist()


def compare_runs(rounds: int, steps: int, parameters: int) -> None:
    """Print time and bytes of a whole run."""
    run, bytes_of = Run(steps, parameters), dict[str, int]()

    def turn(name: str, write: Callable[[Path], None]) -> float:
        with tempfile.TemporaryDirectory() as directory:
            spent = timed(lambda: write(Path(directory)), 1)
            bytes_of[name] = sum(path.stat().st_size for path in Path(directory).iterdir())
        return spent

    ways = {"ours": run.to_recorder, "SummaryWriter": run.to_summary_writer}
    times = alternate({name: partial(turn, name, write) for name, write in ways.items()}, rounds)
    rows = []
    for name in ways:
        seconds = float(np.median(times[name]))
        speed = [duration(seconds / steps), number(bytes_of[name] / 1e6 / seconds)]
        rows.append([name, *speed, size(bytes_of[name]), spread(times[name] / times["ours"])])
    title = f"A run of {steps} steps with {parameters} parameters, histograms of all at every 50th:"
    print_table(title, ("writer", "a step", "MB/s", "written", "times ours (quartiles)"), rows)


def main() -> None:
    """Run the contests and print their tables."""
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=500, help="of the whole run")
    arguments.add_argument("--parameters", type=int, default=200, help="of the whole run")
    given = arguments.parse_args()
    print_machine()
    compare_frames(given.rounds)
    compare_files(given.rounds)
    compare_runs(given.rounds, given.steps, given.parameters)


if __name__ == "__main__":
    main()
