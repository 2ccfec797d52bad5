"""What a person does with the dashboard, in a real browser inside real TensorBoard."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Request

from tb_gradclip.core.rules import Rule
from tests.browser.conftest import CHARTS, TIME_CHARTS, Dashboard
from tests.logs import BREAK, SPIKE, write_run, write_runs
from tests.tensorboard import tensorboard
from tests.test_recorder import measured, recorder

INK = """
chart => {
  const canvas = chart.querySelector("canvas");
  if (!canvas) return chart.querySelectorAll("path, line, rect").length;
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let inked = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 0) inked += 1;
  return inked;
}
"""

SHADED = """
chart => {
  const cut = chart.querySelector("path.cut"), style = getComputedStyle(cut);
  const seen = style.fill !== "none" && Number(style.fillOpacity) > 0.2;
  const base = Number(chart.querySelector("line.base").getAttribute("y1"));
  return [...chart.querySelectorAll("line.limit")].map((limit, i) => {
    const x = Number(limit.getAttribute("x1")), out = i === 0 ? -4 : 4;
    const at = x => seen && cut.isPointInFill(new DOMPoint(x, base - 2));
    return { outside: at(x + out), inside: at(x - out) };
  });
}
"""
"""For each threshold of the distribution, whether it is shaded there just outside and just inside."""

NO_FRAMES = """
if (location.search.includes("name=gradclip")) window.requestAnimationFrame = () => 0;
"""

COLOURED = """
() => {
  const canvas = document.querySelector("[data-testid=chart-loss] canvas");
  if (!canvas) return 0;
  const {data, width} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const columns = new Set();
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b] = [data[i], data[i + 1], data[i + 2]]; // axes and words are grey
    if (data[i + 3] > 128 && Math.max(r, g, b) - Math.min(r, g, b) > 60) columns.add((i / 4) % width);
  }
  return columns.size / width;
}
"""


def test_the_tab_opens_with_every_run_and_every_chart_drawn(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    names = [run.get_attribute("data-run") for run in dashboard.frame.get_by_test_id("run").all()]
    assert names == ["broken", "by_value", "clipped"]
    for name in CHARTS:
        ink = dashboard.chart(name).evaluate(INK)
        assert ink > (5 if name == "chart-distribution" else 1000), f"{name} is blank"
    assert "3 of 3" in dashboard.frame.get_by_test_id("completeness").inner_text()


@pytest.mark.parametrize("width", [1440, 600])
def test_the_loss_is_asked_for_first_and_no_line_twice(dashboard: Dashboard, board: str, width: int) -> None:
    asked: list[dict[str, list[str]]] = []

    def note(request: Request) -> None:
        if "/series?" in request.url:
            asked.append(parse_qs(urlsplit(request.url).query))

    dashboard.page.on("request", note)
    dashboard.page.set_viewport_size({"width": width, "height": 1300})
    dashboard.open(board)
    first, rest = asked
    assert first["column"] == ["loss"]
    assert "loss" not in rest["column"]
    assert first["run"] == rest["run"] == ["broken", "by_value", "clipped"]
    assert first["points"] == rest["points"]


def test_the_first_lines_are_drawn_before_the_browser_has_a_frame_for_them(dashboard: Dashboard, board: str) -> None:
    dashboard.page.add_init_script(NO_FRAMES)
    dashboard.page.goto(f"{board}#gradclip")
    dashboard.until(lambda: dashboard.frame.evaluate(COLOURED) > 0.5)


def test_health_says_what_clipping_did(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    rows = {
        row.get_attribute("data-run"): row.inner_text() for row in dashboard.frame.get_by_test_id("health-row").all()
    }
    assert "global norm ≤ 1" in rows["clipped"]
    assert "value ± 0.01" in rows["by_value"]
    assert "NaN" in rows["broken"]


def test_health_says_what_is_wrong_with_the_clipping_and_what_to_do(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    lint = dashboard.frame.locator("[data-testid=health-row][data-run=by_value] [data-testid=lint]")
    assert "2 findings" in lint.inner_text()
    lint.get_by_role("button").click()
    findings = dashboard.frame.get_by_test_id("findings")
    assert "given to no clip call: head.weight. Pass the clip call every parameter" in findings.inner_text()
    table, box = (each.bounding_box() for each in (dashboard.frame.locator(".health table"), findings))
    assert table is not None
    assert box is not None
    assert (box["width"], box["height"] < 100) == (table["width"], True)
    lint.get_by_role("button").click()
    assert findings.count() == 0
    markers = dashboard.chart("chart-loss").get_by_test_id("marker").all()
    assert not any("by_value" in (marker.get_attribute("aria-label") or "") for marker in markers)


def test_hovering_moves_the_cursor_of_every_chart(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    places = []
    for name, share in (("chart-loss", 0.3), ("chart-norm", 0.5), ("chart-clip-rate", 0.7)):
        dashboard.hover(name, share)
        cursors = {dashboard.cursor(chart) for chart in TIME_CHARTS}
        assert len(cursors) == 1
        places += cursors
    assert places == sorted(places)
    assert 1000 < places[0] < 2000 < places[1] < 3000 < places[2] < 4200


def test_the_distribution_follows_the_cursor(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    seen = []
    for share in (0.3, 0.8):
        dashboard.hover("chart-loss", share)
        dashboard.settle(700)
        step = int("".join(filter(str.isdigit, dashboard.frame.get_by_test_id("distribution-step").inner_text())))
        assert 0 <= dashboard.cursor("chart-loss") - step <= 100
        seen.append(step)
    assert seen[0] < seen[1]


def test_what_clipping_takes_off_is_shaded_beyond_each_threshold(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    dashboard.frame.get_by_test_id("distribution-run").select_option("by_value")
    dashboard.until(lambda: dashboard.chart("chart-distribution").locator(".limit-label").count() == 2)
    labels = dashboard.chart("chart-distribution").locator(".limit-label").all_text_contents()
    assert labels == ["−0.01", "0.01"]
    low, high = dashboard.chart("chart-distribution").evaluate(SHADED)
    assert low == {"outside": True, "inside": False}
    assert high == {"outside": True, "inside": False}


def test_a_marker_names_its_cause(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    markers = dashboard.chart("chart-loss").get_by_test_id("marker")
    labels = [marker.get_attribute("aria-label") or "" for marker in markers.all()]
    assert any("NaN" in label and f"{BREAK:,}" in label for label in labels), labels
    assert any("spike" in label.lower() and f"{SPIKE:,}" in label for label in labels), labels
    broken = next(marker for marker in markers.all() if "NaN" in (marker.get_attribute("aria-label") or ""))
    broken.hover()
    tooltip = dashboard.frame.get_by_test_id("tooltip")
    tooltip.wait_for()
    assert "loss is NaN" in tooltip.inner_text()
    assert "broken" in tooltip.inner_text()


def visible_steps(dashboard: Dashboard) -> int:
    """How many steps lie between the edges of the charts, as the cursor reads them."""
    dashboard.hover("chart-norm", 0.1)
    left = dashboard.cursor("chart-norm")
    dashboard.hover("chart-norm", 0.95)
    return dashboard.cursor("chart-norm") - left


def test_dragging_zooms_every_chart_and_a_double_click_shows_all_again(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    whole = visible_steps(dashboard)
    box = dashboard.chart("chart-loss").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    dashboard.page.mouse.move(box["x"] + box["width"] * 0.4, middle)
    dashboard.page.mouse.down()
    dashboard.page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=5)
    dashboard.page.mouse.up()
    dashboard.settle(1000)
    assert visible_steps(dashboard) < whole / 5
    dashboard.page.mouse.dblclick(box["x"] + box["width"] * 0.5, middle)
    dashboard.settle(1000)
    assert visible_steps(dashboard) == pytest.approx(whole, rel=0.02)


def test_clicking_a_marker_zooms_to_what_happened(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    markers = dashboard.chart("chart-loss").get_by_test_id("marker").all()
    spike = next(marker for marker in markers if "spike" in (marker.get_attribute("aria-label") or "").lower())
    spike.click()
    dashboard.settle(1000)
    dashboard.hover("chart-norm", 0.1)
    left = dashboard.cursor("chart-norm")
    dashboard.hover("chart-norm", 0.95)
    assert left < SPIKE < dashboard.cursor("chart-norm")
    assert dashboard.cursor("chart-norm") - left < 1000


def background(dashboard: Dashboard) -> int:
    """Brightness of the page behind the charts, 0 to 255."""
    colour = dashboard.frame.evaluate(
        "() => { for (let e = document.querySelector('[data-testid=chart-loss]'); e; e = e.parentElement) {"
        " const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)|transparent/.test(c)) return c; } }"
    )
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")[:3]) // 3


def test_dark_mode_follows_tensorboards_switch(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    assert background(dashboard) > 200
    dashboard.page.get_by_label("Menu for changing light or dark theme").click()
    dashboard.page.get_by_role("menuitem", name="dark").click()
    dashboard.settle(500)
    assert background(dashboard) < 80


@pytest.mark.parametrize("dark", ["false", "true"])
def test_the_page_is_of_one_colour_up_to_its_right_edge(dashboard: Dashboard, board: str, dark: str) -> None:
    dashboard.page.set_viewport_size({"width": 1440, "height": 3000})  # nothing to scroll
    dashboard.open(f"{board}?darkMode={dark}")
    inside, edge = (
        dashboard.page.screenshot(clip={"x": x, "y": 1500, "width": 1, "height": 1})
        for x in (257, 1439)  # beside the charts
    )
    assert edge == inside


def test_runs_can_be_searched_and_switched_off(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    dashboard.frame.get_by_test_id("search").fill("clip")
    dashboard.settle(300)
    runs = dashboard.frame.get_by_test_id("run")
    assert [run.get_attribute("data-run") for run in runs.all() if run.is_visible()] == ["clipped"]
    dashboard.frame.get_by_test_id("search").fill("")
    dashboard.frame.locator("[data-testid=run][data-run=broken] input").uncheck()
    dashboard.settle(800)
    rows = [row.get_attribute("data-run") for row in dashboard.frame.get_by_test_id("health-row").all()]
    assert rows == ["by_value", "clipped"]


@pytest.mark.parametrize("width", [1000, 400, 300])
def test_a_narrow_window_needs_no_scrolling_sideways(dashboard: Dashboard, board: str, width: int) -> None:
    dashboard.page.set_viewport_size({"width": width, "height": 900})
    dashboard.open(board)
    assert dashboard.frame.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    assert dashboard.chart("chart-loss").evaluate(INK) > 300


def test_a_path_prefix_changes_nothing(dashboard: Dashboard, logdir: Path) -> None:
    with tensorboard(logdir, "--path_prefix=/a/b") as address:
        dashboard.open(address)
        assert dashboard.chart("chart-loss").evaluate(INK) > 1000
        dashboard.leave()


def test_a_run_of_nothing_but_nan_is_shown(dashboard: Dashboard, tmp_path: Path) -> None:
    write_run(tmp_path / "logs" / "nan", 300, Rule("none"), breaks_at=0)
    with tensorboard(tmp_path / "logs") as address:
        dashboard.open(address, runs=1)
        assert "NaN" in dashboard.frame.get_by_test_id("health-row").inner_text()


def test_steps_of_a_training_that_goes_on_appear_by_themselves(dashboard: Dashboard, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    write_runs(logs, 400)
    book = recorder(logs / "live")
    book.add_steps(measured(0, [2.0] * 100))
    book.flush()
    with tensorboard(logs) as address:
        dashboard.open(address, runs=4)
        dashboard.hover("chart-norm", 0.97)
        assert dashboard.cursor("chart-norm") < 400
        book.add_steps(measured(100, [2.0] * 900))
        book.flush()
        dashboard.settle(12_000)
        dashboard.hover("chart-norm", 0.97)
        assert dashboard.cursor("chart-norm") > 800
        dashboard.leave()
    book.close()
