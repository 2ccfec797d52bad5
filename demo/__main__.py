"""`python -m demo`: train the demo runs, say what happened, and show them in TensorBoard."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

import tb_gradclip
from demo.experiments import EXPERIMENTS
from demo.serve import free_port, tensorboard


def main() -> int:
    """Carry out the command line; returns the exit status."""
    options = arguments()
    names = [options.only] if options.only else list(EXPERIMENTS)
    try:
        for name in names:
            train(name, options)
        summarise(options.logdir, names)
        if options.serve:
            serve(options.logdir, options.port)
    except KeyboardInterrupt:
        print("\nStopped.")
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--logdir", type=Path, default=Path("runs/demo"), help="where to record (%(default)s)")
    parser.add_argument("--only", choices=EXPERIMENTS, help="train only this experiment")
    parser.add_argument("--again", action="store_true", help="train also what has been trained before")
    parser.add_argument("--port", type=int, default=6006, help="TensorBoard's port, or the next free one (%(default)s)")
    parser.add_argument("--no-serve", dest="serve", action="store_false", help="train, but do not start TensorBoard")
    parser.add_argument("--data", help="with --only: the data of an experiment that can be given other than its own")
    options = parser.parse_args()
    if options.data is not None and not (options.only and EXPERIMENTS[options.only].has_data):
        having = ", ".join(name for name, experiment in EXPERIMENTS.items() if experiment.has_data)
        parser.error(f"--data goes with --only and one of {having}, got --only {options.only}")
    return options


def train(name: str, options: argparse.Namespace) -> None:
    """Train one experiment in a process of its own, for PyTorch and TensorFlow are best kept apart."""
    package, look, _ = EXPERIMENTS[name]
    done = options.logdir / name / "trained"
    if done.exists() and not options.again:
        print(f"{name}: trained before; use --again to train it again.\nWhat to look at. {look}")
        return
    if importlib.util.find_spec(package) is None:
        print(f"{name}: left out, because {package} is not installed.")
        return
    # TensorFlow is told to keep its start-up messages to itself, and both to leave a GPU alone: the models are small.
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "-1"}
    data = [] if options.data is None else ["--data", options.data]
    command = [sys.executable, "-m", f"demo.{name}", str(options.logdir), *data]
    print(f"{name}: training", flush=True)
    subprocess.run(command, check=True, env={**os.environ, **quiet})
    done.touch()


def summarise(logdir: Path, names: list[str]) -> None:
    """Say in a few words what became of every run."""
    for name, run in tb_gradclip.read(logdir).items():
        if name.split("/")[0] not in names:
            continue
        finite = np.isfinite(run.steps["loss"])
        last = f"loss {run.steps['loss'][finite][-50:].mean():.4g}" if finite[-50:].all() else "loss not a number"
        clips = "" if run.rule.kind == "none" else f", {run.steps['clipped'].mean():.0%} of steps clipped"
        print(f"  {name:24} {last} after {len(run.steps)} steps{clips}")
        for alert in run.alerts:
            print(f"  {'':24} step {alert.step}: {alert.message}")


def serve(logdir: Path, wanted: int) -> None:
    """Run TensorBoard until it is interrupted."""
    port = free_port(wanted)
    if port != wanted:
        print(f"Port {wanted} is taken, so TensorBoard uses {port}.")
    print("Starting TensorBoard ...", flush=True)
    with tensorboard(logdir, port) as process:
        print(f"\nOpen http://localhost:{port}/#gradclip in a browser. Ctrl-C ends it.", flush=True)
        process.wait()


def interrupt(*_: object) -> None:
    """End as if by Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    sys.exit(main())
