"""`tb-gradclip check`: each limit passes and fails where it should, as a process that CI would start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tb_gradclip.cli import main
from tb_gradclip.core.rules import Rule
from tests.commands.runs import flat, record, steady


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs each of which has one thing to be said of."""
    path = tmp_path_factory.mktemp("logs")
    record(path / "clipped30", steady(0.3), flat(2.0))
    record(path / "unclipped", steady(0.3), flat(2.0), rule=Rule("none"))
    record(path / "silent", np.full(1000, np.nan), flat(2.0), skipped=range(1000))
    diverges = flat(2.0)
    diverges[600:] *= 6
    record(path / "diverges", steady(0.3), diverges)
    spike, norms = flat(2.0), steady(0.3)
    spike[600], norms[601] = 50.0, 77.0
    record(path / "spike", norms, spike)
    broken, norms = flat(2.0), steady(0.3)
    broken[700], norms[700] = np.nan, np.inf
    record(path / "broken", norms, broken)
    record(path / "skips", np.where(np.arange(1000) == 3, np.inf, steady(0.3)), flat(2.0), skipped=[3])
    record(path / "lint", steady(0.3), flat(2.0), finding="no_gradient")
    record(path / "lossless", steady(0.3))
    return path


def check(capsys: pytest.CaptureFixture[str], logdir: Path, run: str, *options: str) -> tuple[int, list[str]]:
    """Exit status and reasons for one run, without its name."""
    status = main(["check", str(logdir), "--run", f"^{run}$", *options])
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(f"{run}: ") for line in lines)
    return status, [line.removeprefix(f"{run}: ") for line in lines]


PASSES = [
    ("clipped30", "--max-clip-rate=0.3"),
    ("clipped30", "--min-clip-rate=0.3"),
    ("clipped30", "--max-throttle=0.32"),
    ("clipped30", "--max-norm=2"),
    ("clipped30", "--max-loss=2.1"),
    ("unclipped", "--max-clip-rate=0"),
    ("unclipped", "--max-throttle=0"),
    ("spike", "--no-divergence"),
    ("spike", "--max-norm=10", "--last=300"),
    ("spike", "--no-nonfinite"),
    ("diverges", "--no-spikes"),
    ("diverges", "--max-clip-rate=1"),  # with a limit, only what it asks for
    ("skips", "--no-nonfinite"),
    ("skips", "--max-norm=5"),
    ("broken", "--no-lint"),
    ("lint", "--no-alerts=nonfinite,divergence"),
]

FAILS = [
    ("clipped30", "--max-clip-rate=0.29", "max-clip-rate: the clip rate is 0.3, more than 0.29"),
    ("clipped30", "--min-clip-rate=0.31", "min-clip-rate: the clip rate is 0.3, less than 0.31"),
    ("clipped30", "--max-throttle=0.31", "max-throttle: the throttle is 0.3158, more than 0.31"),
    ("clipped30", "--max-norm=1.99", "max-norm: step 2: the norm is 2, more than 1.99"),
    ("clipped30", "--max-loss=1.9", "max-loss: step 999: the last loss is 1.99"),
    ("unclipped", "--min-clip-rate=0.1", "min-clip-rate: the clip rate is 0, less than 0.1"),
    ("silent", "--max-clip-rate=1", "max-clip-rate: the clip rate is not known: no step has a finite norm"),
    ("silent", "--min-clip-rate=0", "min-clip-rate: the clip rate is not known: no step has a finite norm"),
    ("silent", "--max-throttle=1", "max-throttle: the throttle is not known: no step has a finite norm"),
    ("silent", "--max-norm=1", "max-norm: the norm is not known: no step has one"),
    ("lossless", "--max-loss=1", "max-loss: the last loss is not known: none of the last 50 is finite"),
    ("spike", "--max-norm=10", "max-norm: step 601: the norm is 77, more than 10"),
    ("broken", "--max-norm=10", "max-norm: step 700: the norm is inf, more than 10"),
    ("diverges", "--no-divergence", "no-divergence: step 603: divergence: loss rose from"),
    ("broken", "--no-nonfinite", "no-nonfinite: step 700: nonfinite: loss is NaN"),
    ("spike", "--no-spikes", "no-spikes: step 600: spike: loss jumped from"),
    ("lint", "--no-lint", "no-lint: step 0: lint: the clip call found no gradient"),
    ("skips", "--no-alerts=nonfinite", "no-alerts: step 3: nonfinite:"),
    ("spike", "--no-alerts=all", "no-alerts: step 600: spike: loss jumped from"),
]


@pytest.mark.parametrize(("run", "options"), [(run, options) for run, *options in PASSES], ids=str)
def test_what_keeps_to_a_limit_passes(
    logdir: Path, capsys: pytest.CaptureFixture[str], run: str, options: list[str]
) -> None:
    assert check(capsys, logdir, run, *options) == (0, [])


@pytest.mark.parametrize(("run", "option", "reason"), FAILS, ids=str)
def test_what_does_not_fails_with_one_reason(
    logdir: Path, capsys: pytest.CaptureFixture[str], run: str, option: str, reason: str
) -> None:
    status, (found,) = check(capsys, logdir, run, option)
    assert status == 1
    assert found.startswith(reason)


def test_rates_of_the_last_steps_are_those_of_the_last_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "later", np.concatenate([steady(0.0), steady(0.8)]))
    assert check(capsys, tmp_path, "later", "--max-clip-rate=0.5") == (0, [])
    assert check(capsys, tmp_path, "later", "--max-clip-rate=0.5", "--last=1000") == (
        1,
        ["max-clip-rate: the clip rate of the last 1000 steps is 0.8, more than 0.5"],
    )


def test_without_limits_alerts_of_severity_error_fail(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(logdir)]) == 1
    found = [line.split(": ")[:4] for line in capsys.readouterr().out.splitlines()]
    assert found == [
        ["broken", "no-error", "step 700", "nonfinite"],
        ["diverges", "no-error", "step 603", "divergence"],
    ]


def test_a_process_fails_with_every_reason(logdir: Path) -> None:
    command = [
        Path(sys.executable).with_name("tb-gradclip"),
        "check",
        str(logdir),
        "--no-divergence",
        "--max-norm",
        "80",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [line.split(": ")[:2] for line in done.stdout.splitlines()] == [
        ["broken", "max-norm"],
        ["diverges", "no-divergence"],
        ["silent", "max-norm"],
    ]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "("], "must be a regular expression, got '('"),
        (["--max-clip-rate", "90"], "must be a share from 0 to 1, got '90'. Write 0.9 for 90 %"),
        (["--max-norm", "big"], "must be a number, got 'big'"),
        (["--max-loss", "nan"], "must be a number, got 'nan'"),
        (["--last", "0"], "must be a whole number of steps, 1 or more, got '0'"),
        (["--no-alerts", "spike,oops"], "or all, got 'oops'"),
    ],
)
def test_a_wrong_option_is_said_before_anything_is_read(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", "nowhere", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_no_run_of_that_name_is_nothing_to_look_at(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(logdir), "--run", "nobody"]) == 2
    assert "with 'nobody' in its name was recorded by gradclip" in capsys.readouterr().err
