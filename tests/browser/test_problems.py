"""What the tab says where something cannot be read."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tb_gradclip.core.rules import Rule
from tb_gradclip.core.schema import Tag, decode_steps
from tb_gradclip.storage.events import read_events
from tests.browser.conftest import CHARTS, Dashboard
from tests.browser.test_dashboard import INK
from tests.logs import write_run
from tests.tensorboard import fetch, tensorboard

STEPS = 1200


def wait_for(address: str, steps: dict[str, int]) -> None:
    """Wait until each run has so many steps."""
    end, found = time.monotonic() + 60, None
    while found != steps:
        assert time.monotonic() < end, found
        time.sleep(0.3)
        found = {run["name"]: run["steps"] for run in json.loads(fetch(address, "runs"))["runs"]}


def damage_steps(directory: Path) -> int:
    """Overwrite what is in the middle of a file, a record of steps, as a bad disk would. Returns how many are left."""
    (path,) = directory.iterdir()
    values = [value for event in read_events(path) for value in event.summary.value]
    frames = [v.tensor.tensor_content for v in values if (tag := Tag.parse(v.tag)) and tag.kind == "steps"]
    data, frame = path.read_bytes(), frames[len(frames) // 2]
    middle = data.index(frame) + len(frame) // 2
    path.write_bytes(data[:middle] + b"\xff" * 40 + data[middle + 40 :])
    return STEPS - len(decode_steps(frame).rows)


def test_of_a_damaged_file_the_tab_says_what_is_missing_and_shows_the_rest(
    dashboard: Dashboard, tmp_path: Path
) -> None:
    for name in ("damaged", "good"):
        write_run(tmp_path / "logs" / name, STEPS, Rule("global_norm", 1.0))
    left = damage_steps(tmp_path / "logs" / "damaged")
    with tensorboard(tmp_path / "logs") as address:
        wait_for(address, {"damaged": left, "good": STEPS})
        dashboard.open(address, runs=2)
        frame = dashboard.frame
        banner = frame.get_by_test_id("problems")
        summary, notes = banner.locator("summary"), banner.locator("li")
        assert summary.inner_text() == "Of 1 run not everything could be read. What could is shown."
        assert not notes.first.is_visible()
        summary.focus()
        dashboard.page.keyboard.press("Enter")
        assert notes.first.is_visible()
        (note,) = notes.all_inner_texts()
        assert note.startswith("damaged: 1 `steps` record could not be read: a record of ")
        assert note.endswith(".")
        assert "1 of 2 runs" in frame.get_by_test_id("completeness").inner_text()
        assert frame.get_by_test_id("sampled").count() == 0  # nothing was left out of what could be read
        assert frame.get_by_test_id("health-row").count() == 2
        for name in CHARTS:
            assert dashboard.chart(name).evaluate(INK) > (5 if name == "chart-distribution" else 1000)
        frame.get_by_test_id("run").nth(0).locator("input").uncheck()
        assert frame.get_by_test_id("health-row").get_attribute("data-run") == "good"
        assert banner.is_visible()  # also of a run that is not selected
        assert dashboard.chart("chart-loss").evaluate(INK) > 1000
        dashboard.leave()
