"""The script that makes the README's picture."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

from demo.screenshot import PANELS, VIEW, take
from tb_gradclip.core.rules import Rule
from tests.browser.conftest import Dashboard
from tests.logs import write_run

ROOT = Path(__file__).parents[2]


def size(picture: Path) -> tuple[int, int]:
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG")
    return struct.unpack(">II", content[16:24])


def test_nothing_of_the_page_is_cut_off(dashboard: Dashboard, board: str, tmp_path: Path) -> None:
    picture = tmp_path / "dashboard.png"
    take(dashboard.page, f"{board}#gradclip", picture)
    window = dashboard.page.viewport_size
    assert window is not None
    assert size(picture) == (window["width"], window["height"])
    for panel in PANELS:
        box = dashboard.chart(panel).first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= window["height"], panel
    assert dashboard.frame.evaluate("() => document.documentElement.scrollHeight <= innerHeight")
    for panel in ("chart-histogram-map", "chart-parameters"):
        assert dashboard.chart(panel).locator("canvas").count() == 1


def test_the_script_takes_it_of_the_demo_runs(tmp_path: Path) -> None:
    for name in VIEW["runs"].split(","):
        write_run(tmp_path / "logs" / name, 300, Rule("global_norm", 1.0))
    picture = tmp_path / "dashboard.png"
    command = [sys.executable, "-m", "demo.screenshot", str(tmp_path / "logs"), str(picture)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(picture)
    width, height = size(picture)
    assert (width, height > 1400) == (1440, True)
