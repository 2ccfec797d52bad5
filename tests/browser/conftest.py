"""A real browser on a real TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Frame, Locator, Page

from tests.logs import write_runs
from tests.tensorboard import LOADERS, tensorboard, wait_for_steps

TIME_CHARTS = ("chart-loss", "chart-norm", "chart-clip-rate")
CHARTS = (*TIME_CHARTS, "chart-distribution")

# Reports what the Content Security Policy of TensorBoard refuses, in every frame.
WATCH_POLICY = """
document.addEventListener("securitypolicyviolation",
  event => console.error("CSP refused " + event.blockedURI + " by " + event.violatedDirective));
"""


@pytest.fixture(scope="session")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "logs"
    write_runs(path)
    return path


@pytest.fixture(scope="session", params=LOADERS, ids=lambda fast: f"load_fast={fast}")
def board(request: pytest.FixtureRequest, logdir: Path) -> Iterator[str]:
    with tensorboard(logdir, f"--load_fast={request.param}") as address:
        wait_for_steps(address, 5000)
        yield address


@dataclass
class Dashboard:
    """Our tab, and what the browser complained about while it was open."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    @property
    def frame(self) -> Frame:
        """Ours among those of the page, as soon as it is there."""

        def ours() -> list[Frame]:
            return [frame for frame in self.page.frames if "name=gradclip" in frame.url]

        self.until(ours)
        (frame,) = ours()
        return frame

    def chart(self, name: str) -> Locator:
        return self.frame.get_by_test_id(name)

    def open(self, address: str, runs: int = 3, link: str = "") -> Dashboard:
        """Go to the tab, as a `link` has it set, and wait until every run is there and drawn."""
        self.page.goto(f"{address}#gradclip{link}")
        self.frame.wait_for_function(
            "runs => document.querySelectorAll('[data-testid=run]').length === runs", arg=runs, timeout=60_000
        )
        for name in CHARTS:
            self.chart(name).wait_for()
        self.settle(800)
        return self

    def leave(self) -> None:
        """Close the tab before its TensorBoard ends: it asks for new steps every ten seconds."""
        self.page.goto("about:blank")

    def hover(self, name: str, share: float) -> None:
        """Point at a place of a chart, given as a share of its width."""
        self.chart(name).scroll_into_view_if_needed()
        box = self.chart(name).bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2, steps=3)
        self.settle(150)

    def settle(self, milliseconds: int) -> None:
        """Let so much time pass for our page, however little time the browser has: timers set before are over then."""
        self.frame.evaluate("milliseconds => new Promise(done => setTimeout(done, milliseconds))", milliseconds)

    def until(self, what: Callable[[], object]) -> None:
        """Wait until something is true, half a minute at most."""
        end = time.monotonic() + 30
        while not what():
            assert time.monotonic() < end, "never came true"
            self.page.wait_for_timeout(100)

    def cursor(self, name: str) -> int:
        return int(float(self.chart(name).get_attribute("data-cursor-step") or "nan"))


def complain(dashboard: Dashboard, message: ConsoleMessage) -> None:
    """Note an error, unless it is about a resource of TensorBoard's own: under a prefix it misses its favicon."""
    place = message.location["url"]
    if message.type == "error" and ("gradclip" in place or not message.text.startswith("Failed to load resource")):
        dashboard.complaints.append(f"{message.text} at {place}")


@pytest.fixture
def dashboard(browser: Browser) -> Iterator[Dashboard]:
    """A new window; the test fails if the browser reports an error in it."""
    page = browser.new_page(viewport={"width": 1440, "height": 1300})
    page.add_init_script(WATCH_POLICY)
    dashboard = Dashboard(page)
    page.on("console", lambda message: complain(dashboard, message))
    page.on("pageerror", lambda error: dashboard.complaints.append(str(error)))
    yield dashboard
    page.close()
    assert dashboard.complaints == []
