"""A run that is written at 2,000 steps a second while pages look at it: every step arrives, nobody is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import tb_gradclip
from tests.tensorboard import board, fetch, wait_for_steps
from tests.viewers import stay, view

PACE = 2000
ROOT = Path(__file__).parent.parent.parent


def written(directory: Path, steps: int) -> subprocess.Popen[str]:
    """A process that records so many steps at that pace."""
    command = [sys.executable, "-m", "tests.scripts.growing", str(directory), str(steps), str(PACE)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("loader", ["true", "false"])
def test_every_step_of_a_run_in_training_is_seen(tmp_path: Path, loader: str, long: bool) -> None:
    seconds = 60 if long else 3
    steps = PACE * seconds
    logs = tmp_path / "logs"
    with board(logs, f"--load_fast={loader}") as (address, _), written(logs / "run", steps) as writer:
        answers = view(address, 4, stay(seconds, 0.5, 0.5, 1.0))
        told = json.loads(writer.communicate(timeout=600)[0])
        assert told["steps"] == steps
        assert [answer for answer in answers if answer.status not in (200, 304)] == []
        wait_for_steps(address, steps, runs=1)
        (shown,) = json.loads(fetch(address, "runs"))["runs"]
    (run,) = tb_gradclip.read(logs).values()
    assert shown["complete"]
    assert run.steps["step"].tolist() == list(range(steps))
    assert [alert["step"] for alert in shown["alerts"]] == [alert.step for alert in run.alerts]
