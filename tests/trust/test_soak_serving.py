"""TensorBoard while a run grows and pages ask: what its process takes stays level, however long that goes on."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from tests.tensorboard import board, fetch
from tests.trust.test_live import PACE, written
from tests.usage import Usage, needs_proc, usage
from tests.viewers import hurry, stay, view

HOURS = 2
GROWTH = 64 << 20
"""Bytes of TensorBoard's own that the fourth quarter may lie above the second. Answers that are made just then take up
to 300 MB in the long form, one moment or the other."""

BYTES_A_STEP = 200
"""Of the data server, which has the log in memory: it takes up to 62 bytes a step there, and vectors double."""


@needs_proc
def test_memory_stays_level_while_a_run_grows_and_pages_ask(tmp_path: Path, long: bool) -> None:
    seconds, rounds = (HOURS * 3600, 24) if long else (12, 4)
    logs = tmp_path / "logs"
    found: list[tuple[int, Usage]] = []
    with board(logs) as (address, pid), written(logs / "run", PACE * seconds) as writer:
        wait_until_there(address)
        for goal in range(1, rounds + 1):
            while (shown := shown_steps(address)) < PACE * seconds * goal / rounds:
                answers = view(address, 8, stay(60, 10, 5, 30)) if long else view(address, 4, hurry(4))
                assert [answer for answer in answers if answer.status not in (200, 304)] == []
            found.append((shown, usage(pid)))
        writer.communicate(timeout=seconds + 600)
    for steps, each in found:
        print(f"{steps:,} steps: {each.own >> 20} MB, its data server {each.children >> 20} MB")
    half = found[len(found) // 2 :]
    quarters = np.array_split([each.own for _, each in found], 4)
    assert np.median(quarters[3]) - np.median(quarters[1]) < GROWTH
    assert max(map(max, quarters[2:])) - max(map(max, quarters[:2])) < (256 << 20 if long else GROWTH)
    growth = half[-1][1].children - half[0][1].children
    assert growth < (16 << 20) + BYTES_A_STEP * (half[-1][0] - half[0][0])


def shown_steps(address: str) -> int:
    return sum(int(run["steps"]) for run in json.loads(fetch(address, "runs"))["runs"])


def wait_until_there(address: str) -> None:
    """Until the run has its first steps."""
    end = time.monotonic() + 60
    while not shown_steps(address):
        assert time.monotonic() < end, "TensorBoard never showed the run"
        time.sleep(0.2)
