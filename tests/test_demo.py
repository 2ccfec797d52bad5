"""The demo runs show what they promise, on every machine."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

import tb_gradclip

ROOT = Path(__file__).parent.parent
RUNS = {
    "lstm": {"unclipped", "global_norm", "value"},
    "digits": {"unclipped", "clip_by_value", "clip_by_norm"},
    "regression": {"unclipped", "clipnorm_1", "clipvalue_3"},
}


def demo(logdir: Path, *options: str) -> str:
    """Output of `python -m demo`, which must succeed."""
    command = [sys.executable, "-m", "demo", "--no-serve", "--logdir", str(logdir), *options]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def trained(name: str) -> tuple[dict[str, tb_gradclip.Run], str]:
    """Runs of one experiment by their short names, and what the demo said about them."""
    with TemporaryDirectory() as directory:
        said = demo(Path(directory), "--only", name)
        runs = tb_gradclip.read(directory)
    return {full.removeprefix(f"{name}/"): run for full, run in runs.items()}, said


def errors(run: tb_gradclip.Run) -> list[str]:
    return [alert.kind for alert in run.alerts if alert.severity == "error"]


def last_loss(run: tb_gradclip.Run) -> float:
    return float(run.steps["loss"][-50:].mean())


@pytest.mark.parametrize("name", RUNS)
def test_every_step_of_every_run_of_an_experiment_is_recorded(name: str) -> None:
    runs, said = trained(name)
    assert runs.keys() == RUNS[name]
    for short, run in runs.items():
        assert run.complete, short
        assert len(run.steps) >= 600
        assert len(run.histograms) > 0
        assert f"{name}/{short}" in said


def test_without_clipping_the_lstm_diverges_and_does_not_come_back() -> None:
    runs, said = trained("lstm")
    assert set(errors(runs["unclipped"])) & {"divergence", "nonfinite"}
    assert "loss rose" in said
    best = np.nanmin(runs["unclipped"].steps["loss"])
    assert not last_loss(runs["unclipped"]) < best * 1.5


@pytest.mark.parametrize("short", ["global_norm", "value"])
def test_with_clipping_the_same_lstm_learns(short: str) -> None:
    runs, _ = trained("lstm")
    assert errors(runs[short]) == []
    assert last_loss(runs[short]) < 2.3
    assert not last_loss(runs["unclipped"]) < 1.3 * last_loss(runs[short])


def test_the_digits_are_learned_with_every_kind_of_clipping() -> None:
    runs, _ = trained("digits")
    for run in runs.values():
        assert errors(run) == []
        assert last_loss(run) < 0.2
    assert not runs["unclipped"].steps["clipped"].any()
    assert 0.1 < runs["clip_by_norm"].steps["clipped"].mean() < 0.99
    assert 0.1 < runs["clip_by_value"].steps["clipped"].mean() < 0.99


def test_without_clipping_the_regression_ends_in_nan_and_an_alert() -> None:
    runs, said = trained("regression")
    assert np.isnan(runs["unclipped"].steps["loss"][-1])
    assert "nonfinite" in errors(runs["unclipped"])
    assert "loss not a number" in said


@pytest.mark.parametrize("short", ["clipnorm_1", "clipvalue_3"])
def test_with_clipping_the_regression_stays_finite_and_improves(short: str) -> None:
    runs, _ = trained("regression")
    losses = runs[short].steps["loss"]
    assert errors(runs[short]) == []
    assert np.isfinite(losses).all()
    assert losses[-50:].mean() < 0.9 * losses[:50].mean()


def test_an_experiment_that_was_trained_before_is_not_trained_again(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "trained").touch()
    assert "trained before" in demo(tmp_path, "--only", "digits")
