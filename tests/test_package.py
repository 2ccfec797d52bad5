"""What is built to be installed: whole, without Node, and all that a bare environment needs."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.environments import environment
from tests.logs import write_runs
from tests.tensorboard import LOADERS, fetch, tensorboard, wait_for_steps

ROOT = Path(__file__).parent.parent
SOURCES = ("tb_gradclip", "pyproject.toml", "setup.py", "README.md", "LICENSE", "CHANGELOG.md")
DATA = ("tb_gradclip/plugin/static/index.js", "tb_gradclip/plugin/http_api.md", "tb_gradclip/py.typed")


def run(*command: str | Path, **kwargs: object) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **kwargs)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel made from it; no Node is to be found where they are built."""
    source = tmp_path_factory.mktemp("package") / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    bare = {**os.environ, "PATH": "/usr/bin:/bin"}
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", source / "dist", source, env=bare)
    return source / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def test_the_wheel_has_every_module_and_what_belongs_to_it_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert archive.read(DATA[0]) == (ROOT / DATA[0]).read_bytes()
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "tb_gradclip").rglob("*.py")}
    assert names == modules | set(DATA)


def test_the_source_distribution_has_the_same_and_its_licence(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {*DATA, "LICENSE", "README.md", "pyproject.toml"} <= names
    assert not any(name.startswith(("frontend", "tests", "demo")) for name in names)


def test_the_dashboard_is_a_small_download() -> None:
    """As it travels: a viewer far from the server waits for it before anything else."""
    files = (ROOT / DATA[0]).parent.iterdir()
    assert sum(len(gzip.compress(file.read_bytes(), mtime=0)) for file in files) < 150_000


def test_an_index_would_take_both(built: Path) -> None:
    said = run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir())
    assert said.count("PASSED") == 2


def test_what_the_package_says_of_itself(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = message_from_string(archive.read(name).decode())
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    classifiers = metadata.get_all("Classifier") or []
    assert [c.rpartition(" ")[2] for c in classifiers if ":: 3." in c] == ["3.10", "3.11", "3.12", "3.13"]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with the wheel and what it requires, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        required = message_from_string(archive.read(name).decode()).get_all("Requires-Dist") or []
    wanted = [text for text in required if Requirement(text).marker is None]
    python = environment(tmp_path_factory.mktemp("bare") / "environment", wanted)
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel)
    return python


@pytest.mark.parametrize("fast", LOADERS)
def test_where_it_is_installed_tensorboard_shows_the_tab(installed: Path, tmp_path: Path, fast: str) -> None:
    logs = tmp_path / "logs"
    write_runs(logs, 200)
    place = run(installed, "-c", "import tb_gradclip; print(tb_gradclip.__file__)", cwd=tmp_path)
    assert Path(place).is_relative_to(installed.parent.parent)
    with tensorboard(logs, f"--load_fast={fast}", start=(installed, "-m", "tensorboard.main")) as address:
        wait_for_steps(address, 200)
        with urllib.request.urlopen(f"{address}data/plugins_listing") as response:
            assert json.load(response)["gradclip"]["enabled"]
        assert fetch(address, "index.js") == (ROOT / DATA[0]).read_bytes()


def test_where_it_is_installed_the_command_works(installed: Path, tmp_path: Path) -> None:
    write_runs(tmp_path, 200)
    said = run(installed.parent / "tb-gradclip", "report", tmp_path, cwd=tmp_path)
    assert "by_value" in said


def test_types_reach_those_who_use_it(installed: Path, tmp_path: Path) -> None:
    """`py.typed`: mypy believes what we declare, and finds a mistake made with it."""
    (tmp_path / "right.py").write_text(
        "import tb_gradclip\nfor name, run in tb_gradclip.read('x').items():\n    run.rule.text\n"
    )
    (tmp_path / "wrong.py").write_text("import tb_gradclip\ntb_gradclip.read(3)\n")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed)]
    quiet = ["--cache-dir", str(tmp_path / "cache"), "--config-file", os.devnull, "--ignore-missing-imports"]
    run(*mypy, *quiet, "right.py", cwd=tmp_path)
    wrong = subprocess.run([*mypy, *quiet, "wrong.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 'Argument 1 to "read" has incompatible type "int"' in wrong.stdout
