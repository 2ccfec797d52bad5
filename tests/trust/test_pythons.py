"""Every Python that the package says it supports, as far as they are on this machine.

Short form: all of it compiles. Long form: it is installed there with what it requires, and passes the tests that need
no framework.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
WITHOUT_FRAMEWORKS = ("core", "plugin", "storage", "test_recorder.py", "commands/test_check.py")


def interpreter(version: str) -> Path | None:
    """A Python of this version: this one, one on the path, or one of pyenv's."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return Path(sys.executable)
    found = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    return next((Path(path) for path in found if path and works(path)), None)


def works(python: str | Path) -> bool:
    """pyenv has a stand-in on the path for versions that are not chosen, which fails."""
    return subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_the_package_works_on(version: str, long: bool, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    source = tmp_path / "source"
    shutil.copytree(ROOT / "tb_gradclip", source / "tb_gradclip", ignore=shutil.ignore_patterns("__pycache__"))
    run(python, "-W", "error", "-m", "compileall", "-q", source)
    if not long:
        return
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(python, "-m", "venv", tmp_path / "environment")
    own = tmp_path / "environment" / "bin" / "python"
    tools = ("pytest", "pytest-timeout", "hypothesis", "packaging", "pandas")
    run(own, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", source, *tools)
    said = run(own, "-m", "pytest", "-rs", *(ROOT / "tests" / name for name in WITHOUT_FRAMEWORKS), cwd=ROOT)
    assert " passed" in said
    assert "SKIPPED" not in said


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout
