"""Hours of writing at full speed while alerts fire: the process does not grow, and the log is as large as we say."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tb_gradclip.core import framing
from tb_gradclip.core.charts.outline import ROWS_PER_OUTLINE
from tb_gradclip.core.schema import Tag
from tb_gradclip.storage.events import read_events

SECONDS, LONG_SECONDS = 10, 2 * 3600
SAMPLES = 200

GROWTH = 2 << 20
"""Bytes that the fourth quarter may lie above the third. In the long form that is half a byte a step."""

LEAK = 1 << 14
"""Bytes that a process loses at every step to show that the bound would be exceeded."""

BYTES, STEPS = 2.8e6, 20_000
"""What the README says of 20 weight matrices; later steps take less."""


@dataclass
class Soak:
    """A training at full speed."""

    logdir: Path
    process: subprocess.Popen[str]
    memory: list[int] = field(default_factory=list)
    steps: int = 0
    alerts: dict[str, int] = field(default_factory=dict)

    @property
    def levels(self) -> list[int]:
        """Bytes that are held throughout each quarter; what waits to be recorded comes and goes with the load."""
        quarter = len(self.memory) // 4
        return [min(self.memory[i * quarter : (i + 1) * quarter]) for i in range(4)]

    @property
    def growth(self) -> int:
        """Bytes that the fourth quarter lies above the third."""
        return self.levels[3] - self.levels[2]


@pytest.fixture(scope="module")
def soaks(tmp_path_factory: pytest.TempPathFactory, long: bool) -> dict[str, Soak]:
    """Trainings: one whose alerts are heard, one where nobody listens, and a short one that leaks."""
    root = tmp_path_factory.mktemp("soak")
    if not long:
        return _watched(root, SECONDS, 512, "heard", "unheard", "leaks")
    return {
        **_watched(root, SECONDS, 512, "leaks"),
        **_watched(root, LONG_SECONDS, ROWS_PER_OUTLINE, "heard", "unheard"),
    }


def _watched(root: Path, seconds: float, rows: int, *names: str) -> dict[str, Soak]:
    """Trainings side by side, to their end."""
    running = {name: _started(root / name, seconds, rows) for name in names}
    for soak in running.values():
        assert soak.process.stdout is not None
        assert soak.process.stdout.readline() == "trains\n"
    beginning = time.monotonic()
    for number in range(SAMPLES):
        for soak in running.values():
            soak.memory.append(_resident(soak.process))
        time.sleep(max(0.0, beginning + (number + 1) * (seconds - 1) / SAMPLES - time.monotonic()))
    for soak in running.values():
        said = json.loads(soak.process.communicate()[0])
        soak.steps, soak.alerts = said["steps"], said["alerts"]
        assert soak.process.returncode == 0
    return running


def _started(logdir: Path, seconds: float, rows: int) -> Soak:
    heard, leak = "heard" if logdir.name == "heard" else "unheard", LEAK if logdir.name == "leaks" else 0
    command = [sys.executable, "-m", "tests.scripts.full_speed", logdir, seconds, heard, rows, leak]
    return Soak(logdir, subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True))


def _resident(process: subprocess.Popen[str]) -> int:
    """Bytes of memory that a process has to itself now, without pages of files."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) << 10
    raise AssertionError("the process ended too soon")


@pytest.mark.parametrize("name", ["heard", "unheard"])
def test_the_process_does_not_grow(soaks: dict[str, Soak], name: str) -> None:
    soak = soaks[name]
    levels = ", ".join(f"{level / 1e6:.1f}" for level in soak.levels)
    print(f"{soak.steps:,} steps, {sum(soak.alerts.values()):,} alerts heard: {levels} MB in each quarter")
    assert soak.steps > 1000
    assert soak.growth < GROWTH


def test_the_test_above_can_fail(soaks: dict[str, Soak]) -> None:
    assert soaks["leaks"].growth > 2 * GROWTH


@pytest.mark.parametrize("name", ["heard", "unheard"])
def test_the_log_is_whole_and_as_large_as_the_readme_says(soaks: dict[str, Soak], name: str) -> None:
    soak = soaks[name]
    (path,) = soak.logdir.iterdir()
    rows = alerts = 0
    for event in read_events(path):
        for value in event.summary.value:
            tag = Tag.parse(value.tag)
            if tag is not None and tag.kind == "steps":
                rows += framing.unpack(value.tensor.tensor_content)[0]["rows"][1]
            alerts += tag is not None and tag.kind == "alerts"
    assert rows == soak.steps
    assert alerts > 0
    assert (sum(soak.alerts.values()) > 0) == (name == "heard")
    assert path.stat().st_size < BYTES * max(1.0, rows / STEPS)
