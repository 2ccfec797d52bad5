"""Makes `demo/dashboard.png`, the picture in the README, from a directory of demo runs."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from demo.browser import launch
from demo.serve import free_port, tensorboard

PICTURE = Path(__file__).with_name("dashboard.png")
SIZE = {"width": 1440, "height": 1400}
VIEW = {"runs": "lstm/global_norm,lstm/unclipped,lstm/value", "focus": "lstm/global_norm", "step": "50"}
CHARTS = ("chart-loss", "chart-norm", "chart-clip-rate", "chart-distribution")


def take(page: Page, address: str, picture: Path) -> None:
    """Open the tab at `address`, wait until every chart is drawn, and save what is seen."""
    page.goto(address)
    dashboard = page.frame_locator("iframe[src*=gradclip]")
    for chart in CHARTS:
        dashboard.get_by_test_id(chart).wait_for(timeout=60_000)
    page.wait_for_timeout(3_000)  # for the last answers to be drawn
    page.screenshot(path=picture)


def main(logdir: Path, picture: Path = PICTURE) -> None:
    """Start TensorBoard and a browser, and take the picture."""
    port = free_port(6006)
    with tensorboard(logdir, port), sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        view = "".join(f"&p.gradclip.{key}={value}" for key, value in VIEW.items())
        take(page, f"http://localhost:{port}/#gradclip{view}", picture)
        browser.close()
    print(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
