"""In TensorBoard itself, started as a process, with either of its loaders."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tb_gradclip
from tests.logs import SPIKE, GrowingRun, write_runs, write_small_records
from tests.plugin.wire import decode_series
from tests.tensorboard import LOADERS, fetch, tensorboard, wait_for_steps
from tests.test_recorder import measured, recorder


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("board") / "logs"
    write_runs(path)
    return path


@pytest.fixture(scope="module")
def address(loader: str, logdir: Path) -> Iterator[str]:
    with tensorboard(logdir, loader) as address:
        wait_for_steps(address, 5000)
        yield address


def test_every_step_comes_back_through_the_routes(address: str, logdir: Path) -> None:
    for name, run in tb_gradclip.read(logdir).items():
        columns = ("loss", "norm_before", "norm_after", "coefficient", "clipped", "threshold", "nonfinite")
        query = "&".join(f"column={column}" for column in columns)
        for line in decode_series(fetch(address, f"series?run={name}&{query}&points=10000")):
            assert line["step"].tolist() == list(range(5000))
            np.testing.assert_array_equal(line["value"], run.steps[line["column"]].astype(float))
            np.testing.assert_array_equal(line["wall_time"], run.steps["wall_time"])


def test_the_spike_is_in_a_chart_of_500_points(address: str) -> None:
    (line,) = decode_series(fetch(address, "series?run=clipped&column=loss&points=500"))
    assert line["rows"] <= 500
    assert line["step"][line["value"].argmax()] == SPIKE


def test_runs_are_complete_and_the_tab_is_active(address: str) -> None:
    assert all(run["complete"] for run in json.loads(fetch(address, "runs"))["runs"])
    with urllib.request.urlopen(f"{address}data/plugins_listing") as response:
        listing = json.load(response)
    assert listing["gradclip"]["enabled"]
    assert listing["gradclip"]["tab_name"] == "Gradient Clipping"


def test_copies_show_in_the_scalars_and_histograms_tabs(address: str) -> None:
    with urllib.request.urlopen(f"{address}data/plugin/scalars/tags") as response:
        scalars = json.load(response)
    assert set(scalars["clipped"]) == {"gradclip/clip_rate", "gradclip/norm_before", "gradclip/norm_after"}
    with urllib.request.urlopen(f"{address}data/plugin/histograms/tags") as response:
        histograms = json.load(response)
    assert set(histograms["clipped"]) == {"gradclip/before", "gradclip/after"}


@pytest.mark.parametrize("fast", LOADERS)
def test_sampling_by_the_user_loses_no_step(tmp_path: Path, fast: str) -> None:
    """Even where somebody asks TensorBoard for ten records a tag, shards hold fewer."""
    logs = tmp_path / "logs"
    write_runs(logs, 1200)
    with tensorboard(logs, f"--load_fast={fast}", "--samples_per_plugin=gradclip=10") as address:
        wait_for_steps(address, 1200)
        assert all(run["complete"] for run in json.loads(fetch(address, "runs"))["runs"])


@pytest.mark.parametrize("fast", LOADERS)
def test_a_long_run_shows_every_extreme_from_afar_and_every_step_from_near(
    tmp_path: Path, fast: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small_records(monkeypatch)
    logs = tmp_path / "logs"
    run = GrowingRun(logs / "run")
    run.grow(20_000)
    steps = tb_gradclip.read(logs)["run"].steps
    with tensorboard(logs, f"--load_fast={fast}") as address:
        wait_for_steps(address, 20_000, runs=1)
        (line,) = decode_series(fetch(address, "series?run=run&column=loss&points=50"))
        assert (line["total"], line["value"].max()) == (20_000, steps["loss"].max())
        assert line["step"][line["value"].argmax()] == steps["loss"].argmax()
        for column in ("loss", "norm_before", "clipped"):
            (line,) = decode_series(fetch(address, f"series?run=run&column={column}&from=6000&to=8000&points=5000"))
            assert line["step"].tolist() == list(range(5_999, 8_002))
            np.testing.assert_array_equal(line["value"], steps[column][5_999:8_002].astype(float))
        assert json.loads(fetch(address, "histogram?run=run&step=7030"))["step"] == 7_000
    run.recorder.close()


@pytest.mark.parametrize("fast", LOADERS)
def test_a_divergence_that_lasts_hides_no_alert_that_came_after_it(tmp_path: Path, fast: str) -> None:
    losses = 2.0 * np.exp(np.random.default_rng(0).normal(0, 0.05, 300))
    losses[200:] *= 5
    losses[299] = np.nan  # in the last batch, so that nothing comes after it but what is written at the end
    book = recorder(tmp_path / "logs" / "run")
    for first in range(0, 300, 10):
        book.add_steps(measured(first, losses[first : first + 10].tolist()))
    book.close()
    with tensorboard(tmp_path / "logs", f"--load_fast={fast}") as address:
        wait_for_steps(address, 300, runs=1)
        alerts = json.loads(fetch(address, "runs"))["runs"][0]["alerts"]
    assert [(alert["kind"], alert["start"]) for alert in alerts] == [("divergence", 200), ("nonfinite", 299)]
    assert alerts[0]["peak"] == pytest.approx(losses[200:299].max(), rel=1e-6)


def test_a_plugin_that_cannot_load_does_not_stop_tensorboard(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['tb_gradclip.plugin.routes'] = None\n"
        "from tb_gradclip.plugin.loader import GradClipLoader\n"
        "loader = GradClipLoader(); loader.fix_flags(object()); print(loader.load(None))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"
    assert "gradclip is not available" in done.stderr
