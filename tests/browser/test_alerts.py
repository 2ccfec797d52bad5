"""The panel of alerts and the timeline of one, in a real browser inside real TensorBoard."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator

from tb_gradclip.core.rules import Rule
from tests.browser.conftest import Dashboard
from tests.logs import BREAK, SPIKE, write_run
from tests.tensorboard import tensorboard
from tests.test_recorder import measured, recorder


def alerts(dashboard: Dashboard) -> list[tuple[str, int]]:
    entries = dashboard.frame.get_by_test_id("alert").all()
    return [(e.get_attribute("data-kind") or "", int(e.get_attribute("data-step") or -1)) for e in entries]


def entry(dashboard: Dashboard, kind: str) -> Locator:
    return dashboard.frame.locator(f"[data-testid=alert][data-kind={kind}]").first


def shown(dashboard: Dashboard) -> tuple[int, int]:
    """Steps near the edges of the charts."""
    dashboard.hover("chart-norm", 0.06)
    left = dashboard.cursor("chart-norm")
    dashboard.hover("chart-norm", 0.98)
    return left, dashboard.cursor("chart-norm")


def test_alerts_of_all_runs_are_listed_and_can_be_filtered(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    everything = alerts(dashboard)
    assert {("spike", SPIKE), ("nonfinite", BREAK), ("lint", 0)} <= set(everything)
    times = [step for _, step in everything]
    assert times == sorted(times, reverse=True)
    assert "First to rise: rnn.weight" in entry(dashboard, "spike").inner_text()
    dashboard.frame.get_by_test_id("alert-kind").select_option("spike")
    assert {kind for kind, _ in alerts(dashboard)} == {"spike"}
    dashboard.frame.get_by_test_id("alert-kind").select_option("")
    dashboard.frame.get_by_test_id("alerts").get_by_text("worst", exact=True).click()
    assert alerts(dashboard)[0] == ("nonfinite", BREAK)
    dashboard.frame.locator("[data-testid=run][data-run=broken] input").uncheck()
    dashboard.settle(300)
    assert "nonfinite" not in {kind for kind, _ in alerts(dashboard)}


def test_a_selected_alert_zooms_every_chart_and_opens_its_timeline(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    entry(dashboard, "spike").click()
    dashboard.chart("chart-blame").wait_for()
    dashboard.settle(1000)
    assert f"{SPIKE // 50 * 50:,}" in dashboard.frame.get_by_test_id("distribution-step").inner_text()
    distance = dashboard.frame.get_by_test_id("distribution-distance").inner_text()
    assert distance == f"{SPIKE % 50} steps before the selected alert began"
    left, right = shown(dashboard)
    assert SPIKE - 64 <= left < SPIKE < right <= SPIKE + 32
    assert "rnn.weight left its past" in dashboard.frame.get_by_test_id("blame-order").inner_text()
    names = [line.get_attribute("data-parameter") for line in dashboard.frame.get_by_test_id("departure").all()]
    assert names[0] == "rnn.weight"
    assert set(names) == {"embedding.weight", "rnn.weight", "head.weight"}
    assert f"p.gradclip.alert={SPIKE}%3Aspike%3Aclipped" in dashboard.page.url
    dashboard.frame.get_by_test_id("close-alert").click()
    dashboard.settle(1000)
    left, right = shown(dashboard)
    assert right - left > 4000


def test_the_timeline_reads_norms_at_the_shared_cursor(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    entry(dashboard, "spike").click()
    dashboard.chart("chart-blame").wait_for()
    dashboard.settle(1000)
    first = dashboard.frame.get_by_test_id("departure").first
    assert "up to ×" in first.inner_text()
    chart = dashboard.chart("chart-blame")
    chart.scroll_into_view_if_needed()
    dashboard.hover("chart-blame", 0.3)
    assert "up to" not in first.inner_text()
    assert SPIKE - 64 < dashboard.cursor("chart-loss") < SPIKE


def test_dragging_on_the_timeline_zooms_it_and_every_chart(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    entry(dashboard, "spike").click()
    chart = dashboard.chart("chart-blame")
    chart.wait_for()
    dashboard.settle(1000)
    chart.scroll_into_view_if_needed()
    places = []
    for share in (0.3, 0.6):
        dashboard.hover("chart-blame", share)
        places.append(dashboard.cursor("chart-loss"))
        if share == 0.3:
            dashboard.page.mouse.down()
    dashboard.page.mouse.up()
    dashboard.settle(1200)
    left, right = shown(dashboard)
    assert places[0] <= left < right <= places[1]
    chart.scroll_into_view_if_needed()
    dashboard.hover("chart-blame", 0.95)
    assert dashboard.cursor("chart-loss") == pytest.approx(places[1], abs=3)
    box = chart.locator(".plot-area").bounding_box()
    assert box is not None
    dashboard.page.mouse.dblclick(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    dashboard.settle(1000)
    left, right = shown(dashboard)
    assert right - left > 4000


def test_a_marker_of_the_loss_chart_selects_its_alert(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    markers = dashboard.chart("chart-loss").get_by_test_id("marker").all()
    broken = next(marker for marker in markers if "NaN" in (marker.get_attribute("aria-label") or ""))
    broken.click()
    dashboard.settle(1200)
    assert entry(dashboard, "nonfinite").get_attribute("aria-pressed") == "true"
    assert dashboard.frame.get_by_test_id("blame").get_attribute("data-step") == str(BREAK)
    left, right = shown(dashboard)
    assert BREAK - 64 <= left < BREAK < right <= BREAK + 32
    assert "broken" in dashboard.frame.get_by_test_id("parameters-words").inner_text()


FOCUSED = """() => [document.activeElement.dataset.testid ?? document.activeElement.tagName,
    document.activeElement.getAttribute("aria-label") ?? ""]"""


def test_the_focus_stays_with_the_alert_whose_marker_was_pressed_and_else_in_the_chart(
    dashboard: Dashboard, board: str
) -> None:
    dashboard.open(board)
    dashboard.chart("chart-loss").get_by_test_id("marker").nth(1).focus()
    dashboard.frame.get_by_test_id("tooltip").wait_for()
    dashboard.page.keyboard.press("Enter")
    dashboard.chart("chart-blame").wait_for()
    dashboard.settle(800)
    assert dashboard.chart("chart-loss").get_by_test_id("marker").count() == 1
    name, label = dashboard.frame.evaluate(FOCUSED)
    assert (name, label[:4]) == ("marker", "NaN.")
    assert dashboard.frame.get_by_test_id("tooltip").count() == 0  # the charts show what was pinned
    dashboard.frame.get_by_test_id("close-alert").click()
    dashboard.chart("chart-loss").get_by_test_id("marker").nth(0).focus()
    dashboard.hover("chart-loss", 0.9)
    dashboard.page.keyboard.down("Control")
    for _ in range(6):
        dashboard.page.mouse.wheel(0, -200)
    dashboard.page.keyboard.up("Control")
    dashboard.until(lambda: dashboard.chart("chart-loss").get_by_test_id("marker").count() == 0)
    assert dashboard.frame.evaluate(FOCUSED)[0] == "chart-loss"


def test_markers_of_the_timeline_show_alerts_and_promise_nothing(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    entry(dashboard, "spike").click()
    marker = dashboard.chart("chart-blame").get_by_test_id("marker")
    marker.wait_for()
    assert marker.get_attribute("role") == "img"
    assert f"Step {SPIKE:,}, clipped." in (marker.get_attribute("aria-label") or "")
    assert "Press" not in (marker.get_attribute("aria-label") or "")
    assert dashboard.chart("chart-blame").locator("button, [tabindex]").count() == 0


def test_a_chip_of_the_health_table_opens_its_alert_though_charts_do_not_mark_it(
    dashboard: Dashboard, tmp_path: Path
) -> None:
    book = recorder(tmp_path / "logs" / "changes")
    for first in range(0, 4000, 100):
        book.add_steps(measured(first, [2.0] * 100, threshold=2.0 if first < 2000 else 1.0))  # of a norm of 1.4
    book.close()
    with tensorboard(tmp_path / "logs") as address:
        dashboard.page.goto(f"{address}#gradclip")
        chip = dashboard.frame.get_by_test_id("health-row").get_by_role("button", name="clip rate changed")
        chip.click()
        dashboard.chart("blame").wait_for()
        dashboard.settle(800)
        assert entry(dashboard, "regime").get_attribute("aria-pressed") == "true"
        left, right = shown(dashboard)
        assert right - left < 100
        dashboard.leave()


def test_alerts_are_reached_and_selected_with_the_keyboard(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    everything = alerts(dashboard)
    dashboard.frame.get_by_test_id("alert").first.focus()
    dashboard.page.keyboard.press("ArrowDown")
    dashboard.page.keyboard.press("Enter")
    dashboard.settle(500)
    pressed = dashboard.frame.locator("[data-testid=alert][aria-pressed=true]")
    assert (pressed.get_attribute("data-kind"), int(pressed.get_attribute("data-step") or -1)) == everything[1]


def test_a_finding_says_why_it_has_no_timeline(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    entry(dashboard, "lint").click()
    assert "A finding is about how clipping is set up" in dashboard.frame.get_by_test_id("no-timeline").inner_text()


def test_a_link_brings_back_the_timeline(dashboard: Dashboard, board: str) -> None:
    zoom = f"p.gradclip.zoom={SPIKE - 64}_{SPIKE + 32}"
    dashboard.page.goto(f"{board}#gradclip&p.gradclip.alert={SPIKE}%3Aspike%3Aclipped&{zoom}")
    dashboard.chart("chart-blame").wait_for()
    assert entry(dashboard, "spike").get_attribute("aria-pressed") == "true"


def test_a_departed_parameter_is_picked_from_the_timeline(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    entry(dashboard, "spike").click()
    first = dashboard.frame.get_by_test_id("departure").first
    first.get_by_role("button").click()
    dashboard.settle(500)
    assert dashboard.frame.get_by_test_id("picked").get_attribute("data-parameter") == "rnn.weight"


def test_a_run_in_which_nothing_broke_says_so(dashboard: Dashboard, tmp_path: Path) -> None:
    write_run(tmp_path / "logs" / "calm", 400, Rule("none"))
    with tensorboard(tmp_path / "logs") as address:
        dashboard.open(address, runs=1)
        note = dashboard.frame.get_by_test_id("no-alerts").inner_text()
        assert note == "No alerts: nothing broke in 400 steps."


def test_of_many_alerts_two_hundred_are_listed_and_late_ones_say_why_they_have_no_timeline(
    dashboard: Dashboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tb_gradclip.core.flight.MOST_BYTES", 20_000)
    book = recorder(tmp_path / "logs" / "shaky")
    for first in range(0, 60_000, 200):
        losses = [2.0] * 200
        losses[150] = float("nan")
        book.add_steps(measured(first, losses))
    book.close()
    write_run(tmp_path / "logs" / "usual", 200, Rule("none"))
    with tensorboard(tmp_path / "logs") as address:
        dashboard.open(address, runs=2)
        total = int(dashboard.frame.locator("[data-testid=alert-kind] option").first.inner_text().split("(")[1][:-1])
        assert total > 250
        assert len(alerts(dashboard)) == 200
        dashboard.frame.get_by_test_id("more-alerts").click()
        assert len(alerts(dashboard)) == min(total, 400)
        dashboard.frame.get_by_test_id("alert").first.click()
        failed = dashboard.frame.get_by_test_id("no-timeline")
        failed.wait_for()
        assert "kept around the first alerts of a run only" in failed.inner_text()
        dashboard.leave()


def test_a_distribution_that_was_counted_after_the_alert_is_shown_and_says_how_far(
    dashboard: Dashboard, tmp_path: Path
) -> None:
    write_run(tmp_path / "logs" / "broken", 1000, Rule("none"), breaks_at=510)  # one distribution every 50 steps
    with tensorboard(tmp_path / "logs") as address:
        dashboard.open(address, runs=1)
        entry(dashboard, "nonfinite").click()
        step, distance = (dashboard.frame.get_by_test_id(f"distribution-{name}") for name in ("step", "distance"))
        dashboard.frame.get_by_text("40 steps after the selected alert, while it lasted", exact=True).wait_for()
        assert step.inner_text() == "step 550"
        assert "NaN 0\nInf 0" not in dashboard.frame.get_by_test_id("tally").inner_text()
        dashboard.frame.get_by_label("Previous recorded step").click()
        dashboard.frame.get_by_text("10 steps before the selected alert began", exact=True).wait_for()
        assert step.inner_text() == "step 500"
        dashboard.frame.get_by_test_id("close-alert").click()
        dashboard.settle(300)
        assert distance.inner_text() == ""
        dashboard.leave()
