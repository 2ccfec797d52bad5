"""The command line, on a written log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tb_gradclip.cli import main
from tb_gradclip.core.rules import Rule
from tests.logs import write_run


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    write_run(tmp_path / "healthy", 300, Rule("global_norm", 1.0))
    return tmp_path


def test_report_has_a_line_for_every_run_and_its_alerts(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(logdir / "broken", 300, Rule("none"), breaks_at=200)
    assert main(["report", str(logdir)]) == 0
    headings, broken, healthy, alert = capsys.readouterr().out.splitlines()
    assert headings.split() == ["run", "rule", "steps", "last", "loss", "clip", "rate", "throttle", "alerts"]
    assert broken.split() == ["broken", "none", "300", "-", "-", "-", "1"]
    assert healthy.startswith("healthy  global norm ≤ 1  300")
    assert "%" in healthy
    assert alert.startswith("broken: step 200: nonfinite: loss is NaN and gradient norm is NaN in 3 parameters")


def test_check_is_silent_and_succeeds_on_healthy_runs(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(logdir)]) == 0
    assert capsys.readouterr().out == ""


def test_check_fails_if_a_run_broke(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(logdir / "broken", 300, Rule("none"), breaks_at=200)
    assert main(["check", str(logdir)]) == 1
    assert capsys.readouterr().out.count("broken: step 200") == 1


@pytest.mark.parametrize(("name", "message"), [("nowhere", "`logdir` must be a directory"), ("", "no run under")])
def test_nothing_to_look_at_is_an_error_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    assert main(["report", str(tmp_path / name)]) == 2
    assert message in capsys.readouterr().err


def test_the_command_is_installed(logdir: Path) -> None:
    command = Path(sys.executable).with_name("tb-gradclip")
    done = subprocess.run([command, "check", str(logdir)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
