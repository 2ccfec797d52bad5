"""`tb-gradclip check --baseline`: chance makes no difference, a change does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_gradclip.cli import main
from tb_gradclip.core.rules import Rule
from tests.commands.runs import flat, record, steady


def compare(capsys: pytest.CaptureFixture[str], tmp_path: Path, *options: str) -> tuple[int, list[str]]:
    status = main(["check", str(tmp_path / "now"), "--baseline", str(tmp_path / "then"), *options])
    return status, capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [
        (0.30, 0.45, None),  # the same part of [0, 1]
        (0.48, 0.52, None),  # on both sides of an edge, but hardly apart
        (0.40, 0.51, None),  # further apart, but 1000 steps cannot tell 51 % from 49 %
        (0.30, 0.60, "mostly clipped (clip rate 0.6), in the baseline at times clipped (clip rate 0.3)"),
        (0.60, 0.30, "at times clipped (clip rate 0.3), in the baseline mostly clipped (clip rate 0.6)"),
        (0.02, 0.04, None),
        (0.00, 0.20, "at times clipped (clip rate 0.2), in the baseline rarely clipped (clip rate 0)"),
        (0.80, 1.00, "nearly always clipped (clip rate 1), in the baseline mostly clipped (clip rate 0.8)"),
    ],
)
def test_regimes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], then: float, now: float, words: str | None
) -> None:
    record(tmp_path / "then" / "run", steady(then), flat(2.0))
    record(tmp_path / "now" / "run", steady(now, seed=1), flat(2.0, seed=1))
    expected = (1, [f"run: baseline-regime: {words}"]) if words else (0, [])
    assert compare(capsys, tmp_path) == expected


def test_clipping_that_came_or_went_is_another_regime(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "then" / "run", steady(0.3), rule=Rule("none"))
    record(tmp_path / "now" / "run", steady(0.3))
    expected = "at times clipped (clip rate 0.3), in the baseline not clipped (rule none)"
    assert compare(capsys, tmp_path) == (1, [f"run: baseline-regime: {expected}"])


@pytest.mark.parametrize(
    ("now", "noise", "fails"),
    [(2.0, 0.01, False), (2.08, 0.01, False), (2.2, 0.01, True), (1.0, 0.01, False), (2.2, 1.5, False)],
    ids=["same", "within 5 %", "higher", "lower", "as noise may have it"],
)
def test_losses_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], now: float, noise: float, fails: bool
) -> None:
    record(tmp_path / "then" / "run", steady(0.3), flat(2.0, noise=noise))
    record(tmp_path / "now" / "run", steady(0.3), flat(now, noise=noise))
    status, reasons = compare(capsys, tmp_path, "--run", "run")
    assert status == fails
    assert [reason.split(": ")[1] for reason in reasons] == ["baseline-loss"] * fails


def test_the_tolerance_of_the_loss_is_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "then" / "run", steady(0.3), flat(2.0))
    record(tmp_path / "now" / "run", steady(0.3), flat(2.2, seed=1))
    assert compare(capsys, tmp_path, "--loss-tolerance", "0.2") == (0, [])
    assert compare(capsys, tmp_path)[0] == 1


def test_a_loss_that_is_gone_is_no_better(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "then" / "run", steady(0.3), flat(2.0))
    record(tmp_path / "now" / "run", steady(0.3))
    status, (reason,) = compare(capsys, tmp_path)
    assert status == 1
    assert reason.startswith(
        "run: baseline-loss: none of the last 50 losses is finite, in the baseline their mean is 1.99"
    )


def test_new_kinds_of_alert_are_told_once_and_known_ones_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = flat(2.0), flat(2.0)
    one[300] = 60.0
    two[[300, 600, 800]], norms = 60.0, steady(0.3)
    norms[[650, 850]] = np.nan
    record(tmp_path / "then" / "run", steady(0.3), one, finding="no_gradient")
    record(tmp_path / "now" / "run", norms, two, finding="no_gradient")
    status, (reason,) = compare(capsys, tmp_path)
    assert status == 1
    assert reason.startswith("run: baseline-alerts: step 650: nonfinite: gradient norm is NaN")
    assert reason.endswith(", and the baseline has none of it")


def test_runs_are_paired_by_name_and_single_ones_always(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "then" / "old", steady(0.3), flat(2.0))
    record(tmp_path / "now" / "new", steady(0.9), flat(2.0))
    status, (reason,) = compare(capsys, tmp_path)
    assert (status, reason.split(": ")[:2]) == (1, ["new", "baseline-regime"])
    record(tmp_path / "then" / "gone", steady(0.3), flat(2.0))
    assert main(["check", str(tmp_path / "now"), "--baseline", str(tmp_path / "then")]) == 2
    assert "no run has the name of a run of the baseline" in capsys.readouterr().err
    record(tmp_path / "now" / "old", steady(0.3), flat(2.0))
    assert main(["check", str(tmp_path / "now"), "--baseline", str(tmp_path / "then")]) == 1
    said = capsys.readouterr()
    assert said.out == "gone: baseline-missing: there is no such run any more\n"
    assert said.err == "tb-gradclip: new: the baseline has no such run\n"


def test_limits_hold_beside_a_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("then", "now"):
        record(tmp_path / place / "run", steady(0.3), flat(2.0))
    assert compare(capsys, tmp_path, "--max-norm", "1.5") == (
        1,
        ["run: max-norm: step 2: the norm is 2, more than 1.5"],
    )


def test_no_baseline_is_nothing_to_compare_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "now" / "run", steady(0.3))
    assert compare(capsys, tmp_path) == (2, [])
