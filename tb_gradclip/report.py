"""Recorded runs in the terminal: a table of them, and whether one broke."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tb_gradclip.core.rates import windowed_clip_rate, windowed_throttle
from tb_gradclip.storage.read import Run, read

HEADINGS = ("run", "rule", "steps", "last loss", "clip rate", "throttle", "alerts")


def report(logdir: Path) -> int:
    """Print a line for every run, then its alerts. Returns 0, or 2 if there is nothing to look at."""
    runs = _runs(logdir)
    if runs:
        print("\n".join(table([HEADINGS, *map(summary, runs)])))
        _print_alerts(runs)
    return 0 if runs else 2


def check(logdir: Path) -> int:
    """Print the alerts of runs that broke.

    Returns:
      0; 1 if any run has an alert of severity `error`, as no `lint` has; 2 if there is nothing to look at.
    """
    runs = _runs(logdir)
    broken = [run for run in runs if any(alert.severity == "error" for alert in run.alerts)]
    _print_alerts(broken)
    return 1 if broken else 0 if runs else 2


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


def _runs(logdir: Path) -> list[Run]:
    """The runs; without any, says why there is nothing to look at."""
    try:
        runs = list(read(logdir).values())
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return []
    if not runs:
        print(f"no run under {str(logdir)!r} was recorded by gradclip", file=sys.stderr)
    return runs


def _print_alerts(runs: Sequence[Run]) -> None:
    for run in runs:
        for alert in run.alerts:
            print(f"{run.name}: {alert}")


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{share:.1%}"
