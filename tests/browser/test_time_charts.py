"""What time charts show of runs, steps and groups, beyond what `test_dashboard` looks at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tb_gradclip.core.rules import Rule
from tests.browser.conftest import TIME_CHARTS, Dashboard
from tests.browser.test_dashboard import INK
from tests.logs import write_run
from tests.tensorboard import tensorboard, wait_for_steps
from tests.test_recorder import measured, recorder

HEIGHT_OF = """
(chart, [share, [red, green, blue]]) => {
  const canvas = chart.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(Math.round(canvas.width * share), 0, 1, canvas.height);
  for (let i = 0; i < data.length; i += 4)
    if (Math.abs(data[i] - red) + Math.abs(data[i + 1] - green) + Math.abs(data[i + 2] - blue) < 60) return i / 4;
  return -1;
}
"""
"""Row of the topmost pixel of a colour at a share of the width."""


def select(dashboard: Dashboard, *names: str) -> None:
    """Have exactly these runs checked."""
    for run in dashboard.frame.get_by_test_id("run").all():
        run.locator("input").set_checked(run.get_attribute("data-run") in names)
    dashboard.settle(800)


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


def test_norms_said_together_are_of_one_step(dashboard: Dashboard, tmp_path: Path) -> None:
    write_run(tmp_path / "logs" / "often", 5000, Rule("global_norm", 1.4))
    said = set()
    with tensorboard(tmp_path / "logs") as address:
        wait_for_steps(address, 5000, runs=1)
        dashboard.open(address, runs=1)
        for i in range(40):
            dashboard.hover("chart-norm", 0.1 + 0.02 * i)
            tooltip = dashboard.frame.get_by_test_id("tooltip")
            text, steps = tooltip.locator(".value").inner_text(), tooltip.locator(".soft").all_inner_texts()
            numbers = [float(number) for number in re.findall(r"[\d.]+", text)]
            if "before" in text:
                said.add("apart")
                assert re.fullmatch(r"threshold 1\.4 · (step [\d,]+)\n(?!\1$)step [\d,]+", *steps), (text, steps)
            elif "→" in text:
                said.add("clipped")
                assert numbers[0] >= 1.4, text  # the rule, as far as three digits tell
                assert numbers[1] == 1.4, text
            else:
                said.add("not clipped")
                assert numbers[0] <= 1.4, text
        dashboard.leave()
    assert said == {"apart", "clipped", "not clipped"}


def test_a_parameter_that_a_run_does_not_have_counts_as_none(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board, link="&p.gradclip.parameter=nobody")
    chart = dashboard.chart("chart-histogram-map")
    chart.scroll_into_view_if_needed()
    chart.locator("canvas").wait_for()
    assert chart.evaluate(INK) > 10_000


def test_most_of_the_range_and_log_axes_are_kept_in_the_link(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    before = dashboard.chart("chart-loss").locator("canvas").screenshot()
    for button in ("most-loss", "log-norm"):
        dashboard.frame.get_by_test_id(button).click()
    dashboard.settle(500)
    assert dashboard.chart("chart-loss").locator("canvas").screenshot() != before
    assert "p.gradclip.loss_range=most" in dashboard.page.url
    assert "p.gradclip.norm_scale=linear" in dashboard.page.url
    dashboard.page.reload()
    dashboard.chart("chart-loss").wait_for()
    pressed = {
        name: dashboard.frame.get_by_test_id(name).get_attribute("aria-pressed")
        for name in ("most-loss", "most-norm", "log-norm")
    }
    assert pressed == {"most-loss": "true", "most-norm": "false", "log-norm": "false"}


def write_scheduled(logdir: Path, schedule: Sequence[float]) -> None:
    """A run of a thousand steps whose norms are half a unit, with each of these thresholds in turn."""
    book = recorder(logdir)
    limits = np.repeat(schedule, 1000 // len(schedule))
    for first in range(0, 1000, 100):
        batch = measured(first, [2.0] * 100, threshold=float(limits[first + 99]))
        norms = np.full_like(batch.norms_before, np.sqrt(0.125))
        limit = limits[first : first + 100]
        book.add_steps(replace(batch, thresholds=limit, norm_before=np.full(100, 0.5), norms_before=norms))
    book.close()


def test_a_threshold_that_changes_is_drawn_and_told_as_it_was_at_each_step(
    dashboard: Dashboard, tmp_path: Path
) -> None:
    write_scheduled(tmp_path / "logs" / "scheduled", [4.0, 1.0])
    with tensorboard(tmp_path / "logs") as address:
        wait_for_steps(address, 1000, runs=1)
        dashboard.page.goto(f"{address}#gradclip")
        dashboard.chart("chart-norm").locator("canvas").wait_for()
        dashboard.settle(1000)
        chart = dashboard.chart("chart-norm")
        for share, limit in ((0.3, 4), (0.8, 1)):
            dashboard.hover("chart-norm", share)
            assert f"threshold {limit}" in dashboard.frame.get_by_test_id("tooltip").inner_text()
        dashboard.page.mouse.move(0, 0)
        dashboard.settle(200)
        heights = [chart.evaluate(HEIGHT_OF, [share, [180, 83, 9]]) for share in (0.2, 0.4, 0.6, 0.85)]
        assert heights[0] == heights[1] < heights[2] == heights[3]
        dashboard.frame.get_by_test_id("export-norm").click()
        with dashboard.page.expect_download() as download:
            dashboard.frame.get_by_test_id("export-svg").click()
        root = ElementTree.fromstring(Path(download.value.path()).read_text(encoding="utf-8"))
        accent = chart.evaluate("chart => getComputedStyle(chart).getPropertyValue('--accent').trim()")
        (stairs,) = [each for each in root.iter("{http://www.w3.org/2000/svg}path") if each.get("stroke") == accent]
        places = [tuple(map(float, place)) for place in re.findall(r"[ML]([-\d.]+),([-\d.]+)", stairs.get("d", ""))]
        assert len({y for _, y in places}) == 2
        assert [y for _, y in places] == sorted(y for _, y in places)
        dashboard.leave()


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
    dashboard.settle(1500)
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
    dashboard.settle(300)
    dashboard.frame.get_by_role("button", name="all", exact=True).click()
    dashboard.settle(800)
    rows = [row.get_attribute("data-run") for row in dashboard.frame.get_by_test_id("health-row").all()]
    assert rows == ["lr1/seed0", "lr3/seed0"]
    dashboard.frame.get_by_label("Show only lr3/seed0").click()
    dashboard.settle(500)
    rows = [row.get_attribute("data-run") for row in dashboard.frame.get_by_test_id("health-row").all()]
    assert rows == ["lr3/seed0"]
    dashboard.frame.get_by_test_id("search").fill("")
    dashboard.settle(300)
    assert colours(dashboard) == before


def test_runs_of_a_sweep_are_grouped_by_a_regular_expression(dashboard: Dashboard, fifty: str) -> None:
    dashboard.open(fifty, runs=50)
    dashboard.frame.get_by_role("button", name="all", exact=True).click()
    dashboard.frame.get_by_test_id("grouping").fill(r"seed\d+")
    dashboard.settle(1500)
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
