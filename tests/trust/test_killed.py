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
"""Steps a second, of trainings with PyTorch's writer that run side by side."""

OTHERS = (("watch", 200, 20), ("eager", 50, 0), ("keras", 50, 10))
MORE = (("watch", 2000, 1), ("graph", 100, 30), ("keras", 3, 0))
"""Trainings beside these that are recorded in other ways, in the long form some more: the way, steps a second, and how
many steps before the one it was killed at it goes on."""

FRAMEWORKS = {"writer": "torch", "watch": "torch", "eager": "tensorflow", "graph": "tensorflow", "keras": "tensorflow"}

ROUNDS, LONG_ROUNDS = 1, 25
LONGEST = 12.0
"""Seconds after which the last one is killed."""

PROMISE = 5.0
BEATS = 1000
"""As many of the newest times when a thread of a training could run are known, 20 seconds of them or more."""
BACK = (0, 1, 500, 0, 20, 400, 10**9, 3)
"""How many steps before the one it was killed at each goes on: from its newest checkpoint, or from the start."""


@dataclass
class Killed:
    """A training that was killed, and went on.

    `begun`: how many steps it began. `ended`: the times when steps ended. `beats`: those when a thread of it could run.
    `when` it was killed. `kept`: how many steps were in its log. `again`: the step from which on they were made again.
    `steps`: what the log has to have in the end.
    """

    way: str
    logdir: Path
    begun: int
    ended: np.ndarray
    beats: np.ndarray
    when: float
    kept: int
    again: int = 0
    steps: tuple[int, ...] = ()

    @property
    def lost(self) -> float:
        """Seconds from the end of the oldest step that is not in the log."""
        return self.when - float(self.ended[self.kept]) if self.kept < len(self.ended) else 0.0

    @property
    def held_up(self) -> float:
        """Seconds at a time, of the newest, in which no thread of it could run, and so the one that writes neither."""
        gaps, ends = np.diff(self.beats, append=self.when), np.append(self.beats[1:], self.when)
        return float(gaps[ends > self.when - 2 * PROMISE].max())


class Trainings:
    """Starts trainings in processes of their own, which load their framework once."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.scripts.paced"]
        self.processes = {
            framework: subprocess.Popen([*command, framework], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for framework in sorted(set(FRAMEWORKS.values()))
        }

    def ask(self, way: str, *words: object) -> int:
        process = self.processes[FRAMEWORKS[way]]
        assert process.stdin is not None
        assert process.stdout is not None
        print(*words, file=process.stdin, flush=True)
        return int(process.stdout.readline())

    def start(self, way: str, pace: float, start: int, steps: int, logdir: Path) -> tuple[int, np.ndarray, np.ndarray]:
        """Process id, where it notes times of steps, and where those when a thread of it could run."""
        file = logdir.parent / f"{logdir.name}-{start}.times"
        times = np.memmap(file, np.float64, "w+", shape=(steps, 2))
        beats = np.memmap(f"{file}.beats", np.float64, "w+", shape=(BEATS,))
        return self.ask(way, way, pace, start, steps, logdir, file), times, beats

    def end(self) -> None:
        for process in self.processes.values():
            process.communicate()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, long: bool) -> list[Killed]:
    """Trainings that were killed at random moments and then went on."""
    moments, root = random.Random(time.time()), tmp_path_factory.mktemp("killed")
    runs = [*(("writer", *each) for each in zip(PACES, BACK, strict=True)), *OTHERS, *(MORE if long else ())]
    trainings, found = Trainings(), []
    try:
        for number in range(LONG_ROUNDS if long else ROUNDS):
            (root / str(number)).mkdir()
            round_ = _killed(trainings, root / str(number), moments, runs)
            for each, (_, _, back) in zip(round_, runs, strict=True):
                _go_on(trainings, each, back)
            found += round_
    finally:
        trainings.end()
    return found


def _killed(trainings: Trainings, root: Path, moments: random.Random, runs: list[tuple[str, int, int]]) -> list[Killed]:
    """A training of every kind, killed at some moment, each after another."""
    running = []
    for number, (way, pace, _) in enumerate(runs):
        logdir = root / f"run{number:02}"
        running.append((way, logdir, *trainings.start(way, pace, 0, round(pace * 10 * LONGEST), logdir)))
    beginning, found = time.monotonic(), []
    ends = sorted(moments.uniform(0.5, LONGEST) for _ in running)
    order = moments.sample(running, len(running))
    for end, (way, logdir, child, times, beats) in zip(ends, order, strict=True):
        while time.monotonic() < beginning + end or not times[0, 0] or not beats[0]:
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        when = time.time()
        assert trainings.ask(way, "wait", child) == -signal.SIGKILL
        run = tb_gradclip.read(logdir).get(".")
        kept = 0 if run is None else len(run.steps)
        if run is not None:
            assert run.steps["step"].tolist() == list(range(kept))
        begun, ended = times[times[:, 0] > 0, 0], times[times[:, 1] > 0, 1]
        found.append(Killed(way, logdir, len(begun), ended, np.sort(beats[beats > 0]), when, kept))
    return sorted(found, key=lambda each: each.logdir)


def _go_on(trainings: Trainings, killed: Killed, back: int) -> None:
    """Train on from an earlier step, in the same directory, to a normal end without `close`."""
    killed.again = max(0, killed.begun - back)
    child, *_ = trainings.start(killed.way, 2000, killed.again, 300, killed.logdir)
    assert trainings.ask(killed.way, "wait", child) == 0
    killed.steps = (*range(min(killed.kept, killed.again)), *range(killed.again, killed.again + 300))


def test_at_most_the_last_five_seconds_are_lost(killed: list[Killed]) -> None:
    lost = [each.lost for each in killed if each.lost]
    held_up = max(each.held_up for each in killed)
    print(f"{len(lost)} of {len(killed)} lost steps: {np.median(lost):.2f} s, {max(lost, default=0.0):.2f} s at most")
    print(f"no thread could run for {held_up:.2f} s at most")
    for each in killed:
        assert each.kept <= each.begun
        assert each.lost < PROMISE + each.held_up, f"{each.logdir}: {each.kept} of {len(each.ended)}, {each.lost} s"
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
            assert (run["steps"], run["first_step"]) == (len(each.steps), each.steps[0])
            assert run["last_step"] == each.steps[-1]
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
