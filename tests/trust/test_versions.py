"""In environments that pip made: the oldest TensorBoard that is supported, another one, and the newest."""

from __future__ import annotations

import json
import subprocess
import urllib.request
import venv
from pathlib import Path

import pytest

import tb_gradclip
from tests.logs import write_runs
from tests.plugin.wire import decode_series
from tests.tensorboard import LOADERS, fetch, tensorboard, wait_for_steps

ROOT = Path(__file__).parent.parent.parent
VERSIONS = {
    "2.17.1": ["tensorboard==2.17.1", "setuptools<81"],  # these two import pkg_resources, which setuptools gave up
    "2.20.0": ["tensorboard==2.20.0", "setuptools<81"],
    "newest": ["tensorboard"],
}


@pytest.mark.long  # it downloads packages
@pytest.mark.parametrize("version", VERSIONS)
def test_a_tensorboard_of_this_version_shows_everything(tmp_path: Path, version: str) -> None:
    logs = tmp_path / "logs"
    write_runs(logs, 1200)
    venv.create(tmp_path / "environment", with_pip=True)
    python = tmp_path / "environment" / "bin" / "python"
    (tmp_path / "source").mkdir()
    for name in ("tb_gradclip", "pyproject.toml", "setup.py", "README.md", "LICENSE"):
        (tmp_path / "source" / name).symlink_to(ROOT / name)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--upgrade", *VERSIONS[version], str(tmp_path / "source")],
        check=True,
    )
    found = subprocess.run(
        [python, "-c", "import tensorboard; print(tensorboard.__version__)"], check=True, capture_output=True, text=True
    )
    assert version in (found.stdout.strip(), "newest")
    where = subprocess.run(
        [python, "-c", "import tb_gradclip; print(tb_gradclip.__file__)"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": ""},
    )
    assert str(tmp_path / "environment") in where.stdout
    start = (tmp_path / "environment" / "bin" / "tensorboard",)
    for fast in LOADERS:
        with tensorboard(logs, f"--load_fast={fast}", start=start, environment={"PYTHONPATH": ""}) as address:
            wait_for_steps(address, 1200)
            check(address, logs)


def check(address: str, logs: Path) -> None:
    """Every step is there, every route answers, and the tab is enabled."""
    answer = json.loads(fetch(address, "runs"))
    assert all(run["complete"] for run in answer["runs"])
    assert answer["problems"] == []
    recorded = tb_gradclip.read(logs)
    for line in decode_series(fetch(address, "series?run=clipped&run=by_value&run=broken&column=loss&points=10000")):
        assert line["step"].tolist() == recorded[line["run"]].steps["step"].tolist()
    for route in ("csv?run=clipped&column=loss", "histogram?run=clipped&step=50", "histograms?run=clipped"):
        assert fetch(address, route)
    for route in ("what_if?run=clipped", "parameters?run=clipped", "index.js"):
        assert fetch(address, route)
    with urllib.request.urlopen(f"{address}data/plugins_listing") as response:
        listing = json.load(response)
    assert listing["gradclip"]["enabled"]
    assert listing["gradclip"]["tab_name"] == "Gradient Clipping"
