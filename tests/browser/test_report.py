"""A report, opened from disk by a browser without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request

from tb_gradclip.cli import main
from tb_gradclip.core.rules import Rule
from tests.browser.axe import grave_findings
from tests.browser.conftest import CHARTS, WATCH_POLICY
from tests.logs import SPIKE, write_run
from tests.scalars import diverging_loss, points, write_scalars

HOSTILE = "<img src=x onerror=document.title='hit'> '&\" \u202e</script><!--"
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def report(logdir: Path) -> Path:
    return reported(logdir)


def reported(logdir: Path) -> Path:
    out = logdir.parent / "report.html"
    assert main(["report", str(logdir), "--out", str(out)]) == 0
    return out


@pytest.fixture
def open_report(browser: Browser) -> Iterator[Open]:
    """Opens a file in a window without a network; fails if the page asks for anything or complains."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []

    def note(request: Request) -> None:
        requests.append(request.url)

    def open_it(path: Path, link: str = "", **options: Any) -> Page:
        context = browser.new_context(offline=True, viewport={"width": 1300, "height": 1000}, **options)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(WATCH_POLICY)
        page.on("request", note)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri() + link)
        page.get_by_test_id("chart-loss").wait_for()
        assert set(requests) == {path.as_uri() + link.partition("#")[0]}
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "blob:", "data:"))] == []


def hover(page: Page, chart: str, share: float) -> None:
    place = page.get_by_test_id(chart)
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2, steps=3)


DRAWN = """() => [...document.querySelectorAll(".uplot canvas")].map(canvas => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
})"""


def test_every_panel_is_drawn_and_says_what_it_says_in_the_dashboard(report: Path, open_report: Open) -> None:
    page = open_report(report)
    for name in (*CHARTS, "chart-throttle", "chart-what-if", "chart-parameters"):
        page.get_by_test_id(name).scroll_into_view_if_needed()
    page.get_by_test_id("chart-histogram-map").locator("canvas").first.wait_for()
    page.wait_for_timeout(300)
    assert min(page.evaluate(DRAWN)) > 20
    assert page.get_by_test_id("run").count() == 3
    health = page.get_by_test_id("health").inner_text()
    assert "global norm ≤ 1" in health
    assert "spike 2,345" in health
    assert page.get_by_test_id("parameter-row").count() == 3
    words = page.locator(".report-words").inner_text()
    assert words.startswith("Report of logs, made 20")
    assert "lines of at most 3,999 points a run" in words


def test_what_the_file_cannot_answer_is_not_offered(report: Path, open_report: Open) -> None:
    page = open_report(report)
    page.get_by_test_id("chart-what-if").wait_for()
    assert page.get_by_text("Clip-rate window").count() == 0
    assert page.get_by_test_id("loss-scalar").count() == 0
    for chart, formats in (("loss", 2), ("what-if", 3)):
        page.get_by_test_id(f"export-{chart}").click()
        assert page.get_by_role("menuitem").count() == formats
        page.keyboard.press("Escape")


def test_a_link_cannot_ask_for_what_is_not_there(report: Path, open_report: Open) -> None:
    page = open_report(report, "#p.gradclip.window=1000&p.gradclip.loss=val&p.gradclip.axis=relative")
    assert "share of the last 100 steps" in page.get_by_text("share of the last").first.inner_text()
    assert page.locator("input[name=axis]").nth(1).is_checked()


def test_hovering_and_zooming_work(report: Path, open_report: Open) -> None:
    page = open_report(report)
    hover(page, "chart-loss", 0.5)
    page.get_by_text("Step 2,").first.wait_for()
    box = page.get_by_test_id("chart-loss").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, y, steps=5)
    page.mouse.up()
    page.get_by_test_id("reset-zoom").wait_for()
    page.wait_for_timeout(400)
    assert min(page.evaluate(DRAWN)) > 20
    assert page.get_by_test_id("what-if-steps").inner_text() == "steps 0 to 4,999"
    assert "p.gradclip.zoom=" in page.url
    page.get_by_test_id("reset-zoom").click()


def test_an_alert_opens_its_timeline_and_the_distribution_there(report: Path, open_report: Open) -> None:
    page = open_report(report)
    page.locator(f"[data-testid=alert][data-step='{SPIKE}']").click()
    page.get_by_test_id("chart-blame").wait_for()
    assert page.get_by_test_id("departure").first.get_attribute("data-parameter") == "rnn.weight"
    page.get_by_test_id("distribution-step").filter(has_text="step 2,3").wait_for()


def test_distributions_are_gone_through_one_by_one(report: Path, open_report: Open) -> None:
    page = open_report(report)
    shown = page.get_by_test_id("distribution-step")
    page.get_by_test_id("chart-distribution").wait_for()
    seen = [shown.inner_text()]
    for _ in range(3):
        page.get_by_label("Previous recorded step").click()
        page.wait_for_function(
            "before => document.querySelector('[data-testid=distribution-step]').innerText !== before", arg=seen[-1]
        )
        seen.append(shown.inner_text())
    assert len(set(seen)) == 4


def test_another_threshold_is_read_off_the_curve(report: Path, open_report: Open) -> None:
    page = open_report(report)
    page.get_by_test_id("what-if-run").select_option("clipped")
    page.get_by_text("Read off a curve of").wait_for()
    before = page.get_by_test_id("what-if-words").inner_text()
    page.get_by_test_id("chart-what-if").get_by_role("slider").focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(300)
    assert page.get_by_test_id("what-if-words").inner_text() != before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_system_and_everybody_can_use_it(report: Path, open_report: Open, scheme: Any) -> None:
    page = open_report(report, color_scheme=scheme)
    page.get_by_test_id("chart-what-if").wait_for()
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.style.colorScheme") == scheme
    assert grave_findings(page) == []
    page.set_viewport_size({"width": 600, "height": 900})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 600


def test_paper_has_the_charts_in_light_colours_and_nothing_to_press(report: Path, open_report: Open) -> None:
    page = open_report(report, color_scheme="dark")
    page.get_by_test_id("chart-what-if").wait_for()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.style.colorScheme") == "light"
    assert not page.locator("aside").is_visible()
    assert not page.get_by_test_id("export-loss").is_visible()
    assert page.get_by_test_id("chart-loss").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.style.colorScheme") == "dark"


def test_names_of_runs_stay_names(tmp_path: Path, open_report: Open) -> None:
    logdir = tmp_path / "<b>logs"
    write_run(logdir / HOSTILE.replace("/", "∕"), 300, Rule("global_norm", 1.0))
    page = open_report(reported(logdir))
    page.get_by_test_id("chart-what-if").wait_for()
    page.wait_for_timeout(300)
    assert page.get_by_test_id("run").get_attribute("data-run") == HOSTILE.replace("/", "∕")
    assert page.title() == "<b>logs: gradient clipping"
    assert page.locator("img, main b b").count() == 0
    assert page.get_by_test_id("chart-parameters").is_visible()


def test_a_log_with_nothing_but_a_loss_has_a_report(tmp_path: Path, open_report: Open) -> None:
    write_scalars(tmp_path / "logs" / "plain", {"train/loss": points(diverging_loss())})
    page = open_report(reported(tmp_path / "logs"))
    page.get_by_text("scalars only").first.wait_for()
    page.wait_for_timeout(300)
    assert min(page.evaluate(DRAWN)) > 20
    assert page.get_by_test_id("alert").count() > 0


def test_a_file_that_was_cut_says_that_it_cannot_be_read(report: Path, browser: Browser, tmp_path: Path) -> None:
    text = report.read_text(encoding="utf-8")
    start = text.index("data-words")
    cut = tmp_path / "cut.html"
    cut.write_text(text[: start + 5000] + text[start + 9000 :], encoding="utf-8")
    page = browser.new_page()
    page.goto(cut.as_uri())
    page.get_by_test_id("error").get_by_text("cannot be unpacked: the file is damaged").wait_for()
    page.close()
