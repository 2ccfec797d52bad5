"""How the dashboard feels with many long runs: in real TensorBoard, in Chromium, beside TensorBoard's own Time Series.

    python -m tests.benchmarks.dashboard [--runs 20] [--steps 1000000] [--rounds 5] [--seconds 5] [--logdir DIR]

One run is written by the real recorder and linked under many names; with `--logdir` it stays there and is not written
again. TensorBoard has read all of it, and has answered once, before anything is measured. Each round opens a new page
on the other tab, waits until that is at rest, and clicks; and another with a link. The browser's cache is cold.

- `click to first chart`: from the click on the tab to the frame in which the loss chart has lines. TensorBoard reads
  the data of Time Series beforehand, whichever tab is shown: there is nothing to compare. `our code` is there when
  TensorBoard has got round to asking for it.
- `link to first chart`: the same from opening a link to the tab, which starts TensorBoard's own page too. Of Time
  Series, which paints where nobody can look: until the last of its data arrived, so rather less than it takes.
- `zooming`: time between frames while the wheel and a key, Ctrl or Alt, zoom in and out of the chart. `hovering`:
  while the pointer moves over it. Frames are asked for by `requestAnimationFrame` in the page that is zoomed, and all
  runs are shown, not only the twenty that the dashboard begins with.
- `heap`: of JavaScript in the page after a collection, TensorBoard's own included; without array buffers and canvases.
- `memory of the page's process`: all that is the process's own after that, the engine and TensorBoard included.
- `bundle`: all the code of the dashboard, as it travels.

Time Series shows the four scalars that the same runs have for it, thinned out to a thousand points by TensorBoard.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from playwright.sync_api import Browser, Frame, Page, sync_playwright

from demo.browser import launch
from tb_gradclip.plugin.routes import BUNDLE
from tests.benchmarks import in_page, page_memory
from tests.benchmarks.contest import Floats, number, parser, print_machine, print_table, size
from tests.benchmarks.made import LongRun
from tests.tensorboard import fetch, tensorboard

PATIENCE = 600.0
"""Seconds until TensorBoard has to have read everything."""

QUIET = 0.7
"""Seconds without a request after which a page is at rest."""

OURS = "Gradient Clipping"
THEIRS = "Time Series"
PLUGINS = {OURS: "gradclip", THEIRS: "timeseries"}
ZOOM_KEYS = {OURS: "Control", THEIRS: "Alt"}
FOUR_SCALARS = "?tagFilter=clip_rate%7Cnorm_%7Crecorded"
LONGEST_FRAME = 50.0
"""Milliseconds: three refreshes of a screen."""


T = TypeVar("T")


class Tab(NamedTuple):
    """What was measured of a tab: milliseconds to its first chart, those between frames, and bytes of memory."""

    clicked: list[tuple[float, float]]
    linked: list[float]
    zooming: Floats
    hovering: Floats
    heap: float
    process: float


def write_logs(logdir: Path, runs: int, steps: int) -> None:
    """One long run under many names, unless it is there."""
    if not (logdir / "run00").exists():
        run = LongRun(logdir / "run00", 200)
        run.grow(steps)
        run.close()
    (file,) = (logdir / "run00").iterdir()
    for number_ in range(1, runs):
        with contextlib.suppress(FileExistsError):
            (logdir / f"run{number_:02}").mkdir()
            os.link(file, logdir / f"run{number_:02}" / file.name)


def wait_until_read(address: str, runs: int, steps: int) -> None:
    """Wait until TensorBoard knows every step of every run, and has answered for all of them."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = json.loads(fetch(address, "runs"))["runs"]
        if len(found) == runs and all(run["steps"] == steps for run in found):
            return
        time.sleep(1.0)
    raise SystemExit(f"TensorBoard has not read {runs} runs of {steps} steps within {PATIENCE:g} s")


def come_to_rest(page: Page) -> None:
    """Wait until no request was made for a while."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1e3 * QUIET)
    page.wait_for_load_state("networkidle")


def our_frame(page: Page) -> Frame:
    """The dashboard's own page."""
    page.wait_for_selector("iframe[src*=gradclip]", timeout=60_000)
    while True:
        for frame in page.frames:
            if "name=gradclip" in frame.url:
                return frame
        page.wait_for_timeout(1)


def open_link(page: Page, address: str, name: str) -> float:
    """Milliseconds from opening a link to a tab to its first chart."""
    page.goto(f"{address}{FOUR_SCALARS}#{PLUGINS[name]}", wait_until="commit")
    if name == THEIRS:
        page.wait_for_function(in_page.ALL_FOUR, timeout=60_000)
    drawn = page.evaluate(in_page.ARRIVED) if name == THEIRS else our_frame(page).evaluate(in_page.DRAWN)
    return float(drawn) - float(page.evaluate("() => performance.timeOrigin"))


def click_tab(page: Page, address: str) -> tuple[float, float]:
    """Milliseconds from the click on our tab to its first chart, and until its code was there."""
    page.goto(f"{address}{FOUR_SCALARS}#{PLUGINS[THEIRS]}")
    come_to_rest(page)
    clicked = page.evaluate(in_page.CLICK, PLUGINS[OURS])
    drawn = our_frame(page).evaluate(in_page.DRAWN)
    return float(drawn) - float(clicked), float(our_frame(page).evaluate(in_page.CODE)) - float(clicked)


def opened(browser: Browser, open_page: Callable[[Page], T], rounds: int) -> list[T]:
    """What as many new pages took; the first one warms up the server."""
    taken = []
    for _ in range(rounds + 1):
        page = new_page(browser)
        taken.append(open_page(page))
        page.close()
    return taken[1:]


def new_page(browser: Browser) -> Page:
    """A page with nothing in its cache."""
    return browser.new_page(viewport={"width": 1440, "height": 1000})


def moving(page: Page, frame: Frame, chart: str, seconds: float, zoom: str | None) -> Floats:
    """Milliseconds between frames while the pointer moves over a chart, or zooms into it and out with a key held."""
    box = frame.locator(chart).first.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.wait_for_timeout(300)
    if zoom:
        page.keyboard.down(zoom)
    frame.evaluate(in_page.RECORD)
    start, turn = time.monotonic(), 0
    while (passed := time.monotonic() - start) < seconds:
        if zoom:
            page.mouse.wheel(0, -30 if passed < seconds / 2 else 30)
        else:
            page.mouse.move(box["x"] + box["width"] * (0.5 + 0.35 * np.sin(turn / 20)), middle)
        turn += 1
        page.wait_for_timeout(8)
    times = frame.evaluate("() => { cancelAnimationFrame(window.noting); return window.frameTimes; }")
    if zoom:
        page.keyboard.up(zoom)
    return np.array(times, float)


def measured(browser: Browser, address: str, name: str, given: argparse.Namespace) -> Tab:
    """Open a tab many times, then use it."""
    linked = opened(browser, lambda page: open_link(page, address, name), given.rounds)
    clicked = opened(browser, lambda page: click_tab(page, address), given.rounds) if name == OURS else []
    page = new_page(browser)
    open_link(page, address, name)
    come_to_rest(page)
    frame = our_frame(page) if name == OURS else page.main_frame
    if name == OURS and (every_run := frame.get_by_role("button", name="all", exact=True)).count():
        every_run.click()
        come_to_rest(page)
    chart = "[data-testid=chart-loss]" if name == OURS else "card-view line-chart .series-view"
    used = [moving(page, frame, chart, given.seconds, zoom) for zoom in (ZOOM_KEYS[name], None)]
    come_to_rest(page)
    bytes_ = (page_memory.heap(page), page_memory.resident(page))
    page.close()
    return Tab(clicked, linked, used[0], used[1], *bytes_)


def rows(tab: Tab) -> dict[str, str]:
    """What the table says of a tab."""
    found = {}
    charts, codes = zip(*tab.clicked, strict=True) if tab.clicked else ((), ())
    times = {
        "click to first chart": charts,
        "of that, until our code is there": codes,
        "link to first chart": tab.linked,
    }
    for name, taken in times.items():
        spread = map(number, np.percentile(taken, [50, 0, 100])) if taken else None
        found[name] = "{} ms ({} to {})".format(*spread) if spread else ""
    for name, times in (("zooming", tab.zooming), ("hovering", tab.hovering)):
        figures = (np.median(times), np.percentile(times, 95), times.max())
        found[f"{name}, frames: median, 95 %, longest"] = f"{', '.join(map(number, figures))} ms"
        found[f"{name}, frames above 50 ms"] = f"{int((times.round(1) > LONGEST_FRAME).sum())} of {len(times)}"
    found["heap"] = size(tab.heap)
    found["memory of the page's process"] = size(tab.process) if np.isfinite(tab.process) else "not known"
    return found


@contextlib.contextmanager
def logs(given: argparse.Namespace) -> Iterator[Path]:
    """A directory for the runs."""
    if given.logdir is not None:
        yield given.logdir
        return
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "logs"


def options(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    known = parser(__doc__)
    known.add_argument("--runs", type=int, default=20)
    known.add_argument("--steps", type=int, default=1_000_000)
    known.add_argument("--rounds", type=int, default=5)
    known.add_argument("--seconds", type=float, default=5.0)
    known.add_argument("--logdir", type=Path)
    return known.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Write the runs, use both tabs, and print the table."""
    given = options(arguments)
    print_machine()
    with logs(given) as logdir, sync_playwright() as playwright:
        write_logs(logdir, given.runs, given.steps)
        with tensorboard(logdir, "--load_fast=true", "--reload_interval=3600") as address:
            wait_until_read(address, given.runs, given.steps)
            browser = launch(playwright)
            tabs = {name: rows(measured(browser, address, name, given)) for name in (OURS, THEIRS)}
            browser.close()
    lines = [[what, *(tab[what] for tab in tabs.values())] for what in tabs[OURS]]
    bundle = size(len(gzip.compress(BUNDLE.read_bytes(), mtime=0)))
    title = f"{given.runs} runs of {given.steps:,} steps; load of the machine {os.getloadavg()[0]:.1f}"
    print_table(title, ["", *tabs], [*lines, ["bundle, gzipped", bundle, ""]])


if __name__ == "__main__":
    main()
