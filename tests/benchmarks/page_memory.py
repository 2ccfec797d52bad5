"""How much memory a page takes: its JavaScript heap, and all of the process that it lives in.

A heap leaves out what a chart has most of: array buffers and the pixels of canvases.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from playwright.sync_api import Page

BUSY = 300
"""Milliseconds of work by which a process is known among others of the browser, which rest."""

MOST_TIMES = 10
"""That this is tried: others may not rest just then."""

WORK = "busy => { const start = performance.now(); while (performance.now() - start < busy); }"

OWN = ("Pss_Anon", "Pss_Shmem", "SwapPss")
"""What counts, as Linux names it: memory that no file stands behind; of what processes share, such as pictures on the
way to the screen, a process's part."""


def heap(page: Page) -> float:
    """Bytes of JavaScript objects after a collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["JSHeapUsedSize"])


def resident(page: Page) -> float:
    """Bytes of the process that a page lives in: heaps, buffers, canvases, layout and code, the engine's own included.

    NaN where Linux does not tell, as for a process of somebody else's, and on other systems.
    """
    try:
        told = Path(f"/proc/{process(page)}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return float("nan")
    kilobytes = dict(re.findall(r"^(\w+): +(\d+) kB$", told, re.M))
    return 1024.0 * sum(int(kilobytes[name]) for name in OWN)


def process(page: Page) -> int:
    """Number of the process that renders a page: the one that works while the page does, far more than any other."""
    worked: Counter[int] = Counter()
    for _ in range(MOST_TIMES):
        before = _processor_times(page)
        page.evaluate(WORK, BUSY)
        worked.update({pid: spent - before.get(pid, 0) for pid, spent in _processor_times(page).items()})
        (pid, most), *others = worked.most_common(2)
        if most > 2 * sum(spent for _, spent in others):
            return pid
    raise RuntimeError(f"a page's process must work more than others while the page does, got {worked}.")


def _processor_times(page: Page) -> dict[int, int]:
    """Milliseconds that each process that renders pages has worked."""
    assert page.context.browser is not None
    session = page.context.browser.new_browser_cdp_session()
    known = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return {each["id"]: round(1000 * each["cpuTime"]) for each in known if each["type"] == "renderer"}
