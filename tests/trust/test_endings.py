"""However a PyTorch training ends, it ends as it would have, and nothing of it is lost that could be kept."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import tb_gradclip
from tests.trust.trained import STEPS, WAYS

STATUS = {
    "normal": 0,
    "exit": 3,
    "message": 1,
    "at_once": 4,
    "error": 1,
    "interrupt": -signal.SIGINT,
    "terminate": -signal.SIGTERM,
    "forks": 0,
}
KILLED = {"at_once", "terminate"}
"""Endings at which nobody is asked: up to five seconds are lost, see `test_killed`."""


class Ended(NamedTuple):
    """How a program ended, what it computed, and what it said."""

    status: int
    computed: list[str]
    said: str


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[[str, str, Path], Ended]]:
    """Runs a training that is recorded in some way to some end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.scripts.endings"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def one(way: str, ending: str, logdir: Path) -> Ended:
        assert process.stdin is not None
        assert process.stdout is not None
        print(way, ending, STEPS, logdir, file=process.stdin, flush=True)
        status = int(process.stdout.readline())
        return Ended(status, Path(f"{logdir}.out").read_text().split(), Path(f"{logdir}.err").read_text())

    with process:
        yield one
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module", params=STATUS)
def bare(
    request: pytest.FixtureRequest, run: Callable[[str, str, Path], Ended], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Ended]:
    """An ending, and a training that is not recorded and ends in this way."""
    return request.param, run("bare", request.param, tmp_path_factory.mktemp("bare") / "run")


@pytest.mark.parametrize("way", WAYS)
def test_a_program_ends_as_it_would_have_and_loses_nothing(
    bare: tuple[str, Ended], way: str, run: Callable[[str, str, Path], Ended], tmp_path: Path
) -> None:
    ending, expected = bare
    ended = run(way, ending, tmp_path / "run")
    assert ended.status == expected.status == STATUS[ending], ended.said
    if ending == "forks":
        warned = [line for line in ended.said.splitlines() if "gradclip: " in line]
        assert len(warned) == 2, ended.said  # once in each of the children
        assert all("nothing is recorded in this process" in line for line in warned)
    else:
        assert _without_places(ended.said) == _without_places(expected.said)
    steps = len(ended.computed)
    if ending == "interrupt":  # at some moment
        steps = min(steps, len(expected.computed))
    assert ended.computed[:steps] == expected.computed[:steps]
    if ending not in KILLED:
        _check_log(ending, ended, tmp_path / "run")


def _check_log(ending: str, ended: Ended, logdir: Path) -> None:
    """Every step is in it, and every record once."""
    found = tb_gradclip.read(logdir)["."]
    made = {"normal": STEPS, "forks": STEPS}.get(ending, STEPS // 2)
    if ending == "interrupt":
        assert len(found.steps) - len(ended.computed) in (0, 1, 2)  # the first is not printed, nor may the last be
    else:
        assert len(found.steps) == made
    assert found.complete
    if ending != "interrupt":  # histograms get rarer as a run gets longer
        assert len(found.histograms) == len(found.steps)
    (file,) = logdir.iterdir()
    assert _records(file) == len(set(_records_of(file)))


def _records_of(path: Path) -> list[bytes]:
    from tb_gradclip.storage.events import read_events

    return [event.SerializeToString() for event in read_events(path)]


def _records(path: Path) -> int:
    """Records of a file that TensorBoard's own reader finds sound to the end."""
    from tensorboard.compat.tensorflow_stub.errors import OutOfRangeError
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    reader, records = PyRecordReader_New(str(path)), 0
    while True:
        try:
            reader.GetNext()
        except OutOfRangeError:
            return records
        records += 1


def _without_places(said: str) -> str:
    """What was said, but for the lines of a traceback that say where."""
    return "\n".join(line for line in said.splitlines() if not re.match(r"\s|.*Traceback", line))
