"""How the benchmark of the dashboard measures memory: pages whose memory is known."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.benchmarks.page_memory import heap, process, resident
from tests.usage import needs_proc

MEGABYTE = 1e6
BUFFERS = "() => { window.kept = new Float64Array(12_500_000).fill(1.5); }"
CANVAS = """
() => {
  window.kept = document.createElement("canvas");
  Object.assign(window.kept, {width: 5000, height: 5000});
  const context = window.kept.getContext("2d", {willReadFrequently: true});
  context.fillRect(0, 0, 5000, 5000);
  context.getImageData(0, 0, 1, 1);
}
"""


@needs_proc
@pytest.mark.parametrize("what", [BUFFERS, CANVAS], ids=["buffers", "canvas"])
def test_what_the_heap_leaves_out_counts_in_the_process(browser: Browser, what: str) -> None:
    other, page = browser.new_page(), browser.new_page()
    assert process(other) != process(page)
    before = (heap(page), resident(page))
    page.evaluate(what)
    taken = (heap(page) - before[0], resident(page) - before[1])
    assert taken[0] < 5 * MEGABYTE
    assert taken[1] == pytest.approx(100 * MEGABYTE, abs=10 * MEGABYTE)
    other.close()
    page.close()
