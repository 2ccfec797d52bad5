"""The benchmark of the dashboard runs and finds what it measures; the figures of so small a run mean nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.benchmarks import dashboard


def test_it_measures_both_tabs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--runs", "2", "--steps", "1000", "--rounds", "1", "--seconds", "0.5"]
    dashboard.main([*small, "--logdir", str(tmp_path / "logs")])
    printed = capsys.readouterr().out
    rows = {cells[1].strip(): cells[2:4] for line in printed.splitlines() if len(cells := line.split("|")) == 5}
    for what in ("link to first chart", "zooming, frames: median, 95 %, longest", "heap"):
        for cell in rows[what]:
            figures = [float(figure.replace(",", "")) for figure in re.findall(r"-?[\d.,]*\d", cell)]
            assert figures, what
            assert min(figures) > 0, what
    assert "ms" in rows["click to first chart"][0]
