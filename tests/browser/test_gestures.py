"""Pointer, wheel and keys on charts: how one moves in what they show."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import FloatRect

from tests.browser.conftest import TIME_CHARTS, Dashboard
from tests.browser.test_dashboard import INK, visible_steps


def shown_step(dashboard: Dashboard) -> int:
    return int("".join(filter(str.isdigit, dashboard.frame.get_by_test_id("distribution-step").inner_text())))


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
    dashboard.until(lambda: shown_step(dashboard) == pinned)
    chart.focus()
    dashboard.page.keyboard.press("ArrowRight")
    dashboard.until(lambda: shown_step(dashboard) == pinned + 50)
    dashboard.page.keyboard.press("Shift+ArrowLeft")
    dashboard.until(lambda: shown_step(dashboard) == pinned - 450)


def map_box(dashboard: Dashboard, side: int = 0) -> FloatRect:
    """Where the map before clipping lies, or the one after it."""
    chart = dashboard.chart("chart-histogram-map")
    chart.scroll_into_view_if_needed()
    box = chart.locator(".plot-area").nth(side).bounding_box()
    assert box is not None
    return box


def point_at_map(dashboard: Dashboard, share: float, side: int = 0) -> None:
    box = map_box(dashboard, side)
    dashboard.page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.4, steps=3)
    dashboard.settle(200)


def test_the_map_of_distributions_shares_the_cursor(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    chart = dashboard.chart("chart-histogram-map")
    chart.scroll_into_view_if_needed()
    chart.locator("canvas").wait_for()
    cursors = chart.locator(".cursor-line")
    assert [cursor.is_visible() for cursor in cursors.all()] == [False, False]
    for side in (0, 1):
        point_at_map(dashboard, 0.305, side)
        assert dashboard.cursor("chart-loss") == dashboard.cursor("chart-norm") == 1500
        assert chart.locator(".said").inner_text().startswith("Step 1,500")
    dashboard.until(lambda: shown_step(dashboard) == 1500)
    dashboard.hover("chart-throttle", 0.5)
    at, scrolled = dashboard.cursor("chart-throttle"), [cursor.bounding_box() for cursor in cursors.all()]
    for side, place in enumerate(scrolled):
        assert place is not None
        box = map_box(dashboard, side)
        assert (place["x"] - box["x"]) / box["width"] == pytest.approx(at / 5000, abs=0.01)


def test_the_map_of_distributions_shares_the_zoom(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    whole = visible_steps(dashboard)
    chart, page = dashboard.chart("chart-histogram-map"), dashboard.page
    chart.scroll_into_view_if_needed()
    chart.locator("canvas").wait_for()
    point_at_map(dashboard, 0.2, 1)
    page.mouse.down()
    point_at_map(dashboard, 0.6, 1)
    assert chart.locator(".selection").nth(1).is_visible()
    page.mouse.up()
    dashboard.settle(1500)
    assert visible_steps(dashboard) == pytest.approx(0.4 * whole, rel=0.05)
    point_at_map(dashboard, 0.5)
    middle = dashboard.cursor("chart-loss")
    assert middle == pytest.approx(2000, abs=60), "the map follows the zoom"
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    dashboard.settle(1500)
    assert visible_steps(dashboard) < 0.2 * whole
    dashboard.hover("chart-norm", 0.52)
    assert dashboard.cursor("chart-norm") == pytest.approx(middle, abs=60)
    box = map_box(dashboard)
    page.mouse.dblclick(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    dashboard.settle(800)
    assert visible_steps(dashboard) == whole
    chart.focus()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.keyboard.press("Escape")
    dashboard.settle(800)
    assert visible_steps(dashboard) == whole


def test_arrow_keys_and_buttons_go_through_recorded_distributions(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    dashboard.until(lambda: shown_step(dashboard) == 4950)
    dashboard.chart("chart-distribution").focus()
    dashboard.page.keyboard.press("ArrowLeft")
    dashboard.until(lambda: shown_step(dashboard) == 4900)
    dashboard.frame.get_by_label("Previous recorded step").click()
    dashboard.until(lambda: shown_step(dashboard) == 4850)
    dashboard.chart("chart-distribution").focus()
    dashboard.page.keyboard.press("ArrowRight")
    dashboard.until(lambda: shown_step(dashboard) == 4900)
    dashboard.page.keyboard.press("Shift+ArrowLeft")
    dashboard.until(lambda: shown_step(dashboard) == 4400)
    for _ in range(2):
        dashboard.page.keyboard.press("Shift+ArrowRight")
        dashboard.settle(600)
    assert shown_step(dashboard) == 4950  # the last one


def test_control_and_the_wheel_zoom_around_the_pointer_and_a_plain_wheel_scrolls(
    dashboard: Dashboard, board: str
) -> None:
    dashboard.open(board)
    whole = visible_steps(dashboard)
    dashboard.hover("chart-loss", 0.6)
    at = dashboard.cursor("chart-loss")
    dashboard.page.mouse.wheel(0, 200)
    dashboard.settle(400)
    assert "p.gradclip.zoom" not in dashboard.page.url
    dashboard.frame.evaluate("() => window.scrollTo(0, 0)")
    dashboard.hover("chart-loss", 0.6)
    dashboard.page.keyboard.down("Control")
    for _ in range(5):
        dashboard.page.mouse.wheel(0, -100)
    dashboard.page.keyboard.up("Control")
    dashboard.settle(800)
    dashboard.hover("chart-loss", 0.6)
    assert dashboard.cursor("chart-loss") == pytest.approx(at, abs=whole / 200)
    assert visible_steps(dashboard) < whole / 3
    dashboard.chart("chart-loss").focus()
    dashboard.page.keyboard.press("Escape")
    dashboard.settle(400)
    assert visible_steps(dashboard) == pytest.approx(whole, rel=0.02)


def test_a_wheel_that_turns_sideways_moves_along_what_is_zoomed_into_and_nothing_else(
    dashboard: Dashboard, board: str
) -> None:
    dashboard.open(board, link="&p.gradclip.zoom=2000_3000")
    dashboard.hover("chart-loss", 0.5)
    width = dashboard.chart("chart-loss").locator(".u-over").bounding_box()
    assert width is not None
    dashboard.page.mouse.wheel(width["width"] / 4, 0)
    moved = "p.gradclip.zoom=2250_3250"
    dashboard.until(lambda: moved in dashboard.page.url)
    dashboard.page.mouse.wheel(-width["width"] / 2, 0)
    dashboard.until(lambda: "p.gradclip.zoom=1750_2750" in dashboard.page.url)
    dashboard.frame.evaluate("() => window.scrollTo(0, 0)")
    dashboard.page.mouse.wheel(-10 * width["width"], 0)
    dashboard.until(lambda: "p.gradclip.zoom=0_1000" in dashboard.page.url)


@pytest.mark.parametrize("key", ["Control", "Alt", "Meta"])
def test_each_of_the_keys_zooms_with_the_wheel(dashboard: Dashboard, board: str, key: str) -> None:
    dashboard.open(board)
    dashboard.hover("chart-norm", 0.5)
    dashboard.page.keyboard.down(key)
    dashboard.page.mouse.wheel(0, -300)
    dashboard.page.keyboard.up(key)
    dashboard.until(lambda: "p.gradclip.zoom" in dashboard.page.url)
    assert dashboard.frame.get_by_test_id("wheel-hint").count() == 0


def test_who_points_at_a_chart_and_turns_the_wheel_is_told_once_which_key_zooms(
    dashboard: Dashboard, board: str
) -> None:
    dashboard.open(board)
    hint = dashboard.frame.get_by_test_id("wheel-hint")
    for share in (0.5, 0.52):
        dashboard.hover("chart-loss", share)
    dashboard.page.mouse.wheel(0, 40)
    hint.wait_for()
    assert hint.inner_text() in ("Ctrl + wheel zooms", "\u2318 + wheel zooms")
    hint.wait_for(state="detached")
    for share in (0.5, 0.52):
        dashboard.hover("chart-norm", share)
    dashboard.page.mouse.wheel(0, 40)
    dashboard.settle(300)
    assert hint.count() == 0


def test_a_page_that_is_scrolled_past_charts_says_nothing(dashboard: Dashboard, board: str) -> None:
    dashboard.page.set_viewport_size({"width": 1440, "height": 500})
    dashboard.open(board)
    dashboard.page.mouse.move(900, 470)  # over the table of runs, or what is above the charts
    for _ in range(20):
        dashboard.page.mouse.wheel(0, 120)
        dashboard.settle(60)
        assert dashboard.frame.get_by_test_id("wheel-hint").count() == 0


def test_arrow_keys_move_the_cursor_of_every_chart_and_shift_ten_times_as_far(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    dashboard.chart("chart-norm").focus()
    dashboard.page.keyboard.press("ArrowRight")
    start = dashboard.cursor("chart-norm")
    dashboard.page.keyboard.press("ArrowRight")
    one = dashboard.cursor("chart-norm") - start
    dashboard.page.keyboard.press("Shift+ArrowRight")
    ten = dashboard.cursor("chart-norm") - start - one
    assert one >= 1
    assert ten == pytest.approx(10 * one, abs=10)
    assert len({dashboard.cursor(chart) for chart in TIME_CHARTS}) == 1
    dashboard.page.keyboard.press("Enter")
    dashboard.until(lambda: f"p.gradclip.step={start + one + ten}" in dashboard.page.url)
