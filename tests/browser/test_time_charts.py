"""Time charts and distributions: what is drawn, and how one moves in them, beyond what `test_dashboard` looks at."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.browser.conftest import Dashboard
from tests.browser.test_dashboard import INK


def until(dashboard: Dashboard, what: Callable[[], Any]) -> None:
    """Wait until something is true, a few seconds at most."""
    for _ in range(60):
        if what():
            return
        dashboard.page.wait_for_timeout(100)
    raise AssertionError("never came true")


def shown_step(dashboard: Dashboard) -> int:
    return int("".join(filter(str.isdigit, dashboard.frame.get_by_test_id("distribution-step").inner_text())))


def select(dashboard: Dashboard, *names: str) -> None:
    """Have exactly these runs checked."""
    for run in dashboard.frame.get_by_test_id("run").all():
        run.locator("input").set_checked(run.get_attribute("data-run") in names)
    dashboard.page.wait_for_timeout(800)


def test_throttle_is_drawn_of_runs_that_clip_and_is_away_without_any(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    throttle = dashboard.chart("chart-throttle")
    throttle.wait_for()
    assert throttle.evaluate(INK) > 1000
    dashboard.hover("chart-throttle", 0.5)
    said = dashboard.frame.get_by_test_id("tooltip").inner_text()
    assert "by_value" in said
    assert "40\u202f%" in said
    assert "broken" not in said
    assert dashboard.cursor("chart-loss") == dashboard.cursor("chart-throttle")
    select(dashboard, "broken")
    assert throttle.count() == 0


def test_the_map_of_distributions_shows_every_step_and_a_click_pins_one(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    chart = dashboard.chart("chart-histogram-map")
    chart.scroll_into_view_if_needed()
    chart.locator("canvas").wait_for()
    assert chart.evaluate(INK) > 10_000
    box = chart.locator("canvas").bounding_box()
    assert box is not None
    dashboard.page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3, steps=3)
    said = chart.locator(".said").inner_text()
    found = re.match(r"Step ([\d,]+), .* before, .* after", said)
    assert found, said
    dashboard.page.mouse.click(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    pinned = int(found[1].replace(",", ""))
    until(dashboard, lambda: shown_step(dashboard) == pinned)
    chart.focus()
    dashboard.page.keyboard.press("ArrowRight")
    until(dashboard, lambda: shown_step(dashboard) == pinned + 50)
    dashboard.page.keyboard.press("Shift+ArrowLeft")
    until(dashboard, lambda: shown_step(dashboard) == pinned - 450)


def test_arrow_keys_and_buttons_go_through_recorded_distributions(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    until(dashboard, lambda: shown_step(dashboard) == 4950)
    dashboard.chart("chart-distribution").focus()
    dashboard.page.keyboard.press("ArrowLeft")
    until(dashboard, lambda: shown_step(dashboard) == 4900)
    dashboard.frame.get_by_label("Previous recorded step").click()
    until(dashboard, lambda: shown_step(dashboard) == 4850)
    dashboard.chart("chart-distribution").focus()
    dashboard.page.keyboard.press("ArrowRight")
    until(dashboard, lambda: shown_step(dashboard) == 4900)
