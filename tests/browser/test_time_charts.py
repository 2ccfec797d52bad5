"""Time charts and distributions: what is drawn, and how one moves in them, beyond what `test_dashboard` looks at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tb_gradclip.core.rules import Rule
from tests.browser.conftest import TIME_CHARTS, Dashboard
from tests.browser.test_dashboard import INK, visible_steps
from tests.logs import write_run, write_runs
from tests.tensorboard import tensorboard, wait_for_steps
from tests.test_recorder import measured, recorder


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


def test_most_of_the_range_and_log_axes_are_kept_in_the_link(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    before = dashboard.chart("chart-loss").locator("canvas").screenshot()
    for button in ("most-loss", "log-norm"):
        dashboard.frame.get_by_test_id(button).click()
    dashboard.page.wait_for_timeout(500)
    assert dashboard.chart("chart-loss").locator("canvas").screenshot() != before
    assert "p.gradclip.loss_range=most" in dashboard.page.url
    assert "p.gradclip.norm_scale=linear" in dashboard.page.url
    dashboard.page.reload()
    dashboard.page.wait_for_selector("iframe[src*=gradclip]")
    until(dashboard, lambda: any("name=gradclip" in frame.url for frame in dashboard.page.frames))
    dashboard.chart("chart-loss").wait_for()
    pressed = {
        name: dashboard.frame.get_by_test_id(name).get_attribute("aria-pressed")
        for name in ("most-loss", "most-norm", "log-norm")
    }
    assert pressed == {"most-loss": "true", "most-norm": "false", "log-norm": "false"}


def test_control_and_the_wheel_zoom_around_the_pointer_and_a_plain_wheel_scrolls(
    dashboard: Dashboard, board: str
) -> None:
    dashboard.open(board)
    whole = visible_steps(dashboard)
    dashboard.hover("chart-loss", 0.6)
    at = dashboard.cursor("chart-loss")
    dashboard.page.mouse.wheel(0, 200)
    dashboard.page.wait_for_timeout(400)
    assert "p.gradclip.zoom" not in dashboard.page.url
    dashboard.frame.evaluate("() => window.scrollTo(0, 0)")
    dashboard.hover("chart-loss", 0.6)
    dashboard.page.keyboard.down("Control")
    for _ in range(5):
        dashboard.page.mouse.wheel(0, -100)
    dashboard.page.keyboard.up("Control")
    dashboard.page.wait_for_timeout(800)
    dashboard.hover("chart-loss", 0.6)
    assert dashboard.cursor("chart-loss") == pytest.approx(at, abs=whole / 200)
    assert visible_steps(dashboard) < whole / 3
    dashboard.chart("chart-loss").focus()
    dashboard.page.keyboard.press("Escape")
    dashboard.page.wait_for_timeout(400)
    assert visible_steps(dashboard) == pytest.approx(whole, rel=0.02)


@pytest.mark.parametrize("key", ["Control", "Alt", "Meta"])
def test_each_of_the_keys_zooms_with_the_wheel(dashboard: Dashboard, board: str, key: str) -> None:
    dashboard.open(board)
    dashboard.hover("chart-norm", 0.5)
    dashboard.page.keyboard.down(key)
    dashboard.page.mouse.wheel(0, -300)
    dashboard.page.keyboard.up(key)
    until(dashboard, lambda: "p.gradclip.zoom" in dashboard.page.url)
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
    dashboard.page.wait_for_timeout(300)
    assert hint.count() == 0


def test_a_page_that_is_scrolled_past_charts_says_nothing(dashboard: Dashboard, board: str) -> None:
    dashboard.page.set_viewport_size({"width": 1440, "height": 500})
    dashboard.open(board)
    dashboard.page.mouse.move(900, 470)  # over the table of runs, or what is above the charts
    for _ in range(20):
        dashboard.page.mouse.wheel(0, 120)
        dashboard.page.wait_for_timeout(60)
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
    until(dashboard, lambda: f"p.gradclip.step={start + one + ten}" in dashboard.page.url)


@pytest.fixture(scope="module")
def fifty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Fifty runs of a sweep."""
    logs = tmp_path_factory.mktemp("fifty") / "logs"
    for i in range(50):
        write_run(logs / f"lr{i % 5}" / f"seed{i // 5}", 150, Rule("global_norm", 0.5 + 0.1 * (i % 5)), seed=i)
    with tensorboard(logs) as address:
        wait_for_steps(address, 150, runs=50)
        yield address


def colours(dashboard: Dashboard) -> dict[str | None, str]:
    return {
        run.get_attribute("data-run"): run.locator(".swatch").evaluate("e => getComputedStyle(e).backgroundColor")
        for run in dashboard.frame.get_by_test_id("run").all()
    }


@pytest.mark.parametrize(("width", "height"), [(1300, 900), (600, 700)])
def test_the_tooltip_of_fifty_runs_stays_on_the_screen_and_says_how_many_are_left_out(
    dashboard: Dashboard, fifty: str, width: int, height: int
) -> None:
    dashboard.page.set_viewport_size({"width": width, "height": height})
    dashboard.open(fifty, runs=50)
    dashboard.frame.get_by_role("button", name="all", exact=True).click()
    dashboard.page.wait_for_timeout(1500)
    for chart in (*TIME_CHARTS, "chart-throttle"):
        dashboard.chart(chart).scroll_into_view_if_needed()
        for share in (0.15, 0.5, 0.97):
            dashboard.hover(chart, share)
            tooltip = dashboard.frame.get_by_test_id("tooltip")
            assert "and 37 more" in tooltip.inner_text()
            values = tooltip.locator("td.value").all_inner_texts()
            numbers = [float(value.split(" ")[0].replace("\u202f%", "").replace("%", "")) for value in values]
            assert len(numbers) == 13
            assert numbers == sorted(numbers, reverse=True)
            outside = tooltip.evaluate(
                "e => { const b = e.getBoundingClientRect(); return b.left < 0 || b.top < 0"
                " || b.right > document.documentElement.clientWidth || b.bottom > innerHeight }"
            )
            assert not outside, f"{chart} at {share}"


def test_runs_are_selected_by_regex_alone_and_keep_their_colours(dashboard: Dashboard, fifty: str) -> None:
    dashboard.open(fifty, runs=50)
    before = colours(dashboard)
    dashboard.frame.get_by_role("button", name="all", exact=True).click()
    dashboard.frame.get_by_role("button", name="none", exact=True).click()
    dashboard.frame.get_by_test_id("search").fill(r"lr[13]/seed0$")
    dashboard.page.wait_for_timeout(300)
    dashboard.frame.get_by_role("button", name="all", exact=True).click()
    dashboard.page.wait_for_timeout(800)
    rows = [row.get_attribute("data-run") for row in dashboard.frame.get_by_test_id("health-row").all()]
    assert rows == ["lr1/seed0", "lr3/seed0"]
    dashboard.frame.get_by_label("Show only lr3/seed0").click()
    dashboard.page.wait_for_timeout(500)
    rows = [row.get_attribute("data-run") for row in dashboard.frame.get_by_test_id("health-row").all()]
    assert rows == ["lr3/seed0"]
    dashboard.frame.get_by_test_id("search").fill("")
    dashboard.page.wait_for_timeout(300)
    assert colours(dashboard) == before


def test_runs_of_a_sweep_are_grouped_by_a_regular_expression(dashboard: Dashboard, fifty: str) -> None:
    dashboard.open(fifty, runs=50)
    dashboard.frame.get_by_role("button", name="all", exact=True).click()
    dashboard.frame.get_by_test_id("grouping").fill(r"seed\d+")
    dashboard.page.wait_for_timeout(1500)
    groups = dashboard.frame.get_by_test_id("group")
    assert [group.inner_text().split() for group in groups.all()] == [[f"lr{i}", "10", "runs"] for i in range(5)]
    assert len(set(colours(dashboard).values())) == 5
    for chart in ("chart-loss", "chart-norm", "chart-clip-rate", "chart-throttle"):
        dashboard.chart(chart).scroll_into_view_if_needed()
        dashboard.hover(chart, 0.5)
        rows = dashboard.frame.get_by_test_id("tooltip").locator("tr").all_inner_texts()
        assert len(rows) == 5
        assert all("10 of 10 runs" in row for row in rows)
    assert dashboard.frame.get_by_test_id("health-row").count() == 50
    assert "p.gradclip.group=seed" in dashboard.page.url
    dashboard.frame.get_by_test_id("grouping").fill("(")
    assert "not grouped" in dashboard.frame.locator("#grouping-error").inner_text()
    assert groups.count() == 0


def test_new_steps_and_new_runs_leave_zoom_selection_and_colours_as_they_are(
    dashboard: Dashboard, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    write_runs(logs, 400)
    book = recorder(logs / "live")
    book.add_steps(measured(0, [2.0] * 100))
    book.flush()
    with tensorboard(logs) as address:
        dashboard.open(address, runs=4)
        select(dashboard, "clipped", "live")
        before = colours(dashboard)
        for _ in range(4):
            dashboard.hover("chart-loss", 0.5)
            dashboard.page.keyboard.down("Control")
            dashboard.page.mouse.wheel(0, -100)
            dashboard.page.keyboard.up("Control")
        dashboard.page.wait_for_timeout(800)
        shown = visible_steps(dashboard)
        left = dashboard.cursor("chart-norm")
        book.add_steps(measured(100, [2.0] * 900))
        book.flush()
        write_run(logs / "another", 400, Rule("none"), seed=9)
        runs = dashboard.frame.get_by_test_id("run")
        dashboard.frame.wait_for_function(
            "() => document.querySelectorAll('[data-testid=run]').length === 5", timeout=30_000
        )
        dashboard.page.wait_for_timeout(1000)
        assert visible_steps(dashboard) == shown
        assert dashboard.cursor("chart-norm") == left
        checked = [run.get_attribute("data-run") for run in runs.all() if run.locator("input").is_checked()]
        assert checked == ["clipped", "live"]
        now = colours(dashboard)
        assert {name: now[name] for name in before} == before
        dashboard.leave()
    book.close()
