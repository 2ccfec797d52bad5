"""`tb-gradclip check`: whether runs keep to limits, for CI of training code.

It prints a line for every reason not to pass, `run: limit: what was found where`, and nothing where there is none.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from tb_gradclip.commands import baseline, found, limits
from tb_gradclip.commands.arguments import share
from tb_gradclip.commands.limits import Reason
from tb_gradclip.commands.plain import complain, inert, say

DESCRIPTION = """Whether runs keep to limits: exit status 0 if all do, 1 if one does not, with a line for every reason,
2 if there is no run to look at. With limits only what they ask for is checked."""


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser its arguments."""
    parser.description = DESCRIPTION
    found.fill(parser)
    limits.fill(parser)
    group = parser.add_argument_group("comparison")
    group.add_argument(
        "--baseline",
        type=Path,
        metavar="OTHER",
        help="directory of earlier runs of the same names (or one run each): the clip rate must be in the same regime "
        "(rarely, at times, mostly, nearly always), the loss at the end no higher, no new kind of alert",
    )
    group.add_argument(
        "--loss-tolerance",
        type=share,
        metavar="X",
        default=baseline.LOSS_TOLERANCE,
        help="by what part of its size the loss at the end may be above the baseline's (default: %(default)s)",
    )


def carry_out(options: argparse.Namespace) -> int:
    """Check. Returns 0, 1 if there is a reason, 2 if there is nothing to look at."""
    if options.baseline is not None:
        return _compared(options)
    looked, passed = False, True
    for run in found.runs(options.logdir, options.run):
        looked = True
        for reason in limits.reasons(run, options) if limits.any_set(options) else limits.broken(run):
            passed = False
            say(inert(str(reason)))
    return (0 if passed else 1) if looked else 2


def _compared(options: argparse.Namespace) -> int:
    runs = {run.name: run for run in found.runs(options.logdir, options.run)}
    old = {run.name: run for run in found.runs(options.baseline, options.run)}
    if not runs or not old:
        return 2
    if not (runs.keys() & old.keys() or len(runs) == len(old) == 1):
        complain("no run has the name of a run of the baseline. Give two directories whose runs are called the same.")
        return 2
    passed = True
    for reason in _differences(options, baseline.pairs(runs, old)):
        passed = False
        say(inert(str(reason)))
    return 0 if passed else 1


def _differences(options: argparse.Namespace, pairs: Iterator[baseline.Pair]) -> Iterator[Reason]:
    """Reasons of every pair; a run that the baseline lacks is only held to limits, and that is said."""
    for name, run, old in pairs:
        if run is None:
            yield Reason(name, "baseline-missing", "there is no such run any more")
            continue
        if limits.any_set(options):
            yield from limits.reasons(run, options)
        if old is None:
            complain(f"{name}: the baseline has no such run")
        else:
            yield from baseline.reasons(run, old, options.loss_tolerance)
