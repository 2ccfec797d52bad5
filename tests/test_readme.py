"""The README is true: its programs run, its links lead somewhere, its lists are complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tb_gradclip

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
QUICK_STARTS = {re.search(r'"runs/(\w+)"', program)[1]: program for program in PROGRAMS[:3]}  # type: ignore[index]
STEPS = 200


def execute(program: str, directory: Path) -> str:
    """Output of a program, which must succeed without a warning of ours."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=directory, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "gradclip" not in done.stderr
    return done.stdout


def test_there_is_a_quick_start_for_every_framework() -> None:
    assert QUICK_STARTS.keys() == {"torch", "tensorflow", "keras"}


@pytest.mark.parametrize("framework", QUICK_STARTS)
def test_a_quick_start_runs_as_it_stands_and_records_every_step(framework: str, tmp_path: Path) -> None:
    execute(QUICK_STARTS[framework], tmp_path)
    (run,) = tb_gradclip.read(tmp_path / "runs").values()
    assert run.framework == framework
    assert run.complete
    assert run.steps["step"].tolist() == list(range(STEPS))
    assert run.steps["loss"][-1] < run.steps["loss"][0]
    assert run.steps["clipped"].any()
    assert run.rule.threshold == 0.25


def test_the_programs_about_alerts_and_reading_run_after_the_first_quick_start(tmp_path: Path) -> None:
    alerts, reading = PROGRAMS[3:]
    said = execute("\n".join([QUICK_STARTS["torch"], alerts, "writer.close()", reading]), tmp_path)
    assert said.startswith("torch ")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 150


def test_the_readme_links_to_files_that_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_names_every_make_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    assert [target for target in phony[1].split() if target != "help" and f"`{target}`" not in README] == []


def test_the_package_says_what_each_of_its_modules_is_for() -> None:
    modules = [path.stem for path in (ROOT / "tb_gradclip").iterdir() if path.suffix == ".py" or path.is_dir()]
    shown = [name for name in modules if not name.startswith("_")]
    assert tb_gradclip.__doc__
    assert [name for name in shown if f"`{name}`" not in tb_gradclip.__doc__] == []
