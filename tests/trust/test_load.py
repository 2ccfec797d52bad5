"""Many pages at once: each is answered, and TensorBoard takes no more for the hundredth than for the first."""

from __future__ import annotations

import os
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from tests.logs import GrowingRun, write_small_records
from tests.tensorboard import board, wait_for_steps
from tests.usage import needs_proc, sampled, usage
from tests.viewers import COLUMNS, Answer, hurry, stay, view

STEPS = 20_000
MOST_SECONDS = 1.0
"""That 99 of 100 requests of fifty pages may take."""
MINUTES = 4
GROWTH = 64 << 20
"""Bytes that fifty pages may take more in the last two of these minutes than in the one before, in the middle of each;
and more at most than in the first two."""
ROUTES = {"index.js", "runs", "series", "histogram", "histograms", "parameters", "what_if"}


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("load") / "logs"
    with pytest.MonkeyPatch.context() as patch:
        write_small_records(patch)
        run = GrowingRun(path / "run0")
        run.grow(STEPS)
        run.recorder.close()
    (file,) = (path / "run0").iterdir()
    for name in ("run1", "run2"):
        (path / name).mkdir()
        os.link(file, path / name / file.name)
    return path


@pytest.fixture(scope="module")
def served(logdir: Path) -> Iterator[tuple[str, int]]:
    with board(logdir) as (address, pid):
        wait_for_steps(address, STEPS)
        yield address, pid


def failed(answers: list[Answer]) -> list[Answer]:
    return [
        answer for answer in answers if answer.status not in (200, 304) or (answer.status == 200 and not answer.size)
    ]


@needs_proc
def test_pages_without_end_are_answered_and_take_no_more_memory(served: tuple[str, int]) -> None:
    address, pid = served
    for _ in range(2):  # what is kept of ranges and answers is full then
        assert failed(view(address, 8, hurry(8))) == []
    before = usage(pid)
    answers = view(address, 8, hurry(16))
    after = usage(pid)
    assert failed(answers) == []
    assert {answer.route for answer in answers} == ROUTES
    sent = sum(answer.size for answer in answers)
    assert sent > 80 << 20  # so that keeping what was sent, or much of it, would show
    assert after.own - before.own < 40 << 20
    assert after.children - before.children < 16 << 20


def test_pages_that_stay_a_while_see_no_error(served: tuple[str, int]) -> None:
    answers = view(served[0], 8, stay(2.0, 0.5, 0.3, 1.0))
    assert failed(answers) == []
    assert Counter(answer.route for answer in answers)["index.js"] == 8


def test_viewers_ask_what_a_page_asks(browser: Browser, served: tuple[str, int]) -> None:
    """Else the others would prove little."""
    page = browser.new_page(viewport={"width": 1440, "height": 3000})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{served[0]}#gradclip")
    page.wait_for_selector("iframe[src*=gradclip]")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)
    page.close()
    ours = [urllib.parse.urlsplit(url) for url in asked if "/plugin/gradclip/" in url]
    assert {url.path.rpartition("/")[2] for url in ours} == ROUTES
    (first, rest, *_) = [urllib.parse.parse_qs(url.query) for url in ours if url.path.endswith("/series")]
    assert first["run"] == rest["run"] == ["run0", "run1", "run2"]
    assert first["column"] + rest["column"] == list(COLUMNS)
    assert first["column"] == ["loss"]
    assert 1500 <= int(rest["points"][0]) <= 2500


@needs_proc
@pytest.mark.long  # it needs a machine for itself
def test_fifty_pages_on_long_runs_for_minutes(tmp_path: Path) -> None:
    from tests.benchmarks.dashboard import wait_until_read, write_logs

    logs = tmp_path / "logs"
    write_logs(logs, 20, 1_000_000)
    with board(logs, "--reload_interval=3600") as (address, pid):
        wait_until_read(address, 20, 1_000_000)
        minutes, memory = [], []
        for _ in range(MINUTES):
            with sampled(pid) as samples:
                minutes.append(view(address, 50, stay(60, 10, 10, 60)))
            memory.append(samples)
    answers = [answer for minute in minutes[1:] for answer in minute]
    p99 = float(np.percentile([answer.seconds for answer in answers], 99))
    levels, peaks = [float(np.median(each)) for each in memory], [max(each) for each in memory]
    print(f"p99 {p99:.2f} s of {len(answers)} requests; MB in the middle of each minute, and at most:")
    print(*(f"{level / 1e6:.0f} ({peak / 1e6:.0f})" for level, peak in zip(levels, peaks, strict=True)))
    assert [failed(minute) for minute in minutes] == MINUTES * [[]]
    assert {answer.route for answer in answers} == ROUTES
    assert p99 < MOST_SECONDS
    assert max(levels[2:]) - levels[1] < GROWTH
    assert max(peaks[2:]) - max(peaks[:2]) < GROWTH
