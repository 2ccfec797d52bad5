"""The panel of parameters, in a real browser inside real TensorBoard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator

from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rules import Rule
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import EventFile
from tests.browser.conftest import Dashboard
from tests.logs import measured, write_run
from tests.tensorboard import tensorboard

NAMES = ["embedding.weight", "rnn.weight", "head.weight"]
BLUE = """
chart => {
  const canvas = chart.querySelector("canvas"), {width, height} = canvas;
  const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
  let cells = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 0 && data[i + 2] > data[i] + 5) cells += 1;
  return cells / (width * height);
}
"""
"""Share of a heatmap that cells cover."""


def focus(dashboard: Dashboard, run: str) -> None:
    dashboard.frame.get_by_test_id("distribution-run").select_option(run)
    dashboard.settle(800)


def rows(dashboard: Dashboard) -> list[str]:
    return [row.get_attribute("data-parameter") or "" for row in dashboard.frame.get_by_test_id("parameter-row").all()]


def point(dashboard: Dashboard, across: float, row: int, tall: float = 24) -> None:
    """Point at a row of the heatmap, given a share of its width."""
    chart = dashboard.chart("chart-parameters")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    dashboard.page.mouse.move(box["x"] + box["width"] * across, box["y"] + (row + 0.5) * tall, steps=3)
    dashboard.settle(150)


def row(dashboard: Dashboard, parameter: str) -> Locator:
    return dashboard.frame.locator(f"[data-testid=parameter-row][data-parameter='{parameter}']")


def test_every_parameter_has_a_row_in_the_heatmap_and_in_the_table(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    focus(dashboard, "clipped")
    assert rows(dashboard) == NAMES
    assert dashboard.chart("chart-parameters").evaluate(BLUE) > 0.25
    assert "40 × 8" in row(dashboard, "embedding.weight").inner_text()
    assert "share of the squared norm, clipped" in dashboard.frame.get_by_test_id("parameters-words").inner_text()


def test_a_tap_on_the_heatmap_picks_the_row_under_the_finger(browser: Browser, board: str) -> None:
    context = browser.new_context(viewport={"width": 700, "height": 1600}, has_touch=True)
    dashboard = Dashboard(context.new_page())
    dashboard.open(board)
    chart = dashboard.chart("chart-parameters")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    for share in (0.8, 0.5):
        dashboard.page.touchscreen.tap(box["x"] + box["width"] * share, box["y"] + 8)
        dashboard.frame.get_by_test_id("picked").wait_for()
        assert dashboard.frame.get_by_test_id("picked").get_attribute("data-parameter") == "embedding.weight"
        dashboard.frame.get_by_role("button", name="show all parameters").tap()
    context.close()


def test_hovering_the_heatmap_moves_every_cursor_and_says_what_is_there(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    focus(dashboard, "clipped")
    point(dashboard, 0.6, 1)
    tooltip = dashboard.frame.get_by_test_id("heat-tooltip")
    assert "rnn.weight" in tooltip.inner_text()
    assert "of the squared norm" in tooltip.inner_text()
    step = dashboard.cursor("chart-parameters")
    assert step == dashboard.cursor("chart-loss") == dashboard.cursor("chart-norm")
    first, last = (
        int(part.replace(",", "")) for part in tooltip.inner_text().split("steps ")[1].split("\n")[0].split("–")
    )
    assert first <= step <= last
    dashboard.page.mouse.move(5, 5)
    dashboard.settle(150)
    assert tooltip.count() == 0


def test_the_cursor_of_other_charts_shows_in_the_heatmap_on_every_axis(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    focus(dashboard, "clipped")
    for axis in ("Step", "Relative"):
        dashboard.frame.get_by_text(axis, exact=True).click()
        dashboard.settle(800)
        dashboard.hover("chart-norm", 0.5)
        assert 2200 < dashboard.cursor("chart-parameters") < 2700
        assert dashboard.chart("chart-parameters").locator(".cursor-line").is_visible()


def test_the_heatmap_is_walked_through_with_the_keyboard(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    focus(dashboard, "clipped")
    chart = dashboard.chart("chart-parameters")
    chart.focus()
    seen = []
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        dashboard.page.keyboard.press(key)
        seen.append(chart.get_attribute("data-row"))
    assert seen == [*NAMES, NAMES[2], NAMES[1]]
    before = dashboard.cursor("chart-parameters")
    dashboard.page.keyboard.press("ArrowRight")
    assert dashboard.cursor("chart-parameters") > before
    assert "rnn.weight" in dashboard.frame.get_by_test_id("heat-tooltip").inner_text()
    dashboard.page.keyboard.press("Enter")
    assert dashboard.frame.get_by_test_id("picked").get_attribute("data-parameter") == "rnn.weight"


def test_a_picked_parameter_is_shown_alone_everywhere_until_picked_again(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    focus(dashboard, "clipped")
    row(dashboard, "head.weight").click()
    dashboard.settle(700)
    assert dashboard.frame.get_by_test_id("distribution-parameter").input_value() == "head.weight"
    assert "40 gradients" in dashboard.frame.get_by_test_id("tally").inner_text()
    assert dashboard.chart("chart-picked").locator("canvas").is_visible()
    assert "p.gradclip.parameter=head.weight" in dashboard.page.url
    row(dashboard, "head.weight").get_by_role("button").click()
    dashboard.settle(700)
    assert dashboard.frame.get_by_test_id("distribution-parameter").input_value() == ""
    assert dashboard.frame.get_by_test_id("picked").count() == 0


def test_the_table_is_sorted_and_searched_and_the_heatmap_with_it(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    focus(dashboard, "clipped")
    largest = dashboard.frame.get_by_test_id("sort-norm_max")
    largest.click()
    assert rows(dashboard)[0] == "rnn.weight"  # it had the spike
    assert largest.locator("xpath=..").get_attribute("aria-sort") == "descending"
    point(dashboard, 0.5, 0)
    assert dashboard.chart("chart-parameters").get_attribute("data-row") == "rnn.weight"
    largest.click()
    assert rows(dashboard)[-1] == "rnn.weight"
    largest.click()
    assert rows(dashboard) == NAMES
    dashboard.frame.get_by_test_id("parameter-search").fill("^(rnn|head)")
    assert rows(dashboard) == NAMES[1:]
    assert dashboard.frame.get_by_test_id("parameter-count").inner_text() == "2"
    dashboard.frame.get_by_test_id("parameter-search").fill("nobody")
    assert rows(dashboard) == []


def test_every_quantity_has_its_picture_and_its_legend(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    focus(dashboard, "clipped")
    legends = set()
    for name in ("share", "norm", "clip rate", "non-finite"):
        dashboard.frame.get_by_test_id("parameters").get_by_text(name, exact=True).click()
        dashboard.settle(200)
        legends.add(dashboard.frame.get_by_test_id("legend").inner_text())
    assert len(legends) == 3  # both rates go from 0 to 100 %
    dashboard.settle(500)
    assert "p.gradclip.quantity=nonfinite" in dashboard.page.url


def test_zooming_reads_finer_windows_for_the_heatmap(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    focus(dashboard, "clipped")
    point(dashboard, 0.5, 1)
    left = dashboard.cursor("chart-loss")
    dashboard.page.mouse.down()
    point(dashboard, 0.6, 1)
    right = dashboard.cursor("chart-loss")
    dashboard.page.mouse.up()
    dashboard.settle(1200)
    dashboard.hover("chart-norm", 0.1)
    assert left <= dashboard.cursor("chart-norm") < right
    assert dashboard.frame.get_by_test_id("reset-zoom").is_visible()
    assert dashboard.chart("chart-parameters").evaluate(BLUE) > 0.25


def test_a_link_brings_back_what_was_picked(dashboard: Dashboard, board: str) -> None:
    dashboard.page.goto(
        f"{board}#gradclip&p.gradclip.focus=clipped&p.gradclip.parameter=rnn.weight&p.gradclip.quantity=norm"
    )
    picked = dashboard.frame.get_by_test_id("picked")
    picked.wait_for()
    assert picked.get_attribute("data-parameter") == "rnn.weight"
    assert dashboard.frame.get_by_test_id("distribution-parameter").input_value() == "rnn.weight"
    assert dashboard.frame.get_by_label("norm", exact=True).is_checked()


def write_wide(logdir: Path, parameters: int, steps: int) -> None:
    """A run of many parameters without distributions."""
    names = [Parameter(f"layers.{i:03}.weight", (i + 1,)) for i in range(parameters)]
    book = Recorder(EventFile(logdir), framework="torch", library="torch 2", parameters=names)
    norms = np.random.default_rng(0).lognormal(0, 0.3, (steps, parameters)) * np.arange(1, parameters + 1)
    book.add_steps(measured(Rule("global_norm", 1.0), np.arange(steps), np.full(steps, 2.0), norms))
    book.close()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wide") / "logs"
    write_wide(path / "many", 500, 400)
    write_run(path / "usual", 400, Rule("none"))
    return path


def test_of_five_hundred_parameters_only_those_in_view_exist(dashboard: Dashboard, wide: Path) -> None:
    with tensorboard(wide) as address:
        dashboard.open(address, runs=2)
        focus(dashboard, "many")
        table = dashboard.frame.locator(".parameter-table .scroll")
        assert len(rows(dashboard)) < 40
        assert dashboard.frame.get_by_test_id("parameter-count").inner_text() == "500"
        table.evaluate("table => table.scrollTop = table.scrollHeight / 2")
        dashboard.settle(200)
        assert any("layers.24" in name for name in rows(dashboard))
        table.evaluate("table => table.scrollTop = table.scrollHeight")
        dashboard.settle(200)
        assert rows(dashboard)[-1] == "layers.499.weight"
        chart = dashboard.chart("chart-parameters")
        box = chart.bounding_box()
        assert box is not None
        assert box["height"] < 360
        chart.locator(".heatmap-rows").evaluate("rows => rows.scrollTop = rows.scrollHeight")
        point(dashboard, 0.6, 21, tall=14)
        assert chart.get_attribute("data-row") == "layers.499.weight"
        chart.focus()
        for _ in range(60):
            dashboard.page.keyboard.press("PageUp")
        assert chart.get_attribute("data-row") == "layers.000.weight"
        assert chart.locator(".heatmap-rows").evaluate("rows => rows.scrollTop") == 0


def test_one_parameter_fills_one_row(dashboard: Dashboard, tmp_path: Path) -> None:
    write_wide(tmp_path / "logs" / "one", 1, 200)
    write_run(tmp_path / "logs" / "usual", 200, Rule("none"))
    with tensorboard(tmp_path / "logs") as address:
        dashboard.open(address, runs=2)
        focus(dashboard, "one")
        box = dashboard.chart("chart-parameters").bounding_box()
        assert box is not None
        assert box["height"] == 24 + 26
        assert rows(dashboard) == ["layers.000.weight"]


def test_a_run_that_is_too_young_says_so(dashboard: Dashboard, tmp_path: Path) -> None:
    names = [Parameter("weight", (2,))]
    book = Recorder(EventFile(tmp_path / "logs" / "new"), framework="torch", library="torch 2", parameters=names)
    book.add_steps(measured(Rule("none"), np.arange(5), np.full(5, 2.0), np.ones((5, 1))))
    book.flush()
    write_run(tmp_path / "logs" / "usual", 200, Rule("none"))
    with tensorboard(tmp_path / "logs") as address:
        dashboard.open(address, runs=2)
        focus(dashboard, "new")
        assert "No complete window" in dashboard.frame.get_by_test_id("parameters-note").inner_text()
    book.close()


@pytest.mark.parametrize("width", [600, 300])
def test_a_narrow_window_shows_the_table_under_the_heatmap(dashboard: Dashboard, board: str, width: int) -> None:
    dashboard.page.set_viewport_size({"width": width, "height": 900})
    dashboard.open(board)
    focus(dashboard, "clipped")
    chart, table = dashboard.chart("chart-parameters"), dashboard.frame.locator(".parameter-table")
    above, below = chart.bounding_box(), table.bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] + above["height"] <= below["y"]
    assert dashboard.frame.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    assert chart.evaluate(BLUE) > 0.15


def test_the_spike_is_in_the_largest_norm_of_its_window(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    focus(dashboard, "clipped")
    cells = row(dashboard, "rnn.weight").locator("td").all_inner_texts()
    assert float(cells[4]) > 10 > float(cells[3])
