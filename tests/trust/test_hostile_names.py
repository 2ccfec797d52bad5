"""Names and texts that try to be more than that, in every view and file: in a real browser, in real TensorBoard."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser, Frame, Locator
from tensorboard.compat.proto.summary_pb2 import Summary

import tb_gradclip
from tb_gradclip.cli import main
from tb_gradclip.core.checked import printable
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.plugin.export import FORMULA
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import EventFile
from tests.browser.conftest import WATCH_POLICY, Dashboard, complain
from tests.plugin.server import serve
from tests.scalars import diverging_loss, points, write_scalars
from tests.tensorboard import tensorboard, wait_for_steps
from tests.test_recorder import measured
from tests.trust.hostile import ATTACK, LONG, RUNS, SCRIPTS, TEXTS, write_hostile

STEPS = 300
SHOWN = [printable(text) for text in TEXTS]
"""Texts as they come back: halves of characters cannot be written."""

FEW = [RUNS[1], RUNS[2], RUNS[8], *(text for text in SCRIPTS if text in RUNS), RUNS[-1]]

ACTIVE = (
    "script:not([type=module]), img, iframe, object, embed, link, foreignObject, .injected, "
    "a[href]:not([download]), base:not([href='plugin/gradclip/'])"
)
REPORT = "#gradclip-report, link[rel=icon][href='data:,']"
"""What the page of a report has itself."""

INJECTED = """([active, own]) => [...document.querySelectorAll(active)]
  .filter(element => !own || !element.matches(own))
  .concat([...document.querySelectorAll("*")].filter(e => e.getAttributeNames().some(name => name.startsWith("on"))))
  .map(element => element.outerHTML.slice(0, 200))"""

# Text with a control of direction whose effect would reach into text that is not the log's.
SPILLED = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!/[\\u202a-\\u202e\\u2066-\\u2069]/.test(node.data) || node.parentElement.closest("option, style")) continue;
    const style = getComputedStyle(node.parentElement);
    if (style.display === "inline" && !/isolate|plaintext/.test(style.unicodeBidi)) {
      found.push(node.parentElement.outerHTML.slice(0, 200));
    }
  }
  return found;
}"""

# Elements that reach out of the page, and cards that are as tall as a text is long.
BROKEN = """() => {
  const broken = [];
  if (document.documentElement.scrollWidth > innerWidth) broken.push("the page is wider than the window");
  for (const card of document.querySelectorAll(".card, aside, .tooltip")) {
    const { height, right } = card.getBoundingClientRect();
    if (height > 1600 || right > innerWidth + 1) broken.push(`${card.className}: ${height} tall, up to ${right}`);
  }
  return broken;
}"""


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory, long: bool) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "logs"
    for name in RUNS if long else FEW:
        write_hostile(path, name, STEPS)
    return path


@pytest.fixture(scope="module", params=["true", pytest.param("false", marks=pytest.mark.long)])
def board(request: pytest.FixtureRequest, logdir: Path, long: bool) -> Iterator[str]:
    with tensorboard(logdir, f"--load_fast={request.param}") as address:
        wait_for_steps(address, STEPS, runs=len(RUNS if long else FEW))
        yield address


@pytest.fixture
def dashboard(browser: Browser, board: str) -> Iterator[Dashboard]:
    page = browser.new_page(viewport={"width": 1300, "height": 1300})
    page.add_init_script(WATCH_POLICY)
    page.on("dialog", lambda dialog: (dashboard.complaints.append("a dialog"), dialog.dismiss())[1])
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dashboard = Dashboard(page)
    page.on("console", lambda message: complain(dashboard, message))
    page.on("pageerror", lambda error: dashboard.complaints.append(str(error)))
    yield dashboard
    dashboard.leave()
    page.close()


def check_inert(dashboard: Dashboard, own: str = "") -> None:
    """Nothing ran, nothing was injected beside its `own`, nobody complained, and the page stands as it should."""
    assert [frame.evaluate("() => window.attacked ?? null") for frame in dashboard.page.frames] == [None] * len(
        dashboard.page.frames
    )
    assert dashboard.frame.evaluate(INJECTED, [ACTIVE, own]) == []
    assert dashboard.frame.evaluate(SPILLED) == []
    assert dashboard.frame.evaluate(BROKEN) == []
    assert dashboard.complaints == []


def by_name(rows: Locator, name: str, attribute: str) -> Locator:
    """The one of these elements with this name, which no selector could be trusted with."""
    names = [row.get_attribute(attribute) for row in rows.all()]
    return rows.nth(names.index(name))


@pytest.mark.parametrize("width", [1300, pytest.param(600, marks=pytest.mark.long)])
def test_every_view_shows_them_as_text(dashboard: Dashboard, board: str, long: bool, width: int) -> None:
    runs = RUNS if long else FEW
    dashboard.page.set_viewport_size({"width": width, "height": 1300})
    dashboard.open(board, runs=len(runs))
    frame = dashboard.frame
    names = [row.get_attribute("data-run") for row in frame.get_by_test_id("run").all()]
    assert sorted(names) == sorted(runs)
    rows = frame.get_by_test_id("parameter-row")
    rows.first.wait_for()
    assert [row.get_attribute("data-parameter") for row in rows.all()] == SHOWN
    assert [row.locator("th").text_content() for row in rows.all()] == SHOWN
    check_inert(dashboard)
    for name in ("chart-loss", "chart-norm", "chart-parameters"):
        for share in (0.2, 0.6):
            dashboard.hover(name, share)
            check_inert(dashboard)
    frame.locator(".marker").first.hover()
    check_inert(dashboard)
    frame.get_by_test_id("lint").first.locator("button").click()
    frame.get_by_test_id("findings").wait_for()
    frame.get_by_test_id("grouping").fill("(.)")
    check_inert(dashboard)
    frame.get_by_test_id("grouping").fill("")
    alerts = frame.get_by_test_id("alert")
    for place in range(0, alerts.count(), 5):
        alerts.nth(place).click()
        frame.get_by_test_id("blame").wait_for()
        dashboard.page.wait_for_timeout(100)
        check_inert(dashboard)


def test_a_parameter_with_such_a_name_is_picked_and_its_link_leads_back_to_it(
    dashboard: Dashboard, board: str, long: bool
) -> None:
    dashboard.open(board, runs=len(RUNS if long else FEW))
    for name in (SHOWN[1], SHOWN[8], *map(printable, SCRIPTS[:5]), SHOWN[-1]):
        by_name(dashboard.frame.get_by_test_id("parameter-row"), name, "data-parameter").locator("button").click()
        dashboard.frame.get_by_test_id("picked").wait_for()
        dashboard.page.wait_for_timeout(600)  # until the link has it
        check_inert(dashboard)
        link = dashboard.page.evaluate("() => location.hash")
        assert re.fullmatch(r"#gradclip(&p\.gradclip\.\w+=[A-Za-z0-9%_.!~*'()-]*)+", link)
        dashboard.page.goto("about:blank")
        dashboard.page.goto(f"{board}{link}")
        picked = dashboard.frame.get_by_test_id("picked")
        picked.wait_for()
        assert picked.get_attribute("data-parameter") == name
        dashboard.frame.get_by_test_id("chart-distribution").wait_for()
        check_inert(dashboard)


def taken(dashboard: Dashboard, panel: str, form: str) -> tuple[str, str]:
    """Name and content of what is downloaded."""
    dashboard.frame.get_by_test_id(f"export-{panel}").click()
    with dashboard.page.expect_download() as download:
        dashboard.frame.get_by_test_id(f"export-{form}").click()
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        return download.value.suggested_filename, file.read()


def check_picture(text: str) -> None:
    """A well-formed drawing without anything that acts or that is fetched."""
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    known = {"svg", "g", "defs", "clipPath", "path", "rect", "line", "circle", "text", "tspan", "title", "image"}
    for element in root.iter():
        assert element.tag.split("}")[1] in known
        for name, value in element.attrib.items():
            assert not name.lower().startswith("on")
            assert not name.endswith("href") or value.startswith("data:image/png;base64,")
            assert "url(" not in value or re.fullmatch(r"url\(#clip\d+\)", value)


def check_table(text: str) -> list[dict[str, str]]:
    """As many cells in each row as headings, none of them a formula."""
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    for row in rows:
        assert None not in row
        assert None not in row.values()
        for cell in row.values():
            assert not cell.startswith(FORMULA) or re.fullmatch(r"-?(inf|nan|[\d.]+(e-?\d+)?)", cell)
    return rows


def test_files_hold_them_as_text(dashboard: Dashboard, board: str, long: bool) -> None:
    dashboard.open(board, runs=len(RUNS if long else FEW))
    for panel in ("loss", "norm", "distribution", "what-if", "parameters"):
        name, picture = taken(dashboard, panel, "svg")
        assert name == f"gradclip-{panel}.svg"
        check_picture(picture)
        name, table = taken(dashboard, panel, "csv")
        assert name == f"gradclip-{panel}.csv"
        rows = check_table(table)
        assert rows
        if panel == "parameters":
            assert [row["name"].removeprefix("'") for row in rows] == SHOWN
            assert sum(row["name"].startswith("'") for row in rows) == sum(text.startswith(FORMULA) for text in SHOWN)
    check_inert(dashboard)
    for button in ("copy-health", "copy-parameters"):
        dashboard.frame.get_by_test_id(button).click()
        dashboard.page.wait_for_timeout(200)
        lines = dashboard.frame.evaluate("() => navigator.clipboard.readText()").split("\n")
        cells = [line.split("\t") for line in lines]
        assert len({len(row) for row in cells}) == 1
        assert not [row[0] for row in cells if row[0].startswith(FORMULA)]
    assert re.fullmatch(
        r"writer\.clip_grad_norm_\(model\.parameters\(\), max_norm=[\d.e-]+\)",
        dashboard.frame.get_by_test_id("code").inner_text().strip(),
    )


def test_scalars_with_such_tags_are_offered_as_losses_and_are_only_text(browser: Browser, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    sink = EventFile(logs / "run")
    tags = [f"{printable(text)}/loss" for text in TEXTS]
    for step in range(20):
        values = [Summary.Value(tag=tag, simple_value=2.0 + step) for tag in dict.fromkeys(tags)]
        sink.add(Summary(value=values), step, 1.7e9 + step)
    sink.close()
    with tensorboard(logs) as address:
        wait_for_steps(address, 20, runs=1)
        page = browser.new_page(viewport={"width": 600, "height": 1300})
        page.add_init_script(WATCH_POLICY)
        dashboard = Dashboard(page)
        page.on("console", lambda message: complain(dashboard, message))
        page.on("pageerror", lambda error: dashboard.complaints.append(str(error)))
        page.goto(f"{address}#gradclip")
        choice = dashboard.frame.get_by_test_id("loss-scalar")
        choice.wait_for()
        options = choice.locator("option").evaluate_all("options => options.map(option => option.value)")
        values = [value for value in options if value]
        assert set(values) <= set(tags)
        assert len(values) > 20
        assert max(map(len, values)) > 10_000
        for value in [*values[:7], *(value for value in values if len(value) > 1000)]:
            choice.select_option(value)
            page.wait_for_timeout(150)
            check_inert(dashboard)
        dashboard.leave()


LOSSES = {f"scalar{place}": f"{printable(text)}/loss" for place, text in enumerate([*TEXTS[:3], SCRIPTS[0], *LONG])}
"""Tags of scalars by run: markup, a control of direction, ten thousand characters."""


class Report(Dashboard):
    """A report instead of the tab."""

    @property
    def frame(self) -> Frame:
        """The page itself."""
        return self.page.main_frame


@pytest.fixture
def report(browser: Browser, tmp_path: Path, long: bool) -> Iterator[Report]:
    """Of runs of such names with such parameters and alerts, and of some that have one scalar each with such a tag."""
    logs, out = tmp_path / "logs", tmp_path / "report.html"
    for name in RUNS if long else FEW[:3]:
        write_hostile(logs, name, STEPS)
    for name, tag in LOSSES.items():
        write_scalars(logs / name, {tag: points(diverging_loss())})
    assert main(["report", str(logs), "--out", str(out)]) == 0
    assert ATTACK not in out.read_text(encoding="utf-8")
    context = browser.new_context(offline=True, viewport={"width": 1300, "height": 1300})
    page = context.new_page()
    page.add_init_script(WATCH_POLICY)
    report, asked = Report(page), []
    page.on("dialog", lambda dialog: (report.complaints.append("a dialog"), dialog.dismiss())[1])
    page.on("console", lambda message: report.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: report.complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(out.as_uri())
    page.get_by_test_id("chart-loss").wait_for()
    yield report
    assert asked == [out.as_uri()]
    context.close()


def test_a_report_shows_them_as_text(report: Report, long: bool) -> None:
    frame, runs = report.frame, RUNS if long else FEW[:3]
    rows = frame.get_by_test_id("parameter-row")
    rows.first.wait_for()
    names = [row.get_attribute("data-run") for row in frame.get_by_test_id("run").all()]
    assert sorted(names) == sorted([*runs, *LOSSES])
    assert [row.get_attribute("data-parameter") for row in rows.all()] == SHOWN
    assert [row.locator("th").text_content() for row in rows.all()] == SHOWN
    check_inert(report, REPORT)
    for name in ("chart-loss", "chart-norm", "chart-parameters"):
        report.hover(name, 0.6)
        check_inert(report, REPORT)
    frame.get_by_test_id("lint").first.locator("button").click()
    frame.get_by_test_id("findings").wait_for()
    check_inert(report, REPORT)
    for name in (SHOWN[1], SHOWN[8], *map(printable, SCRIPTS[:5]), SHOWN[-1]):
        by_name(rows, name, "data-parameter").locator("button").click()
        assert frame.get_by_test_id("picked").get_attribute("data-parameter") == name
        check_inert(report, REPORT)
    alerts = frame.get_by_test_id("alert")
    assert alerts.count() > 20  # as many of them as the file has room for
    for place in range(0, alerts.count(), 5):
        alerts.nth(place).click()
        frame.get_by_test_id("blame").wait_for()
        check_inert(report, REPORT)


def test_halves_of_characters_stop_no_recording(tmp_path: Path) -> None:
    names = ["a\ud800", "\udfffb", "\ud83d\ude00"]
    parameters = [Parameter(name, (2,)) for name in names]
    book = Recorder(EventFile(tmp_path / "run"), framework="test", library="test \ud800", parameters=parameters[:2])
    book.add_steps(measured(0, [1.0] * 40))
    book.close()
    (run,) = tb_gradclip.read(tmp_path).values()
    assert [parameter.name for parameter in run.parameters] == ["a\ufffd", "\ufffdb"]
    client = serve(tmp_path)
    assert client.get("/runs").json["runs"][0]["parameters"] == ["a\ufffd", "\ufffdb"]
    assert client.get("/parameters?run=run").status_code == 200
