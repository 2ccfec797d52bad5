"""What stays as it is while runs grow and begin, and what a link into a part of them shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from playwright.sync_api import Route

from tb_gradclip.core.rules import Rule
from tests.browser.conftest import Dashboard
from tests.browser.test_dashboard import visible_steps
from tests.browser.test_time_charts import colours, select
from tests.logs import GrowingRun, write_run, write_runs
from tests.tensorboard import tensorboard, wait_for_steps
from tests.test_recorder import measured, recorder


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
        dashboard.settle(800)
        shown = visible_steps(dashboard)
        left = dashboard.cursor("chart-norm")
        book.add_steps(measured(100, [2.0] * 900))
        book.flush()
        write_run(logs / "another", 400, Rule("none"), seed=9)
        runs = dashboard.frame.get_by_test_id("run")
        dashboard.frame.wait_for_function(
            "() => document.querySelectorAll('[data-testid=run]').length === 5", timeout=30_000
        )
        dashboard.settle(1000)
        assert visible_steps(dashboard) == shown
        assert dashboard.cursor("chart-norm") == left
        checked = [run.get_attribute("data-run") for run in runs.all() if run.locator("input").is_checked()]
        assert checked == ["clipped", "live"]
        now = colours(dashboard)
        assert {name: now[name] for name in before} == before
        dashboard.leave()
    book.close()


def test_the_panels_below_stay_when_a_run_grows_and_another_begins(dashboard: Dashboard, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    live = GrowingRun(logs / "live")
    live.grow(400)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with tensorboard(logs) as address:
        dashboard.open(address, runs=1)
        dashboard.page.route("**/gradclip/runs*", hold)
        parameters = dashboard.frame.get_by_test_id("chart-parameters")
        parameters.evaluate("element => element.dataset.seen = 'before'")
        live.grow(400)
        write_run(logs / "another", 800, Rule("none"), seed=9)
        wait_for_steps(address, 800, runs=2)
        dashboard.until(lambda: held)
        with dashboard.page.expect_response(lambda response: "norm_before" in response.url):
            dashboard.page.unroute("**/gradclip/runs*")  # which lets the held ones go
        dashboard.until(lambda: dashboard.frame.get_by_test_id("run").count() == 2)
        dashboard.settle(500)
        assert parameters.get_attribute("data-seen") == "before"
        dashboard.leave()
    live.recorder.close()


def test_a_link_into_a_part_shows_the_loss_on_the_axis_that_the_whole_has(dashboard: Dashboard, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    book = recorder(logs / "falls")
    book.add_steps(measured(0, list(1e3 * np.exp(-np.arange(1000) / 60))))
    book.close()
    with tensorboard(logs) as address:
        wait_for_steps(address, 1000, runs=1)
        is_log = []
        for link in ("", "&p.gradclip.zoom=200_202"):
            with dashboard.page.expect_response(lambda response: "norm_before" in response.url):
                dashboard.page.goto(f"{address}#gradclip{link}")
            dashboard.settle(500)
            is_log.append(dashboard.frame.get_by_test_id("log-loss").get_attribute("aria-pressed"))
            dashboard.leave()
    assert is_log == ["true", "true"]
