"""What it takes until the dashboard shows a long run: time and memory beside TensorBoard's own, and a live reload.

    python -m tests.benchmarks.read [--steps 1000000] [--parameters 200] [--rounds 3] [--beside 100000]

A log is written by the real recorder and read by a real TensorBoard, once with each of its two loaders. Printed are
medians over the rounds:

- `load`: TensorBoard's loader alone reads the bytes, in a process of its own.
- `first answer`: once the server has loaded everything, `runs` and a chart of four columns; nobody asked before.
- `memory`: of the server process after that, and the part of it that came with our answers.
- `reload`: another 1000 steps are written, and TensorBoard has read them; `runs` and the chart again.
- `again`: the same with nothing new.

The second table sets a shorter run beside what one would use instead: the same four lines as scalars of every step,
with histograms of all gradients before and after clipping wherever ours has one. `answer` is then the same lines in
the Scalars tab, each from its own address, and the newest histograms; `shown`: points of a line that can be seen at
all, however far one zooms in.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import tensorboard_data_server
from tensorboard.compat.proto.summary_pb2 import Summary

import tb_gradclip
from tb_gradclip.core.rates import windowed_clip_rate
from tb_gradclip.storage.write import EventFile, RecordLog
from tests.benchmarks.contest import duration, parser, print_table, size
from tests.benchmarks.made import LongRun
from tests.tensorboard import LOADERS, fetch, tensorboard

RUN = "run"
COLUMNS = ("loss", "norm_before", "norm_after", "clip_rate")
CHART = f"series?run={RUN}&points=2000" + "".join(f"&column={column}" for column in COLUMNS)
MORE = 1000
PATIENCE = 600.0


def wait_for(address: str, tag: str) -> None:
    """Wait until TensorBoard shows a scalar, asking for this one alone, which costs it next to nothing."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        url = f"{address}data/plugin/scalars/scalars?run={RUN}&tag={tag}"
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(url) as response:
            if json.load(response):
                return
        time.sleep(0.02)
    raise RuntimeError(f"TensorBoard never showed {tag}")


def fast_load(logdir: Path) -> float:
    """Seconds that the fast loader takes for this directory, from its own log."""
    server = [tensorboard_data_server.server_binary(), "--reload=once", "--port=0", "--verbose", "--die-after-stdin"]
    with subprocess.Popen(
        [*server, f"--logdir={logdir}"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if found := re.search(r"Finished load cycle \(([\d.]+)(ms|s)\)", line):
                    return float(found[1]) * (1e-3 if found[2] == "ms" else 1.0)
        finally:
            process.kill()
    raise RuntimeError("the fast loader did not say how long it took")


SLOW_LOAD = """
import sys, time
from tensorboard.backend.event_processing.data_ingester import DEFAULT_SIZE_GUIDANCE, DEFAULT_TENSOR_SIZE_GUIDANCE
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat import tf
tf.io  # what is loaded on first use is not what the files cost
kept = {**DEFAULT_TENSOR_SIZE_GUIDANCE, "gradclip": 0}
multiplexer = EventMultiplexer(size_guidance=DEFAULT_SIZE_GUIDANCE, tensor_size_guidance=kept)
start = time.perf_counter()
multiplexer.AddRunsFromDirectory(sys.argv[1])
multiplexer.Reload()
print(time.perf_counter() - start)
"""


def slow_load(logdir: Path) -> float:
    """Seconds that the loader in Python takes for this directory."""
    done = subprocess.run([sys.executable, "-c", SLOW_LOAD, str(logdir)], capture_output=True, text=True, check=True)
    return float(done.stdout)


LOAD = {"true": fast_load, "false": slow_load}


def memory(address: str) -> float:
    """Megabytes that the server at this address holds, without the data server it may have started."""
    port = address.rsplit(":", 1)[1].strip("/")
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().split(b"\0")
            if b"tensorboard.main" in command and port.encode() in command:
                (kilobytes,) = re.findall(r"VmRSS:\s+(\d+)", (entry / "status").read_text())
                return int(kilobytes) / 1024
    raise RuntimeError(f"no TensorBoard at {address}")


def answered(address: str, steps: int) -> float:
    """Seconds for `runs` and a chart; both must know of all steps."""
    start = time.perf_counter()
    (run,) = json.loads(fetch(address, "runs"))["runs"]
    chart = fetch(address, CHART)
    took = time.perf_counter() - start
    assert run["steps"] == steps, f"{run['steps']} of {steps} steps were there"
    assert run["complete"]
    assert f'"total":{steps}'.encode() in chart
    return took


def measured(logdir: Path, run: LongRun, fast: str) -> dict[str, float]:
    """One round with one loader."""
    load = LOAD[fast](logdir)
    with tensorboard(logdir, f"--load_fast={fast}") as address:
        wait_for(address, run.marks[-1])
        before = memory(address)
        first = answered(address, run.steps)
        added = memory(address) - before
        run.grow(MORE)
        wait_for(address, run.marks[-1])
        time.sleep(2.0)  # a listing rests before the next
        reload = answered(address, run.steps)
        again = np.median([answered(address, run.steps) for _ in range(5)])
        return {
            "load s": load,
            "first answer s": first,
            "ratio": first / load,
            "memory MB": before + added,
            "of it ours MB": added,
            "reload s": reload,
            "again s": float(again),
        }


class BoardRun:
    """A run of ours once more, as scalars and histograms of TensorBoard's own.

    Args:
      logdir: the run's own directory.
      ours: the directory of the run to copy.
    """

    def __init__(self, logdir: Path, ours: Path) -> None:
        run = tb_gradclip.read(ours)["."]
        sink = EventFile(logdir)
        log = RecordLog(sink, "board")
        columns = [*(run.steps[name] for name in COLUMNS[:3]), windowed_clip_rate(run.steps, 100).rate]
        kept = {histogram.step: histogram for histogram in run.histograms}
        for step, numbers in enumerate(zip(*columns, strict=True)):
            values = [Summary.Value(tag=tag, simple_value=float(x)) for tag, x in zip(COLUMNS, numbers, strict=True)]
            sink.add(Summary(value=values), step, float(run.steps["wall_time"][step]))
            if step in kept:
                for name, distribution in (("before", kept[step].before()), ("after", kept[step].after())):
                    log.write_distribution(name, distribution, step, kept[step].wall_time)
        sink.add(Summary(value=[Summary.Value(tag="mark", simple_value=1.0)]), len(run.steps), 1.0)
        sink.close()


def board_answered(address: str) -> tuple[float, int]:
    """Seconds for the lines and the histograms in TensorBoard's own tabs, and the points a line has there."""
    start, points = time.perf_counter(), 0
    for column in COLUMNS:
        with urllib.request.urlopen(f"{address}data/plugin/scalars/scalars?run={RUN}&tag={column}") as response:
            points = len(json.load(response))
    for name in ("before", "after"):
        tag = f"gradclip%2F{name}"
        with urllib.request.urlopen(f"{address}data/plugin/histograms/histograms?run={RUN}&tag={tag}") as response:
            assert json.load(response)
    return time.perf_counter() - start, points


def beside(steps: int, parameters: int) -> list[list[str]]:
    """Rows of the second table."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        ours, board = (Path(directory) / name for name in ("ours", "board"))
        run = LongRun(ours / RUN, parameters)
        run.grow(steps)
        run.close()
        BoardRun(board / RUN, ours / RUN)
        for fast in LOADERS:
            for name, logdir, mark in (("ours", ours, run.marks[-1]), ("scalars and histograms", board, "mark")):
                megabytes = sum(path.stat().st_size for path in logdir.rglob("*tfevents*"))
                load = LOAD[fast](logdir)
                with tensorboard(logdir, f"--load_fast={fast}") as address:
                    wait_for(address, mark)
                    answer, points = (answered(address, steps), steps) if name == "ours" else board_answered(address)
                    held = f"{memory(address):.0f} MB"
                figures = [size(megabytes), duration(load), duration(answer), held, f"{points:,}"]
                rows.append([f"`--load_fast={fast}`", name, *figures])
    return rows


def main() -> None:
    """Write the log, read it and print the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--steps", type=int, default=1_000_000)
    arguments.add_argument("--parameters", type=int, default=200)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--beside", type=int, default=100_000, help="steps of the second table's run; 0 for none")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        logdir = Path(directory) / "logs"
        start = time.perf_counter()
        run = LongRun(logdir / RUN, options.parameters)
        run.grow(options.steps)
        written = size(sum(path.stat().st_size for path in logdir.rglob("*tfevents*")))
        took = time.perf_counter() - start
        print(f"{options.steps} steps x {options.parameters} parameters: {written}, written in {took:.0f} s")
        results = {fast: [measured(logdir, run, fast) for _ in range(options.rounds)] for fast in LOADERS}
        run.close()
    names = list(results["true"][0])
    rows = [
        [f"`--load_fast={fast}`", *(f"{np.median([each[name] for each in rounds]):.3f}" for name in names)]
        for fast, rounds in results.items()
    ]
    print_table("From loaded to shown:", ("loader", *names), rows)
    if options.beside:
        header = ("loader", "log", "size", "load", "answer", "memory", "shown")
        print_table(f"{options.beside:,} steps, beside:", header, beside(options.beside, options.parameters))


if __name__ == "__main__":
    main()
