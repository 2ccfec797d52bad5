"""What the settings beside the charts and above them do to the picture, and what a second try does after an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator

from tb_gradclip.core.rules import Rule
from tests import logs
from tests.browser.conftest import CHARTS, Dashboard
from tests.tensorboard import tensorboard, wait_for_steps


def picture(dashboard: Dashboard, chart: str) -> bytes:
    """The canvas of a chart, with the pointer elsewhere and nothing left to read or draw."""
    dashboard.page.mouse.move(5, 5)
    dashboard.settle(800)
    return dashboard.chart(chart).locator("canvas").screenshot()


def choose(dashboard: Dashboard, group: str, option: str) -> None:
    dashboard.frame.get_by_role("radiogroup", name=group).get_by_text(option, exact=True).click()


def clip_rates(dashboard: Dashboard) -> str:
    """As the tooltip says them in the middle of the chart."""
    dashboard.hover("chart-clip-rate", 0.5)
    return dashboard.frame.get_by_test_id("tooltip").inner_text()


def test_clip_rates_are_of_the_window_that_is_chosen(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    said, before = clip_rates(dashboard), picture(dashboard, "chart-clip-rate")
    choose(dashboard, "Steps that the clip rate looks back over", "20")
    dashboard.until(lambda: "p.gradclip.window=20" in dashboard.page.url)
    dashboard.frame.get_by_text("share of the last 20 steps").wait_for()
    assert picture(dashboard, "chart-clip-rate") != before
    assert clip_rates(dashboard) != said
    choose(dashboard, "Steps that the clip rate looks back over", "100")
    assert picture(dashboard, "chart-clip-rate") == before


def test_smoothing_smooths_the_loss_and_leaves_the_clip_rate_as_it_is(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board, link="&p.gradclip.zoom=1000_1400&p.gradclip.runs=by_value")
    charts = ("chart-loss", "chart-norm", "chart-clip-rate")
    before = [picture(dashboard, chart) for chart in charts]
    smoothing = dashboard.frame.get_by_label("Smoothing")
    smoothing.fill("0.9")
    dashboard.until(lambda: "p.gradclip.smoothing=0.9" in dashboard.page.url)
    assert [picture(dashboard, chart) == was for chart, was in zip(charts, before, strict=True)] == [False, False, True]
    smoothing.fill("0")
    assert [picture(dashboard, chart) for chart in charts] == before


@pytest.mark.parametrize("panel", ["loss", "norm"])
def test_log_axes_change_the_picture_and_back(dashboard: Dashboard, board: str, panel: str) -> None:
    dashboard.open(board)
    before = picture(dashboard, f"chart-{panel}")
    dashboard.frame.get_by_test_id(f"log-{panel}").click()
    assert picture(dashboard, f"chart-{panel}") != before
    dashboard.frame.get_by_test_id(f"log-{panel}").click()
    assert picture(dashboard, f"chart-{panel}") == before


def test_on_the_wall_axis_runs_lie_where_they_were_trained(
    dashboard: Dashboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs of 500 seconds, the second a thousand seconds after the first began."""
    logs.write_run(tmp_path / "early", 1000, Rule("global_norm", 1.0))
    monkeypatch.setattr(logs, "START", logs.START + 1000)
    logs.write_run(tmp_path / "late", 1000, Rule("global_norm", 1.0), seed=1)
    names = ("early", "late")

    def shown(share: float) -> tuple[str, set[str]]:
        dashboard.hover("chart-loss", share)
        said = dashboard.frame.get_by_test_id("tooltip").inner_text()
        return said, {name for name in names if name in said}

    with tensorboard(tmp_path) as address:
        wait_for_steps(address, 1000, runs=2)
        dashboard.open(address, runs=2)
        assert shown(0.2)[1] == shown(0.9)[1] == {"early", "late"}
        choose(dashboard, "Horizontal axis", "Wall")
        dashboard.until(lambda: "p.gradclip.axis=wall_time" in dashboard.page.url)
        dashboard.settle(800)
        (first, of_first), (last, of_last) = shown(0.2), shown(0.9)
        assert (of_first, of_last) == ({"early"}, {"late"})
        moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
        assert re.match(moment, first)
        assert re.match(moment, last)
        dashboard.leave()


def open_refused(dashboard: Dashboard, board: str, refused: re.Pattern[str]) -> Locator:
    """Open the tab while requests like these fail; gives where it says so."""
    dashboard.page.route(refused, lambda route: route.fulfill(status=500, body="the disk is asleep"))
    dashboard.page.goto(f"{board}#gradclip")
    error = dashboard.frame.get_by_test_id("error")
    error.get_by_text("the disk is asleep").wait_for()
    return error


def test_after_an_error_another_try_shows_the_runs(dashboard: Dashboard, board: str) -> None:
    refused = re.compile(r"/plugin/gradclip/runs(\?|$)")
    error = open_refused(dashboard, board, refused)
    assert dashboard.frame.get_by_test_id("run").count() == 0
    error.get_by_role("button").click()
    dashboard.settle(500)
    assert error.is_visible()
    dashboard.page.unroute(refused)
    error.get_by_role("button").click()
    for name in CHARTS:
        dashboard.chart(name).wait_for()
    assert dashboard.frame.get_by_test_id("run").count() == 3
    assert error.count() == 0
    assert all("500" in complaint for complaint in dashboard.complaints)
    dashboard.complaints.clear()


def test_after_lines_that_could_not_be_read_another_try_draws_them(dashboard: Dashboard, board: str) -> None:
    refused = re.compile(r"/plugin/gradclip/series\?")
    error = open_refused(dashboard, board, refused)
    dashboard.page.unroute(refused)
    error.get_by_role("button").click()
    error.wait_for(state="detached")
    dashboard.hover("chart-loss", 0.3)
    assert "by_value" in dashboard.frame.get_by_test_id("tooltip").inner_text()
    assert all("500" in complaint for complaint in dashboard.complaints)
    dashboard.complaints.clear()
