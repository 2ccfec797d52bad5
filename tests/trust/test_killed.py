"""A training that is killed loses five seconds at most, and one that goes on in the same directory shows where."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tb_gradclip
from tb_gradclip.core import framing, schema
from tb_gradclip.core.schema import Tag
from tests.tensorboard import LOADERS, fetch, tensorboard

PACES = (1, 2000, 7, 1000, 30, 500, 100, 2000)
"""Steps a second, of trainings that run side by side."""

ROUNDS, LONG_ROUNDS = 1, 25
LONGEST = 12.0
"""Seconds after which the last one is killed."""

PROMISE = 5.0
BACK = (0, 1, 500, 0, 20, 400, 10**9, 3)
"""How many steps before the one it was killed at each goes on: from its newest checkpoint, or from the start."""


@dataclass
class Killed:
    """A training that was killed, and went on.

    `made`: times of the steps it made. `kept`: how many of them were in its log. `again`: the step from which on it was
    made again. `steps`: what the log has to have in the end.
    """

    logdir: Path
    made: np.ndarray
    when: float
    kept: int
    again: int = 0
    steps: tuple[int, ...] = ()


class Trainings:
    """Starts trainings in processes of their own, which load PyTorch once."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.scripts.paced"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words: object) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(*words, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def start(self, pace: float, start: int, steps: int, logdir: Path) -> tuple[int, np.ndarray]:
        """Process id, and where it notes times."""
        file = logdir.parent / f"{logdir.name}-{start}.times"
        times = np.memmap(file, np.float64, "w+", shape=(steps,))
        return self.ask(pace, start, steps, logdir, file), times


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, long: bool) -> list[Killed]:
    """Trainings that were killed at random moments and then went on."""
    moments, root = random.Random(time.time()), tmp_path_factory.mktemp("killed")
    trainings, found = Trainings(), []
    with trainings.process:
        for number in range(LONG_ROUNDS if long else ROUNDS):
            (root / str(number)).mkdir()
            round_ = _killed(trainings, root / str(number), moments)
            for each, back in zip(round_, BACK, strict=True):
                _go_on(trainings, each, back)
            found += round_
        assert trainings.process.stdin is not None
        trainings.process.stdin.close()
    return found


def _killed(trainings: Trainings, root: Path, moments: random.Random) -> list[Killed]:
    """A training of every pace, killed at some moment, each after another."""
    running = []
    for number, pace in enumerate(PACES):
        logdir = root / f"run{number}"
        running.append((logdir, *trainings.start(pace, 0, round(pace * 10 * LONGEST), logdir)))
    beginning, found = time.monotonic(), []
    ends = sorted(moments.uniform(0.5, LONGEST) for _ in running)
    order = moments.sample(running, len(running))
    for end, (logdir, child, times) in zip(ends, order, strict=True):
        while time.monotonic() < beginning + end or not times[0]:
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        when = time.time()
        assert trainings.ask("wait", child) == -signal.SIGKILL
        run = tb_gradclip.read(logdir).get(".")
        kept = 0 if run is None else len(run.steps)
        if run is not None:
            assert run.steps["step"].tolist() == list(range(kept))
        found.append(Killed(logdir, times[times > 0].copy(), when, kept))
    return sorted(found, key=lambda each: each.logdir)


def _go_on(trainings: Trainings, killed: Killed, back: int) -> None:
    """Train on from an earlier step, in the same directory, to a normal end."""
    killed.again = max(0, len(killed.made) - back)
    child, _ = trainings.start(2000, killed.again, 300, killed.logdir)
    assert trainings.ask("wait", child) == 0
    killed.steps = (*range(min(killed.kept, killed.again)), *range(killed.again, killed.again + 300))


def test_at_most_the_last_five_seconds_are_lost(killed: list[Killed]) -> None:
    lost = [each.when - each.made[each.kept] for each in killed if each.kept < len(each.made)]
    print(f"{len(lost)} of {len(killed)} lost steps: {np.median(lost):.2f} s, {max(lost, default=0.0):.2f} s at most")
    for each in killed:
        # A machine that had no time for the training had none for its log.
        gaps = np.diff(each.made[each.made > each.when - 2 * PROMISE], append=each.when)
        stall = float(gaps.max() - np.median(gaps))
        assert each.kept <= len(each.made)
        if each.kept < len(each.made):
            assert each.when - each.made[each.kept] < PROMISE + stall, f"{each.logdir}: {each.kept} of {len(each.made)}"
    assert sum(each.kept for each in killed) > 1000


def test_python_reads_both_parts_and_knows_the_seam(killed: list[Killed]) -> None:
    for each in killed:
        run = tb_gradclip.read(each.logdir)["."]
        assert run.steps["step"].tolist() == list(each.steps)
        assert run.complete
        assert run.seams == _seams(each)
        assert run.steps["loss"].tolist() == list(each.steps)  # which is the step in every attempt
        assert (run.steps["wall_time"][run.steps["step"] >= each.again] > each.when).all()


def test_tensorboards_own_reader_takes_every_record(killed: list[Killed]) -> None:
    for each in killed:
        accumulator = EventAccumulator(str(each.logdir), {"tensors": 0})
        accumulator.Reload()
        tags = {tag: Tag.parse(tag) for tag in accumulator.Tags()["tensors"]}
        rows = set()
        for tag, parsed in tags.items():
            if parsed is not None and parsed.kind == "steps":
                for event in accumulator.Tensors(tag):
                    frame = event.tensor_proto.tensor_content
                    assert framing.unpack(frame)
                    rows |= {(parsed.attempt, step) for step in schema.decode_steps(frame).rows["step"].tolist()}
        assert len(rows) == each.kept + 300


@pytest.mark.parametrize("load_fast", LOADERS)
def test_the_tab_shows_both_parts_and_the_seam(killed: list[Killed], load_fast: str) -> None:
    root = killed[0].logdir.parent
    of_round = [each for each in killed if each.logdir.parent == root]
    with tensorboard(root, f"--load_fast={load_fast}") as address:
        deadline = time.monotonic() + 60
        expected = {each.logdir.name: len(each.steps) for each in of_round}
        while True:
            runs = {run["name"]: run for run in json.loads(fetch(address, "runs"))["runs"]}
            if {name: run["steps"] for name, run in runs.items()} == expected or time.monotonic() > deadline:
                break
            time.sleep(0.3)
        for each in of_round:
            run = runs[each.logdir.name]
            assert (run["steps"], run["first_step"], run["last_step"]) == (len(each.steps), 0, each.steps[-1])
            assert run["complete"]
            assert tuple(seam["step"] for seam in run["seams"]) == _seams(each)
            assert all(seam["wall_time"] > each.when for seam in run["seams"])
            query = urllib.parse.urlencode({"run": run["name"], "column": "loss", "points": 10000})
            header, numbers = framing.unpack(fetch(address, f"series?{query}"))
            (line,) = header["series"]
            shown = np.frombuffer(numbers, "<f8")[: line["rows"]]
            assert (np.diff(shown) > 0).all()
            assert line["total"] == len(each.steps)


def _seams(killed: Killed) -> tuple[int, ...]:
    """One, unless nothing is left of what was before it."""
    return (killed.again,) if killed.kept and killed.again else ()
