"""The command line of a single experiment: `python -m demo.lstm runs`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from demo.experiments import EXPERIMENTS


def experiment(train: Callable[..., None], runs: Iterable[str], data: str | None = None) -> None:
    """Train every run in turn, as the command line says, and say what to look at.

    Args:
      train: is given the log directory, the name of a run, and `data` if there is a choice.
      runs: their names.
      data: help for `--data`, of an experiment that can be given other data than it has.
    """
    name = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(prog=f"python -m demo.{name}")
    parser.add_argument("logdir", type=Path, help="where to record")
    if data is not None:
        parser.add_argument("--data", help=data)
    options = vars(parser.parse_args())
    for run in runs:
        train(run=run, **options)
    print(f"What to look at. {EXPERIMENTS[name].look}")
