"""What follows from a run's steps, against brute force."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tb_gradclip
from tb_gradclip import Run
from tb_gradclip.core.rows import STEP_DTYPE
from tests.logs import PARAMETERS, Rule, write_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    logdir = tmp_path_factory.mktemp("logs")
    write_run(logdir / "clipped", 700, Rule("global_norm", 1.3))
    write_run(logdir / "broken", 700, Rule("none"), breaks_at=400)
    return dict(tb_gradclip.read(logdir))


@pytest.mark.parametrize("window", [1, 7, 100, 10_000])
def test_clip_rate_and_throttle_look_back_over_the_window(runs: dict[str, Run], window: int) -> None:
    run = runs["clipped"]
    found, throttle = run.clip_rate(window), run.throttle(window)
    for t in (0, 1, 6, 7, 99, 350, 699):
        rows = run.steps[max(t + 1 - window, 0) : t + 1]
        p, n = rows["clipped"].mean(), len(rows)
        assert (found.rate[t], found.steps[t]) == (pytest.approx(p), n)
        assert throttle[t] == pytest.approx(1 - rows["norm_after"].sum() / rows["norm_before"].sum())
        for bound in (found.low[t], found.high[t]):  # ends of Wilson's interval solve |p - x| = z sqrt(x (1 - x) / n)
            assert abs(p - bound) == pytest.approx(1.96 * np.sqrt(bound * (1 - bound) / n), rel=1e-3, abs=1e-9)
    assert {len(each) for each in (*found, throttle)} == {700}


def test_a_run_without_clipping_has_no_rate(runs: dict[str, Run]) -> None:
    run = runs["broken"]
    assert np.isnan(run.clip_rate().rate).all()
    assert np.isnan(run.throttle()).all()
    assert run.clip_rate(50).steps[[0, 49, 399, 420, 699]].tolist() == [1, 50, 50, 29, 0]


@pytest.mark.parametrize("window", [0, -1, 1.5, True, "100"])
def test_a_window_is_a_number_of_steps(runs: dict[str, Run], window: object) -> None:
    for method in (runs["clipped"].clip_rate, runs["clipped"].throttle):
        with pytest.raises(ValueError, match="`window` must be a whole number of steps, 1 or more"):
            method(window)  # type: ignore[arg-type]


def test_norms_of_parameters_are_those_of_the_windows(runs: dict[str, Run]) -> None:
    for run in runs.values():
        norms = run.parameter_norms()
        assert norms.steps.sum() == 700
        assert norms.first_step.tolist() == [0, *(norms.last_step[:-1] + 1).tolist()]
        assert norms.norm_before_mean.shape == (len(run.windows), len(PARAMETERS))
        for w, window in enumerate(run.windows):
            for name in window.rows.dtype.names or ():
                np.testing.assert_array_equal(getattr(norms, name)[w], window.rows[name])


def test_without_a_window_there_are_no_norms_of_parameters(tmp_path: Path) -> None:
    write_run(tmp_path, 50, Rule("none"))
    run = tb_gradclip.read(tmp_path)["."]
    run.windows.clear()
    norms = run.parameter_norms()
    assert [len(block) for block in norms] == [0] * 8
    assert norms.clipped.shape == (0, len(PARAMETERS))


def test_a_frame_has_every_column_and_is_a_copy(runs: dict[str, Run]) -> None:
    run = runs["clipped"]
    frame = run.to_pandas()
    assert frame.index.name == "step"
    assert ["step", *frame.columns] == list(STEP_DTYPE.names or ())
    for name in frame.columns:
        np.testing.assert_array_equal(frame[name].to_numpy(), run.steps[name])
        assert frame[name].dtype == STEP_DTYPE[name]
    assert isinstance(frame, pd.DataFrame)
    frame.loc[0, "loss"] = 99.0
    assert run.steps["loss"][0] != 99.0


def test_without_pandas_the_error_names_the_command(tmp_path: Path) -> None:
    write_run(tmp_path, 50, Rule("none"))
    program = f"""import sys
sys.modules["pandas"] = None
import tb_gradclip
tb_gradclip.read({str(tmp_path)!r})["."].to_pandas()"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("ImportError: to_pandas() needs pandas")
    assert "pip install pandas" in done.stderr.splitlines()[-1]
