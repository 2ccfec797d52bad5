"""A `SummaryWriter` whose file is shared, and which is closed, opened again or fails before the end."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

import tb_gradclip
from tests.tensorboard import tensorboard, wait_for_steps
from tests.trust.disks import TROUBLES
from tests.trust.told import assert_recording_stopped, caught
from tests.trust.trained import STEPS, WAYS, Training, outcome

pytestmark = pytest.mark.usefixtures("one_thread")

PROGRAM = """
import sys
from pathlib import Path
from torch.utils.tensorboard import SummaryWriter
from tests.trust.trained import STEPS, Training
board = SummaryWriter(sys.argv[1])
training = Training("writer", board)
for _ in range(STEPS):
    training.step()
board.close()  # and the writer at exit
"""


def test_a_program_that_closes_the_summary_writer_alone_loses_no_step(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "gradclip" not in done.stderr
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["step"].tolist() == list(range(STEPS))
    assert run.complete
    assert run.seams == ()


def test_what_comes_after_it_was_closed_and_opened_again_is_in_the_newest_file(
    loader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard looks on meanwhile, and sees each step."""
    monkeypatch.setattr("tb_gradclip.recorder.SECONDS_PER_RECORD", 0.0)
    logdir = tmp_path / "runs"
    board = SummaryWriter(str(logdir / "run"))
    training = Training("writer", board)
    with tensorboard(logdir, loader) as address, training.recorder:
        for files, change in enumerate((lambda: None, board.close, lambda: board.add_scalar("x", 1.0, 1), board.close)):
            change()
            for _ in range(5):
                training.step()
            training.writer.flush()
            wait_for_steps(address, training.made, runs=1)
            assert len(list((logdir / "run").iterdir())) == files + 1
    run = tb_gradclip.read(logdir)["run"]
    assert run.steps["step"].tolist() == list(range(20))
    assert run.complete


def test_closing_it_from_another_thread_at_any_moment_loses_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tb_gradclip.recorder.SECONDS_PER_RECORD", 0.0)
    board = SummaryWriter(str(tmp_path))
    training = Training("writer", board, on_alert=[].append)
    with caught() as told, training.recorder:
        for step in range(60):
            if step % 5 == 4:
                board.add_scalar("x", 1.0, step)
                closing = threading.Thread(target=board.close)
                closing.start()
            training.step()
        closing.join()
    assert told == []
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["step"].tolist() == list(range(60))
    assert run.complete


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's thread ends
@pytest.mark.parametrize("heard", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trouble", ["full", "limited", "read-only"])
def test_its_disk_failing_is_told_once(
    trouble: str, way: str, heard: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tb_gradclip.recorder.SECONDS_PER_RECORD", 0.0)
    bare = outcome(Training("bare"))
    logdir = tmp_path / "run"
    logdir.mkdir()
    with TROUBLES[trouble](logdir) as happen, caught() as told:
        training = Training(way, SummaryWriter(str(logdir)), on_alert=[].append if heard else None, histogram_every=1)
        got = outcome(training, before=lambda step: happen() if step == STEPS // 2 else None)
        training.recorder.close()
    assert got == bare
    assert_recording_stopped(told)
