"""Every view in every state, from made-up and recorded answers: nothing breaks, whatever the width and the colours.

Pictures of all of them stay in pytest's temporary folder, `gallery0`, for whoever wants to look.
"""

from __future__ import annotations

import functools
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.axe import grave_findings

FRONTEND = Path(__file__).parents[2] / "frontend"
WIDTHS = (1300, 600, 300)
STATES = re.findall(r'^  "?([\w-]+)"?: \{ runs', (FRONTEND / "gallery" / "states.ts").read_text(encoding="utf-8"), re.M)

# What sticks out of the page to the right, unless it lies in something that scrolls or cuts by itself.
WIDER = """
() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")].filter(each => each.getBoundingClientRect().right > innerWidth + 1)
    .map(each => each.outerHTML.slice(0, 100))
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the gallery, built from the sources as they are."""
    built = tmp_path_factory.mktemp("built")
    vite = ["node", "node_modules/vite/bin/vite.js", "build", "gallery", "--config", "gallery/vite.config.ts"]
    subprocess.run([*vite, "--outDir", str(built), "--logLevel", "error"], cwd=FRONTEND, check=True)
    server = ThreadingHTTPServer(("localhost", 0), functools.partial(Quiet, directory=str(built)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gallery")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new window; the test fails if the browser reports an error in it."""
    page, complaints = browser.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert complaints == []


def test_the_gallery_lists_every_state(page: Page, gallery: str) -> None:
    page.goto(gallery)
    assert [link.inner_text() for link in page.get_by_role("link").all()] == STATES
    assert len(STATES) > 15


@pytest.mark.parametrize("state", ["runs-50", "grouped"])
def test_fifty_runs_are_all_shown(page: Page, gallery: str, state: str) -> None:
    page.goto(f"{gallery}?state={state}")
    page.get_by_text("50 of 50", exact=True).wait_for()
    assert page.get_by_test_id("health-row").count() == 50


def test_arrow_keys_go_through_a_table_of_which_only_a_part_is_there(page: Page, gallery: str) -> None:
    page.goto(f"{gallery}?state=parameters-500")
    page.locator(".parameter-table .copyable").focus()
    at = "row => document.activeElement.closest('tr')?.ariaRowIndex === String(row)"
    for key, rows in (("ArrowDown", range(2, 62)), ("ArrowUp", [*range(60, 1, -1), *[2] * 10])):
        for row in rows:
            page.locator(f"[data-testid=parameter-row][aria-rowindex='{row}']").wait_for(state="attached")
            page.keyboard.press(key)
            page.wait_for_function(at, arg=row)
    assert (
        page.locator(".parameter-table .copyable").evaluate("place => place.scrollTop") == 0
    )  # not under the headings


PANELS = (
    *("health", "chart-loss", "chart-norm", "chart-clip-rate", "chart-throttle", "chart-distribution"),
    *("chart-histogram-map", "chart-what-if", "chart-parameters", "parameter-row", "chart-picked", "alerts"),
)


def test_every_panel_shows_what_is_made_up_for_it(page: Page, gallery: str) -> None:
    page.goto(f"{gallery}?state=parameter-picked")
    for panel in PANELS:
        page.get_by_test_id(panel).first.wait_for()
    assert page.locator(".card .hint:not(.tools .hint)").all_inner_texts() == [
        "3",
        "No alerts: nothing broke in 15,000 steps.",
    ]
    page.goto(f"{gallery}?state=alert-selected")
    page.get_by_test_id("chart-blame").wait_for()


def test_help_and_export_stand_at_the_same_place_of_every_panel(page: Page, gallery: str) -> None:
    page.set_viewport_size({"width": 1300, "height": 900})
    page.goto(f"{gallery}?state=three")
    page.get_by_test_id("export-parameters").wait_for()
    from_the_edge = """buttons => buttons.map(button =>
        Math.round(button.closest(".card").getBoundingClientRect().right - button.getBoundingClientRect().right))"""
    help_buttons = page.locator(".help-button")
    assert help_buttons.count() == 11
    assert len(set(help_buttons.evaluate_all(from_the_edge))) == 1
    exports = page.locator(".export > button")
    assert exports.count() == 7
    assert len(set(exports.evaluate_all(from_the_edge))) == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_a_state_is_whole_at_every_width(page: Page, gallery: str, pictures: Path, state: str, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    page.goto(f"{gallery}?state={state}")
    page.wait_for_function("() => document.body.innerText.trim() !== ''")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        assert page.evaluate(WIDER) == []
        assert len(page.locator("body").inner_text().strip()) > 10
        assert grave_findings(page) == []
        page.screenshot(path=pictures / f"{state}-{theme}-{width}.png", full_page=True)
