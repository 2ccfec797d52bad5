"""What watches training watches what was imported, and speaks of the steps that the log has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tb_gradclip
from tb_gradclip.cli import main
from tb_gradclip.core.alert import Alert
from tb_gradclip.core.monitors.loss import LossMonitor
from tests.imports import logs
from tests.imports.logs import training
from tests.plugin.server import serve
from tests.scalars import BACK, DIVERGES


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One training, logged at every step, and at every tenth."""
    folder = tmp_path_factory.mktemp("logs")
    for every in (1, 10):
        source = logs.trainer_state(folder / f"every{every}" / "trainer_state.json", training(), every)
        assert main(["import", str(source), "--logdir", str(folder / "runs"), "--max-norm", "1"]) == 0
    return folder / "runs"


def test_a_divergence_is_found_where_it_was(logdir: Path) -> None:
    for name, every in (("every1", 1), ("every10", 10)):
        (alert,) = (alert for alert in tb_gradclip.read(logdir)[name].alerts if alert.kind == "divergence")
        assert alert.start is not None
        assert alert.end is not None
        # A window that reaches into the divergence is high already.
        assert DIVERGES < alert.start <= DIVERGES + 10 * every
        assert BACK <= alert.end <= BACK + 10 * every
        assert alert.recovered
        assert {alert.step % every, alert.start % every, alert.end % every, (alert.peak_step or 0) % every} == {0}
        assert ("points" in alert.message) == (every > 1)


def test_alerts_are_those_of_consecutive_steps_at_the_steps_of_the_log(logdir: Path) -> None:
    """Brute force: the monitor of losses over places, its answers looked up."""
    run = tb_gradclip.read(logdir)["every10"]
    monitor, expected = LossMonitor(), []
    for place, loss in enumerate(run.steps["loss"].tolist()):
        expected += [(alert.kind, int(run.steps["step"][alert.step])) for alert in monitor.observe(place, loss)]
    assert expected
    assert [(a.kind, a.step) for a in run.alerts if a.kind in ("divergence", "spike")] == expected


def test_nobody_is_blamed_who_stands_for_all(logdir: Path) -> None:
    for run in tb_gradclip.read(logdir).values():
        assert all(alert.departures == () for alert in run.alerts)
        assert [parameter.name for parameter in run.parameters] == ["all gradients"]


def test_the_dashboard_gets_the_provenance_the_charts_and_the_what_if(logdir: Path) -> None:
    client = serve(logdir)
    every1, every10 = client.get("/runs").json["runs"]
    assert every1["imported"]["norm"] == "step"
    assert (every10["imported"]["norm"], every10["imported"]["loss"]) == ("last", "mean")
    assert every10["imported"]["text"].startswith("imported from trainer_state.json (Hugging Face Trainer): norms of")
    assert (every10["steps"], every10["first_step"], every10["last_step"], every10["complete"]) == (200, 10, 2000, True)
    run = tb_gradclip.read(logdir)["every10"]
    answer = client.get("/what_if?run=every10&from=500&to=1500&at=1.3").json
    part = run.steps[(run.steps["step"] >= 500) & (run.steps["step"] <= 1500)]
    assert (answer["steps"], answer["range"]) == (len(part), [500, 1500])
    assert answer["at"]["clip_rate"] == pytest.approx((part["norm_before"] > 1.3).mean())
    table = client.get("/csv?run=every10&column=norm_before&column=clip_rate").text.splitlines()
    assert [line.split(",")[1] for line in table[1:]] == [str(step) for step in range(10, 2001, 10)]
    assert client.get("/parameters?run=every10").status_code == 200
    assert client.get("/series?run=every10&column=norm_after&axis=relative").status_code == 200
    assert client.get("/histogram?run=every10&step=100").status_code == 404


def test_a_run_that_was_recorded_was_not_imported(tmp_path: Path) -> None:
    from tests.logs import Rule, write_run

    write_run(tmp_path, 50, Rule("none"))
    assert tb_gradclip.read(tmp_path)["."].imported is None
    assert serve(tmp_path).get("/runs").json["runs"][0]["imported"] is None


def test_steps_that_lie_apart_unevenly(tmp_path: Path) -> None:
    """Steps 0 to 299, each with a gap of 0 to 40 steps before it: alerts tell steps that there are."""
    steps = np.cumsum(np.random.default_rng(1).integers(1, 41, 300))
    losses = np.where((np.arange(300) >= 150) & (np.arange(300) < 200), 9.0, 2.0)
    losses *= np.exp(np.random.default_rng(2).normal(0, 0.02, 300))
    rows = [f"{step},{loss},1.0" for step, loss in zip(steps, losses, strict=True)]
    (tmp_path / "log.csv").write_text("step,loss,grad_norm\n" + "\n".join(rows))
    assert main(["import", str(tmp_path / "log.csv"), "--logdir", str(tmp_path / "runs")]) == 0
    run = tb_gradclip.read(tmp_path / "runs")["log"]
    (alert,) = (alert for alert in run.alerts if alert.kind == "divergence")
    assert alert.start == steps[150]
    assert alert.end == steps[200]
    assert {alert.step, alert.peak_step} <= set(steps.tolist())
    assert run.complete


def test_an_alert_at_places_is_one_at_steps() -> None:
    from tb_gradclip.core.places import at_steps

    alert = Alert(3, "explosion", "warning", "3 steps", departures=(("w", 2), ("b", 9)), start=1, peak_step=2, end=4)
    sparse = at_steps(alert, [5, 10, 20, 40])
    expected = {"step": 40, "message": "3 points", "departures": (("w", 30), ("b", 35)), "start": 10, "peak_step": 20}
    assert sparse == replace(alert, **expected, end=41)  # the step after the last, which nobody knows
    dense = at_steps(replace(alert, departures=()), [7, 8, 9, 10, 11])
    assert dense == replace(alert, step=10, departures=(), start=8, peak_step=9, end=11)
