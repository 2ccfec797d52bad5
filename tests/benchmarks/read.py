"""What it takes until the dashboard shows a long run: time and memory beside TensorBoard's own, and a live reload.

    python -m tests.benchmarks.read [--steps 1000000] [--parameters 200] [--rounds 3]

A log is written by the real recorder and read by a real TensorBoard, once with each of its two loaders. Printed are
medians over the rounds:

- `load`: TensorBoard's loader alone reads the bytes, in a process of its own.
- `first answer`: once the server has loaded everything, `runs` and a chart of four columns; nobody asked before.
- `memory`: of the server process after that, and the part of it that came with our answers.
- `reload`: another 1000 steps are written, and TensorBoard has read them; `runs` and the chart again.
- `again`: the same with nothing new.
"""

from __future__ import annotations

import argparse
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

from tests.benchmarks.made import LongRun
from tests.tensorboard import LOADERS, fetch, tensorboard

RUN = "run"
CHART = f"series?run={RUN}&column=loss&column=norm_before&column=norm_after&column=clip_rate&points=2000"
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


def main() -> None:
    """Write the log, read it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--parameters", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        logdir = Path(directory) / "logs"
        start = time.perf_counter()
        run = LongRun(logdir / RUN, options.parameters)
        run.grow(options.steps)
        size = sum(path.stat().st_size for path in logdir.rglob("*tfevents*")) / 1e6
        took = time.perf_counter() - start
        print(f"{options.steps} steps x {options.parameters} parameters: {size:.1f} MB, written in {took:.0f} s")
        results = {fast: [measured(logdir, run, fast) for _ in range(options.rounds)] for fast in LOADERS}
        run.close()
    names = list(results["true"][0])
    print(f"{'loader':18}" + "".join(f"{name:>16}" for name in names))
    for fast, rounds in results.items():
        medians = [np.median([each[name] for each in rounds]) for name in names]
        print(f"{f'--load_fast={fast}':18}" + "".join(f"{value:16.3f}" for value in medians))


if __name__ == "__main__":
    main()
