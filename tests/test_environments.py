"""Where only one framework is installed, or none: what is for it works, nothing misses the others."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.environments import environment

ROOT = Path(__file__).parent.parent
TOOLS = ["hypothesis", "pytest", "pytest-timeout"]
FRAMEWORKS = {"torch", "tensorflow", "keras", "jax"}


@pytest.mark.parametrize(
    ("requirement", "present", "tests"),
    [
        ("tb-gradclip", set(), "core plugin test_recorder.py"),
        ("tb-gradclip[torch]", {"torch"}, "test_torch.py test_torch_watch.py"),
        ("tb-gradclip[tensorflow]", {"tensorflow", "keras"}, "test_tensorflow.py"),
    ],
    ids=["no framework", "PyTorch", "TensorFlow"],
)
def test_with_nothing_else_installed(tmp_path: Path, requirement: str, present: set[str], tests: str) -> None:
    python = environment(tmp_path / "environment", [requirement, *TOOLS])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([python, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)

    found = run("-c", f"import importlib.util as u; print(*[n for n in {sorted(FRAMEWORKS)} if u.find_spec(n)])")
    assert set(found.stdout.split()) == present, found.stderr
    done = run("-m", "pytest", "-q", "-rs", *(os.path.join("tests", name) for name in tests.split()))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "SKIPPED" not in done.stdout
