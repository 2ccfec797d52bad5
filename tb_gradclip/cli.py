"""Runs in the terminal: `tb-gradclip report LOGDIR` describes them, `tb-gradclip check LOGDIR` fails if one broke."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tb_gradclip.core.rates import windowed_clip_rate, windowed_throttle
from tb_gradclip.storage.read import Run, read

HEADINGS = ("run", "rule", "steps", "last loss", "clip rate", "throttle", "alerts")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line (this program's own by default).

    Returns:
      Exit status: 0; 1 from `check` if any run has an alert of severity `error`, as no `lint` has; 2 if there is
      nothing to look at.
    """
    options = _parser().parse_args(arguments)
    try:
        runs = read(options.logdir)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    if not runs:
        print(f"no run under {str(options.logdir)!r} was recorded by gradclip", file=sys.stderr)
        return 2
    broken = [run for run in runs.values() if any(alert.severity == "error" for alert in run.alerts)]
    if options.command == "report":
        print("\n".join(table([HEADINGS, *map(summary, runs.values())])))
    for run in runs.values() if options.command == "report" else broken:
        for alert in run.alerts:
            print(f"{run.name}: {alert}")
    return 1 if broken and options.command == "check" else 0


def summary(run: Run) -> tuple[str, ...]:
    """One run as the cells of a table; the last loss is the mean over up to 50 finite ones, "-" says there is none."""
    losses = run.steps["loss"][-50:]
    finite = losses[np.isfinite(losses)]
    clips = run.rule.kind != "none"
    rate = windowed_clip_rate(run.steps, len(run.steps)).rate[-1] if clips else np.nan
    throttle = windowed_throttle(run.steps, len(run.steps))[-1] if clips else np.nan
    return (
        run.name,
        run.rule.text,
        f"{len(run.steps)}{'' if run.complete else ', some missing'}",
        f"{finite.mean():.4g}" if len(finite) else "-",
        _percent(rate),
        _percent(throttle),
        str(len(run.alerts)),
    )


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose columns are as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{share:.1%}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tb-gradclip", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in (
        ("report", "a line for every run, then its alerts"),
        ("check", "alerts of runs that broke; exit status 1 if there are any"),
    ):
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.add_argument("logdir", type=Path, help="directory of the runs")
    return parser
