"""The benchmark of the dashboard runs and finds what it measures; the figures of so small a run mean nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

WHERE_KNOWN = ("memory of the page's process",) if sys.platform == "linux" else ()


def test_it_measures_both_tabs(tmp_path: Path) -> None:
    small = ["--runs", "2", "--steps", "1000", "--rounds", "1", "--seconds", "0.5"]
    command = [sys.executable, "-m", "tests.benchmarks.dashboard", *small, "--logdir", str(tmp_path / "logs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = {cells[1].strip(): cells[2:4] for line in done.stdout.splitlines() if len(cells := line.split("|")) == 5}
    for what in ("link to first chart", "zooming, frames: median, 95 %, longest", "heap", *WHERE_KNOWN):
        for cell in rows[what]:
            figures = [float(figure.replace(",", "")) for figure in re.findall(r"-?[\d.,]*\d", cell)]
            assert figures, what
            assert min(figures) > 0, what
    assert "ms" in rows["click to first chart"][0]
