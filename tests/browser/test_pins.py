"""A step that is pinned: where it is pressed, what it shows, and how it is let go."""

from __future__ import annotations

import re

from tests.browser.conftest import Dashboard
from tests.browser.test_gestures import shown_step


def pinned(dashboard: Dashboard) -> int | None:
    """The pinned step as the link has it, which follows by a third of a second where the browser has time."""
    found = re.search(r"p\.gradclip\.step=(\d+)", dashboard.page.url)
    return int(found[1]) if found else None


def until_pinned(dashboard: Dashboard, step: int | None) -> None:
    """Wait until this step is pinned, or none, long enough for another to have come and gone."""
    dashboard.settle(500)
    dashboard.until(lambda: pinned(dashboard) == step)


def some_pinned(dashboard: Dashboard) -> int:
    """The step that is pinned, once one is."""
    dashboard.until(lambda: pinned(dashboard) is not None)
    step = pinned(dashboard)
    assert step is not None
    return step


def press(dashboard: Dashboard, name: str, share: float) -> None:
    dashboard.hover(name, share)
    dashboard.page.mouse.down()
    dashboard.page.mouse.up()


def test_a_pin_is_let_go_where_it_is_pressed_again_or_beside_it(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    for name in ("chart-norm", "chart-parameters"):
        press(dashboard, name, 0.5)
        until_pinned(dashboard, dashboard.cursor(name))
        press(dashboard, name, 0.7)
        until_pinned(dashboard, dashboard.cursor(name))
        press(dashboard, name, 0.702)  # a pixel or two, which is several steps
        until_pinned(dashboard, None)
    dashboard.until(lambda: dashboard.frame.get_by_test_id("picked").count() == 1)  # the parameter stays picked
    dashboard.frame.get_by_test_id("run").first.hover()
    dashboard.until(lambda: shown_step(dashboard) == 4950)  # the newest


def test_another_parameter_at_the_pinned_step_is_picked_and_the_pin_stays(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    press(dashboard, "chart-parameters", 0.5)
    first, step = dashboard.chart("chart-parameters").get_attribute("data-row"), some_pinned(dashboard)
    box = dashboard.chart("chart-parameters").bounding_box()
    assert box is not None
    dashboard.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 8, steps=3)
    dashboard.page.mouse.down()
    dashboard.page.mouse.up()
    until_pinned(dashboard, step)
    assert dashboard.frame.get_by_test_id("picked").get_attribute("data-parameter") not in (None, first)


def press_map(dashboard: Dashboard) -> None:
    canvas = dashboard.chart("chart-histogram-map").locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    dashboard.page.mouse.click(box["x"] + 150, box["y"] + 100)


def test_a_column_of_the_map_is_let_go_where_it_is_pressed_again(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    dashboard.chart("chart-histogram-map").scroll_into_view_if_needed()
    dashboard.chart("chart-histogram-map").locator("canvas").wait_for()
    dashboard.settle(800)
    press_map(dashboard)
    some_pinned(dashboard)
    dashboard.settle(1000)  # not a double-click
    press_map(dashboard)
    until_pinned(dashboard, None)


def test_a_double_click_leaves_no_pin_behind(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    press(dashboard, "chart-loss", 0.3)
    some_pinned(dashboard)
    for share in (0.3, 0.6):
        dashboard.hover("chart-loss", share)
        box = dashboard.chart("chart-loss").bounding_box()
        assert box is not None
        dashboard.page.mouse.dblclick(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
        until_pinned(dashboard, None)


def test_escape_takes_the_pin_away_then_the_zoom_and_enter_lets_go(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board, link="&p.gradclip.zoom=1000_3000&p.gradclip.step=2000")
    for name in ("chart-loss", "chart-parameters", "chart-distribution", "chart-histogram-map"):
        dashboard.chart(name).focus()
        dashboard.page.keyboard.press("Escape")
        until_pinned(dashboard, None)
        assert "p.gradclip.zoom=1000_3000" in dashboard.page.url
        dashboard.chart("chart-norm").focus()
        dashboard.page.keyboard.press("ArrowRight")
        dashboard.page.keyboard.press("Enter")
        until_pinned(dashboard, dashboard.cursor("chart-norm"))
    dashboard.page.keyboard.press("Enter")
    until_pinned(dashboard, None)
    dashboard.page.keyboard.press("Escape")
    dashboard.until(lambda: "p.gradclip.zoom" not in dashboard.page.url)
