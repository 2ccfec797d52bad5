"""What cannot be imported: it is said why, nothing is written, and the exit status is 2."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import tb_gradclip
from tb_gradclip.cli import main
from tests.imports import logs
from tests.imports.logs import training
from tests.scalars import write_scalars

Write = Callable[[Path], object]


def text(content: str) -> Write:
    return lambda path: path.write_text(content)


NO_NORM = json.dumps({"log_history": [{"loss": 1.0, "step": 10}]})
WRONG: dict[str, tuple[Write, str]] = {
    "nothing there": (lambda path: None, "cannot be read (No such file or directory)"),
    "an empty file": (text(""), "is empty"),
    "a picture": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "is not text"),
    "prose": (text("Dear all,\nthe training went well.\n"), "no known format. Import a trainer_state.json, a text log"),
    "an empty directory": (Path.mkdir, "no log was found in this directory"),
    "a state before 4.38": (text(NO_NORM), "it has no step with a gradient norm. transformers logs `grad_norm` from"),
    "another JSON object": (text('{\n "a": 1\n}'), "it has no `log_history`"),
    "half a state": (text(NO_NORM[:-9] + "\n"), "is not what it looks like, trainer_state"),
    "half a list": (text('[{"step": 1,'), "begins like a JSON list and is none"),
    "lines that end early": (text('{"step": 1, "grad_norm": 1}\n{"step'), "line 2 must be a JSON object"),
    "a list in lines": (text('{"grad_norm": 1}\n[1]'), "line 2 must be a JSON object, got '[1]'"),
    "a table without a norm": (
        text("step,loss\n1,2\n"),
        "nothing in it is called a gradient norm; there is 'step', 'loss'",
    ),
    "too many norms": (text("grad_norm_a,grad_norm_b\n1,2\n"), "several could be the norm of all gradients"),
    "no number": (text("step,grad_norm\n1,2\n2,lots\n"), "line 3: 'grad_norm' must be a number, got 'lots'"),
    "no date": (text("step,time,grad_norm\n1,2026-13-01,2\n"), "line 2: 'time' must be seconds or a date"),
    "half a step": (text("step,grad_norm\n1.5,2\n"), "a step must be a whole number, 0 or more, got 1.5"),
    "a step before the first": (text("step,grad_norm\n-3,2\n"), "a step must be a whole number, 0 or more, got -3"),
    "a step that is none": (text("step,grad_norm\nnan,2\n"), "a step must be a whole number, 0 or more, got nan"),
    "a step without end": (text("step,grad_norm\n1e30,2\n"), "a step must be a whole number"),
    "a negative norm": (text("step,grad_norm\n7,-1\n"), "a gradient norm must be 0 or more, got -1 at step 7"),
    "a table with headings only": (text("step,grad_norm\n,\n"), "it has no step with a gradient norm"),
    "a huge number": (text('{"grad_norm": 1' + "0" * 5000 + "}"), "is not what it looks like"),
    "brackets without end": (text('[{"a":' + "[" * 200_000), "is not what it looks like, json"),
    "a huge cell": (text("step,grad_norm\n1," + "9" * 200_000), "is not what it looks like, csv"),
    "scalars without a norm": (
        lambda path: write_scalars(path, {"loss": [(0, 1.0)]}),
        "nothing in it is called a gradient norm; there is 'loss'",
    ),
    "a broken event file": (
        lambda path: (path.mkdir(), (path / "events.out.tfevents.1").write_bytes(b"\0" * 40)),
        "nothing in it is called a gradient norm; there is nothing",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_gets_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    make, message = WRONG[name]
    source = tmp_path / "source"
    make(source)
    assert main(["import", str(source), "--logdir", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert str(source) in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("option", ["loss", "norm", "threshold", "step", "time"])
def test_a_column_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    (tmp_path / "log.csv").write_text("step,grad_norm\n1,2\n")
    assert main(["import", str(tmp_path / "log.csv"), "--logdir", str(tmp_path), f"--{option}", "x"]) == 2
    assert f"--{option} names 'x', which is not in it; there is 'step', 'grad_norm'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"), [("-1", "must be 0 or more, got '-1'"), ("big", "must be a number, got")]
)
def test_a_threshold_that_is_none(capsys: pytest.CaptureFixture[str], given: str, message: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["import", "nowhere", "--logdir", "runs", f"--max-norm={given}"])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_run_is_never_added_to_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = logs.megatron(tmp_path / "train.log", training(200))
    arguments = ["import", str(source), "--logdir", str(tmp_path / "runs")]
    assert main(arguments) == 0
    before = tb_gradclip.read(tmp_path / "runs")["train"].steps.tobytes()
    assert main(arguments) == 2
    assert "has event files already. Choose another --logdir or --name" in capsys.readouterr().err
    assert tb_gradclip.read(tmp_path / "runs")["train"].steps.tobytes() == before
    assert main([*arguments, "--name", "again"]) == 0
    assert list(tb_gradclip.read(tmp_path / "runs")) == ["again", "train"]


def test_a_directory_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = logs.megatron(tmp_path / "train.log", training(200))
    (tmp_path / "runs").write_text("a file")
    assert main(["import", str(source), "--logdir", str(tmp_path / "runs")]) == 2
    assert "could not be written" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["default", "error"])
def test_a_disk_that_is_full_before_the_end(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = logs.megatron(tmp_path / "train.log", training(2000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(option)
            assert main(["import", str(source), "--logdir", str(tmp_path / "runs")]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    told = capsys.readouterr().err
    assert "could not be written (gradclip stopped recording: " in told
    assert told.count("stopped recording") == 1


def test_the_process_says_what_it_imported_and_what_is_missing(tmp_path: Path) -> None:
    source = logs.trainer_state(tmp_path / "bert\x1b[31m" / "trainer_state.json", training(500))
    command = [sys.executable, "-m", "tb_gradclip", "import", str(source), "--logdir", str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.startswith(
        r"bert\x1b[31m: 50 steps, 10 to 500, rule none; imported from trainer_state.json (Hugging Face"
    )
    assert second.endswith("If gradients were clipped by global norm, say at what: --max-norm N")
    assert third.startswith("To see what clipping did: tensorboard --logdir ")
    assert "\x1b" not in done.stdout


def test_a_format_that_is_named_is_not_guessed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = logs.megatron(tmp_path / "train.log", training(200))
    assert main(["import", str(source), "--logdir", str(tmp_path / "runs"), "--format", "fairseq"]) == 2
    assert "it has no step with a gradient norm" in capsys.readouterr().err
