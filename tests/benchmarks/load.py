"""Many people at one TensorBoard: how long they wait, what it takes, and whether a run in training notices.

    python -m tests.benchmarks.load [--viewers 50] [--seconds 60] [--pointing 10] [--zooming 60] [--runs 20]
                                    [--steps 1000000] [--rounds 5] [--logdir DIR]

Logs are those of `tests.benchmarks.dashboard`. Viewers are what `tests.viewers` says: each loads the page, asks for all
panels, then every 10 s whether there is anything new, and every so many seconds for the distribution at another step
and for all panels over another range, which nobody asked for before. They run in this process, on the same cores.
The first table is by route. `bad`: neither 200 nor 304.

The second is about a run that is written at 2,000 steps a second into the same directory, by another process, in
turns, each as long: the writer alone, some viewers who look at the other runs alone, both. Processor time is that of
the writer for 1,000 steps, the making up of its numbers included, and TensorBoard's for a request.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np

from tests.benchmarks.contest import alternate, number, parser, print_machine, print_table, spread
from tests.benchmarks.dashboard import logs, wait_until_read, write_logs
from tests.tensorboard import board
from tests.usage import usage
from tests.viewers import Answer, hurry, stay, view

PACE = 2000
LIVE_SECONDS = 10
LIVE_VIEWERS = 4


def options(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    known = parser(__doc__)
    known.add_argument("--viewers", type=int, default=50)
    known.add_argument("--seconds", type=float, default=60.0)
    known.add_argument("--pointing", type=float, default=10.0)
    known.add_argument("--zooming", type=float, default=60.0)
    known.add_argument("--runs", type=int, default=20)
    known.add_argument("--steps", type=int, default=1_000_000)
    known.add_argument("--rounds", type=int, default=5)
    known.add_argument("--logdir", type=Path)
    return known.parse_args(arguments)


def crowd(address: str, pid: int, given: argparse.Namespace) -> None:
    """Print how long everybody waited."""
    before, own, begun = usage(pid), time.process_time(), time.monotonic()
    answers = view(address, given.viewers, stay(given.seconds, 10.0, given.pointing, given.zooming))
    after, own, taken = usage(pid), time.process_time() - own, time.monotonic() - begun
    by_route: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_route[answer.route].append(answer)
    lines = [row(name, found) for name, found in [*sorted(by_route.items()), ("all", answers)]]
    title = f"{given.viewers} viewers of {given.runs} runs of {given.steps:,} steps, {taken:.0f} s"
    print_table(title, ("route", "requests", "bad", "p50, ms", "p95", "p99", "longest", "MB"), lines)
    print(
        f"\nTensorBoard took {after.seconds - before.seconds:.0f} s of processor time, the viewers {own:.0f} s; "
        f"its memory went from {before.own >> 20} to {after.own >> 20} MB, its data server's from "
        f"{before.children >> 20} to {after.children >> 20} MB; load of the machine {os.getloadavg()[0]:.1f}"
    )


def row(name: str, answers: list[Answer]) -> list[str]:
    """What the table says of some requests."""
    times = [1e3 * answer.seconds for answer in answers]
    bad = sum(answer.status not in (200, 304) for answer in answers)
    figures = [*np.percentile(times, [50, 95, 99]), max(times)]
    sent = sum(answer.size for answer in answers) / 1e6
    return [name, f"{len(answers):,}", str(bad), *(f"{figure:,.0f}" for figure in figures), f"{sent:,.1f}"]


class Live:
    """Turns of a writer, of viewers, and of both; what each took is noted by name."""

    def __init__(self, address: str, pid: int, logdir: Path) -> None:
        self._address, self._pid, self._logdir = address, pid, logdir
        self.taken: dict[str, list[float]] = defaultdict(list)

    def turn(self, *, writes: bool, views: bool) -> float:
        """One turn; seconds it took."""
        begun, before = time.monotonic(), usage(self._pid).seconds
        name = "both" if writes and views else "alone"
        steps = PACE * LIVE_SECONDS
        arguments = [str(self._logdir / "live"), str(steps), str(PACE)]
        command = [sys.executable, "-m", "tests.scripts.growing", *arguments]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True) if writes else None
        if views:
            answers: list[Answer] = []
            while time.monotonic() < begun + LIVE_SECONDS:
                answers += view(self._address, LIVE_VIEWERS, hurry(1))
            self.taken[f"seconds of a request, {name}"] += [float(np.median([a.seconds for a in answers]))]
            self.taken[f"processor, a request, {name}"] += [(usage(self._pid).seconds - before) / len(answers)]
        if writer is not None:
            told = json.loads(writer.communicate()[0])
            self.taken[f"seconds late, {name}"] += [told["seconds"] - LIVE_SECONDS]
            self.taken[f"processor, 1,000 steps, {name}"] += [1e3 * told["processor"] / steps]
            shutil.rmtree(self._logdir / "live")
        return time.monotonic() - begun


def live(address: str, pid: int, logdir: Path, rounds: int) -> None:
    """Print what a writer and viewers take alone and together."""
    turns = Live(address, pid, logdir)
    kinds = {"writer": (True, False), "viewers": (False, True), "both": (True, True)}
    alternate({name: partial(turns.turn, writes=w, views=v) for name, (w, v) in kinds.items()}, rounds)
    lines = []
    for name in sorted({name.rpartition(", ")[0] for name in turns.taken}):
        alone, both = (np.array(turns.taken[f"{name}, {side}"]) for side in ("alone", "both"))
        ratio = spread(both / alone) if (alone > 0).all() else ""
        lines.append([name, *(f"{number(1e3 * float(np.median(each)))} ms" for each in (alone, both)), ratio])
    title = f"A run written at {PACE:,} steps a second, and {LIVE_VIEWERS} viewers without a pause; medians of {rounds}"
    print_table(title, ("", "alone", "both", "ratio"), lines)


def main(arguments: list[str] | None = None) -> None:
    """Write the logs, have them viewed, and print the tables."""
    given = options(arguments)
    print_machine()
    with logs(given) as logdir:
        write_logs(logdir, given.runs, given.steps)
        shutil.rmtree(logdir / "live", ignore_errors=True)  # of a benchmark that was stopped
        with board(logdir, "--load_fast=true", "--reload_interval=5") as (address, pid):
            wait_until_read(address, given.runs, given.steps)
            crowd(address, pid, given)
            live(address, pid, logdir, given.rounds)


if __name__ == "__main__":
    main()
