"""A run goes on where it was resumed, whatever the clock says meanwhile. Each writer is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tb_gradclip
from tb_gradclip.core import schema
from tb_gradclip.storage import attempts
from tb_gradclip.storage.events import event_files, read_events

HOUR = 3600

# Forks a process for each life of a writer, whose clock is off by some seconds; its file is given the time that this
# clock would have given it.
PROGRAM = """
import os, sys, time
from pathlib import Path
import tb_gradclip.storage.write as write
from tests.test_recorder import measured
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.recorder import Recorder
logdir, kind, real = Path(sys.argv[1]), sys.argv[2], time.time
if kind == "shared":
    from torch.utils.tensorboard import SummaryWriter

def record(off, first, steps):
    time.time = lambda: real() + off
    before = set(logdir.glob("*"))
    board = SummaryWriter(str(logdir)) if kind == "shared" else None
    sink = write.SharedFile(board) if board else write.EventFile(logdir)
    book = Recorder(sink, framework="test", library="", parameters=[Parameter("a"), Parameter("b")], start_step=first)
    book.add_steps(measured(first, [float(off)] * steps))
    book.close()
    if board:
        board.close()
    for path in set(logdir.glob("*")) - before:
        os.utime(path, (path.stat().st_mtime + off,) * 2)

for life in sys.argv[3:]:
    child = os.fork()
    if not child:
        record(*map(int, life.split(",")))
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("kind", ["own", "shared"])
def test_a_run_goes_on_after_the_clock_was_set_back(kind: str, tmp_path: Path) -> None:
    lives = (HOUR, 0, 100), (0, 90, 60), (-HOUR, 140, 60)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), kind, *(",".join(map(str, life)) for life in lives)]
    subprocess.run(command, check=True)
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["step"].tolist() == list(range(200))
    assert run.steps["loss"].tolist() == [HOUR] * 90 + [0] * 50 + [-HOUR] * 60
    assert run.seams == (90, 140)
    assert run.complete
    (files,) = event_files(tmp_path).values()
    assert len(files) == 3
    if kind == "own":  # TensorBoard reads files in the order of their names
        assert [min(event.step for event in read_events(file) if event.summary.value) for file in files] == [0, 90, 140]


def test_writers_of_one_millisecond_have_attempts_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    names = [attempts.attempt(tmp_path) for _ in range(50)]
    assert len(set(names)) == 50
    assert names == sorted(names)
    monkeypatch.setattr(attempts, "_begun", {})  # what another process knows of this one
    other = attempts.attempt(tmp_path)
    assert other[:11] == names[0][:11]
    assert other not in names


def test_a_name_is_later_than_those_of_before_there_were_chances(tmp_path: Path) -> None:
    then = attempts.begin(tmp_path)
    assert schema.attempt_name(then) < attempts.attempt(tmp_path)
    assert schema.attempt_name(then) < schema.attempt_name(then, "0000") < schema.attempt_name(then + 0.001)


DAMAGE = ["events.out.tfevents.9999999999.host", "events.out.tfevents.1e9.host", "tfevents", "events.out.tfevents."]


@pytest.mark.parametrize("changed", [-1e9, 0, 4e9, 1e11])
def test_files_of_impossible_times_have_no_say(changed: float, tmp_path: Path) -> None:
    for name in DAMAGE:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (changed, changed))
    begun = attempts.begin(tmp_path)
    assert max(changed if changed < attempts.LATEST else 0, time.time() - 60) <= begun < attempts.LATEST


def test_a_directory_that_cannot_be_listed_is_as_one_without_files(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "none", "s3://bucket/run", "\0", None):
        assert abs(attempts.begin(directory) - time.time()) < 60
