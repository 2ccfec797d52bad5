"""Makes `demo/dashboard.png`, the picture in the README, from a directory of demo runs.

`python -m demo.screenshot LOGDIR`, or `LOGDIR PICTURE` for another place.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from demo.browser import launch
from demo.serve import free_port, tensorboard

PICTURE = Path(__file__).with_name("dashboard.png")
WIDTH = 1440
HEIGHT = 1400
"""Of the window at first; panels further down read what they show once they are in it."""
VIEW = {"runs": "lstm/global_norm,lstm/unclipped,lstm/value", "focus": "lstm/global_norm", "step": "50"}
PANELS = (
    *("chart-loss", "chart-norm", "chart-clip-rate", "chart-distribution", "chart-histogram-map"),
    *("chart-what-if", "suggestion", "chart-parameters", "parameter-row", "alerts"),
)


def take(page: Page, address: str, picture: Path) -> None:
    """Open the tab at `address`, wait until every panel is drawn, and save the page from its top to its end."""
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.goto(address)
    tab = page.locator("iframe[src*=gradclip]")
    for panel in PANELS:
        tab.content_frame.get_by_test_id(panel).first.wait_for(timeout=60_000)
    for _ in range(2):  # what is read once it is in view may take more room than what stood for it
        box = tab.bounding_box()
        if box is None:
            raise RuntimeError(f"TensorBoard does not show the tab of {address}. Look at that address in a browser.")
        needed = tab.content_frame.locator("html").evaluate("root => root.scrollHeight")
        page.set_viewport_size({"width": WIDTH, "height": int(box["y"]) + needed})
        page.wait_for_timeout(3_000)  # for the last answers to be drawn
    page.screenshot(path=picture)


def main(logdir: Path, picture: Path = PICTURE) -> None:
    """Start TensorBoard and a browser, and take the picture."""
    port = free_port(6006)
    with tensorboard(logdir, port), sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(color_scheme="light")
        view = "".join(f"&p.gradclip.{key}={value}" for key, value in VIEW.items())
        take(page, f"http://localhost:{port}/#gradclip{view}", picture)
        browser.close()
    print(picture)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
