"""What a person takes along: files and what is copied, from real TensorBoard with its Content Security Policy."""

from __future__ import annotations

import csv
import io
import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Route

from tests.browser.conftest import TIME_CHARTS, Dashboard
from tests.logs import SPIKE
from tests.tensorboard import tensorboard

ONE_RUN = ("distribution", "distribution-over-time", "what-if", "parameters")
PANELS = (*(name.removeprefix("chart-") for name in TIME_CHARTS), "throttle", *ONE_RUN)
SVG = "{http://www.w3.org/2000/svg}"


def taken(dashboard: Dashboard, panel: str, form: str) -> tuple[str, bytes]:
    """Name and content of what is downloaded."""
    button = dashboard.frame.get_by_test_id(f"export-{panel}")
    if panel == "distribution-over-time":  # which is fetched once it is looked at
        dashboard.chart("chart-histogram-map").scroll_into_view_if_needed()
    button.click()
    with dashboard.page.expect_download() as download:
        dashboard.frame.get_by_test_id(f"export-{form}").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_is_taken_along_in_every_form(dashboard: Dashboard, board: str, panel: str) -> None:
    dashboard.open(board)
    files = {form: taken(dashboard, panel, form) for form in ("svg", "png", "csv")}
    assert {form: name for form, (name, _) in files.items()} == {
        form: f"gradclip-{panel}.{form}" for form in ("svg", "png", "csv")
    }
    root = ElementTree.fromstring(files["svg"][1].decode())
    assert root.tag == f"{SVG}svg"
    texts = " ".join(element.text or "" for element in root.iter(f"{SVG}text"))
    assert "by_value" in texts
    assert len(list(root.iter(f"{SVG}path"))) >= 2
    assert not list(root.iter(f"{SVG}image"))  # shapes and words alone
    assert not list(root.iter(f"{SVG}script"))
    if panel == "distribution":
        assert [path for path in root.iter(f"{SVG}path") if path.get("fill-opacity") == "0.28" and path.get("d")]
    words = {
        "parameters": ["embedding.weight", "2,000", "step", "0 %"],
        "distribution-over-time": ["before", "after", "2,000", "step", "share of gradients"],
    }
    for word in words.get(panel, ()):
        assert word in texts.replace("\u202f", " ")
    png = files["png"][1]
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height) == (2 * int(root.get("width", "")), 2 * int(root.get("height", "")))
    rows = list(csv.DictReader(io.StringIO(files["csv"][1].decode(), newline="")))
    if panel == "parameters":
        assert [row["name"] for row in rows] == ["embedding.weight", "rnn.weight", "head.weight"]
        assert 0.9 < sum(float(row["share"]) for row in rows) < 1.1
        return
    assert {row["run"] for row in rows} == ({"by_value"} if panel in ONE_RUN else {"broken", "by_value", "clipped"})
    assert len(rows) == 15_000 or panel in ONE_RUN


@pytest.mark.parametrize(
    ("panel", "link", "words", "rows"),
    [
        ("picked", "&p.gradclip.parameter=rnn.weight&p.gradclip.focus=clipped", ["clipped: rnn.weight", "mean"], 100),
        ("blame", f"&p.gradclip.alert={SPIKE}%3Aspike%3Aclipped", ["rnn.weight", "head.weight", f"{SPIKE:,}"], 97 * 3),
    ],
)
def test_norms_of_parameters_are_taken_along_in_every_form(
    dashboard: Dashboard, board: str, panel: str, link: str, words: list[str], rows: int
) -> None:
    dashboard.open(board, link=link)
    dashboard.chart(f"chart-{panel}").wait_for()
    files = {form: taken(dashboard, panel, form) for form in ("svg", "png", "csv")}
    assert {name for name, _ in files.values()} == {f"gradclip-{panel}.{form}" for form in ("svg", "png", "csv")}
    root = ElementTree.fromstring(files["svg"][1].decode())
    texts = [element.text or "" for element in root.iter(f"{SVG}text")]
    for word in ("step", "orm ", *words):
        assert any(word in text for text in texts), (word, texts)
    assert len([text for text in texts if re.fullmatch(r"[\d,.]+M?", text)]) >= 5, "both axes have ticks"
    assert files["png"][1].startswith(b"\x89PNG")
    table = list(csv.DictReader(io.StringIO(files["csv"][1].decode(), newline="")))
    assert len(table) >= rows
    assert {row["run"] for row in table} == {"clipped"}


INSIDE = """selector => { const { left, top, right, bottom } = document.querySelector(selector).getBoundingClientRect();
  return left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight; }"""


def test_menus_and_tooltips_stay_in_a_narrow_window(dashboard: Dashboard, board: str) -> None:
    dashboard.page.set_viewport_size({"width": 300, "height": 900})
    dashboard.open(board)
    for panel in PANELS:
        button = dashboard.frame.get_by_test_id(f"export-{panel}")
        if panel == "distribution-over-time":
            dashboard.chart("chart-histogram-map").scroll_into_view_if_needed()
        button.scroll_into_view_if_needed()
        button.click()
        assert dashboard.frame.evaluate(INSIDE, ".menu"), panel
        dashboard.page.keyboard.press("Escape")
    for chart in ("chart-loss", "chart-throttle"):
        dashboard.hover(chart, 0.7)
        dashboard.frame.get_by_test_id("tooltip").wait_for()
        assert dashboard.frame.evaluate(INSIDE, "[data-testid=tooltip]"), chart


def test_a_table_is_of_what_is_shown(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board, link="&p.gradclip.zoom=1000_1009&p.gradclip.runs=clipped")
    _, content = taken(dashboard, "norm", "csv")
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    assert [int(row["step"]) for row in rows] == list(range(1000, 1010))
    assert list(rows[0])[3:] == ["norm_before", "norm_after", "threshold", "coefficient", "clipped"]


def test_the_menu_is_one_for_the_keyboard_and_says_what_failed(dashboard: Dashboard, board: str) -> None:
    refused = "a table has at most 2,000,000 rows"
    dashboard.page.route(re.compile(r"/csv\?"), lambda route: route.fulfill(status=400, body=refused))
    dashboard.open(board)
    focused = "() => document.activeElement.dataset.testid"
    dashboard.frame.get_by_test_id("export-loss").focus()
    dashboard.page.keyboard.press("Enter")
    dashboard.frame.get_by_test_id("export-svg").wait_for()
    seen = []
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        seen.append(dashboard.frame.evaluate(focused))
        dashboard.page.keyboard.press(key)
    assert seen == ["export-svg", "export-png", "export-csv", "export-svg"]
    assert dashboard.frame.evaluate(focused) == "export-csv"
    # The browser's own line about the answer may come after the answer itself, so it is waited for as well.
    with dashboard.page.expect_console_message(lambda message: "400" in message.text):
        dashboard.page.keyboard.press("Enter")
    dashboard.frame.get_by_text(refused).wait_for()
    dashboard.page.keyboard.press("Escape")
    assert dashboard.frame.evaluate(focused) == "export-loss"
    assert dashboard.frame.locator(".menu").count() == 0
    assert all("400" in complaint for complaint in dashboard.complaints)
    dashboard.complaints.clear()


def test_a_file_that_is_ready_late_leaves_the_focus_where_it_went(dashboard: Dashboard, board: str) -> None:
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        waiting.append(route)

    dashboard.page.route(re.compile(r"/csv\?"), hold)
    dashboard.open(board)
    dashboard.frame.get_by_test_id("export-loss").click()
    dashboard.frame.get_by_test_id("export-csv").click()
    dashboard.until(lambda: waiting)
    dashboard.page.keyboard.press("Escape")
    dashboard.frame.get_by_test_id("log-loss").focus()
    with dashboard.page.expect_download():
        waiting[0].continue_()
    dashboard.settle(200)
    assert dashboard.frame.evaluate("() => document.activeElement.dataset.testid") == "log-loss"


def test_values_of_the_health_table_are_copied_with_a_click_or_a_key(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    dashboard.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    clipboard = "() => navigator.clipboard.readText()"
    row = dashboard.frame.locator("[data-testid=health-row][data-run=clipped]")
    row.get_by_test_id("rule").click()
    dashboard.frame.locator("[data-copied]").wait_for()
    assert dashboard.frame.evaluate(clipboard) == "global norm ≤ 1"
    dashboard.frame.locator(".health .copyable").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        dashboard.page.keyboard.press(key)
    dashboard.frame.get_by_text("Copied value ± 0.01").wait_for(state="attached")
    assert dashboard.frame.evaluate(clipboard) == "value ± 0.01"
    dashboard.frame.get_by_test_id("copy-health").click()
    dashboard.frame.get_by_text("copied", exact=True).wait_for()
    lines = [line.split("\t") for line in dashboard.frame.evaluate(clipboard).split("\n")]
    assert [line[0] for line in lines] == ["run", "broken", "by_value", "clipped"]
    assert {len(line) for line in lines} == {11}
    assert float(lines[3][2]) == pytest.approx(0.98, abs=0.05)


# As of pages that came over plain HTTP, and of frames that are denied their clipboard. What the old way takes is noted.
NO_CLIPBOARD = """
Object.defineProperty(navigator, "clipboard", {value: %s});
document.addEventListener("copy", event => { window.taken = event.target.value });
"""


@pytest.mark.parametrize("clipboard", ["undefined", "{writeText: () => Promise.reject(new Error('denied'))}"])
def test_without_a_clipboard_everything_is_copied_in_the_old_way_and_says_so(
    dashboard: Dashboard, board: str, tmp_path: Path, clipboard: str
) -> None:
    dashboard.page.add_init_script(NO_CLIPBOARD % clipboard)
    dashboard.open(board)
    for name in ("copy-health", "copy-code"):
        button = dashboard.frame.get_by_test_id(name)
        button.click()
        dashboard.frame.locator(f"[data-testid={name}]", has_text=re.compile("^copied$")).wait_for()
        assert dashboard.frame.evaluate("() => window.taken")
        assert button.evaluate("e => e === document.activeElement")
    assert dashboard.frame.evaluate("() => window.taken") == dashboard.frame.get_by_test_id("code").inner_text()
    (tmp_path / "logs").mkdir()
    with tensorboard(tmp_path / "logs") as address:
        dashboard.page.goto(f"{address}#gradclip")
        button = dashboard.frame.get_by_test_id("copy-example")
        button.click()
        dashboard.until(lambda: button.inner_text() == "copied")
        assert "writer.step(loss)" in dashboard.frame.evaluate("() => window.taken")
        dashboard.frame.evaluate("() => { document.execCommand = () => false }")
        dashboard.until(lambda: button.inner_text() == "copy")
        button.click()
        dashboard.until(lambda: button.inner_text() == "press Ctrl+C")
        assert "writer.step(loss)" in dashboard.frame.evaluate("() => document.getSelection().toString()")
        dashboard.leave()


def test_values_of_other_tables_are_copied_and_a_row_of_a_parameter_is_picked_before(
    dashboard: Dashboard, board: str
) -> None:
    dashboard.open(board)
    dashboard.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    clipboard = "() => navigator.clipboard.readText()"
    dashboard.frame.get_by_test_id("copy-parameters").click()
    dashboard.frame.get_by_text("copied", exact=True).wait_for()
    table = dashboard.frame.evaluate(clipboard)
    assert table.count("\n") == 3
    norm = dashboard.frame.locator("[data-testid=parameter-row]", has_text="rnn.weight").locator("td").nth(3)
    norm.click()
    dashboard.frame.get_by_test_id("picked").wait_for()
    assert dashboard.frame.evaluate(clipboard) == table
    norm.click()
    dashboard.frame.locator("[data-copied]").wait_for()
    assert dashboard.frame.evaluate(clipboard) == norm.inner_text()
    assert dashboard.frame.get_by_test_id("picked").get_attribute("data-parameter") == "rnn.weight"

    dashboard.frame.locator(".parameter-table .copyable").focus()
    for key in ("ArrowDown", "ArrowRight", "Enter"):
        dashboard.page.keyboard.press(key)
    dashboard.frame.get_by_text("Copied 40 × 8").wait_for(state="attached")
    assert dashboard.frame.evaluate(clipboard) == "40 × 8"

    suggested = dashboard.frame.get_by_test_id("suggestion").first.locator("td")
    suggested.first.click()
    dashboard.frame.get_by_text(f"Copied {suggested.first.inner_text()}").wait_for(state="attached")
    dashboard.page.keyboard.press("ArrowDown")
    suggested.last.click(position={"x": 1, "y": 1})  # beside its button
    assert dashboard.frame.evaluate(clipboard) == suggested.first.inner_text()


def test_alerts_are_copied_as_they_are_listed(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    dashboard.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dashboard.frame.get_by_test_id("alert-kind").select_option("spike")
    dashboard.frame.get_by_test_id("copy-alerts").click()
    dashboard.frame.get_by_text("copied", exact=True).wait_for()
    text = dashboard.frame.evaluate("() => navigator.clipboard.readText()")
    headings, *rows = (line.split("\t") for line in text.split("\n"))
    entries = dashboard.frame.get_by_test_id("alert").all()
    assert [row[:2] for row in rows] == [[e.get_attribute("data-run"), e.get_attribute("data-step")] for e in entries]
    assert all(row[headings.index("alert")] == "spike" for row in rows)
    assert rows[0][headings.index("parameters that left their past")].startswith("rnn.weight")
