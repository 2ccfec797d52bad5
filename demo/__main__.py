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
from demo.serve import free_port, tensorboard

NEEDS = {"lstm": "torch", "digits": "tensorflow", "regression": "keras"}
"""Experiments in the order they are trained, and the package each is made with."""


def main() -> int:
    """Carry out the command line; returns the exit status."""
    options = arguments()
    names = [options.only] if options.only else list(NEEDS)
    try:
        for name in names:
            train(name, options.logdir, options.again)
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
    parser.add_argument("--only", choices=NEEDS, help="train only this experiment")
    parser.add_argument("--again", action="store_true", help="train also what has been trained before")
    parser.add_argument("--port", type=int, default=6006, help="TensorBoard's port, or the next free one (%(default)s)")
    parser.add_argument("--no-serve", dest="serve", action="store_false", help="train, but do not start TensorBoard")
    return parser.parse_args()


def train(name: str, logdir: Path, again: bool) -> None:
    """Train one experiment in a process of its own, for PyTorch and TensorFlow are best kept apart."""
    done = logdir / name / "trained"
    if done.exists() and not again:
        print(f"{name}: trained before; use --again to train it again.")
        return
    if importlib.util.find_spec(NEEDS[name]) is None:
        print(f"{name}: left out, because {NEEDS[name]} is not installed.")
        return
    # TensorFlow is told to keep its start-up messages to itself, and both to leave a GPU alone: the models are small.
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", f"demo.{name}", str(logdir)]
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
