"""Browsers with our tab open, as far as a server can tell: what a page asks for, in which order, how many at once.

Recorded from a page in Chromium; `tests/trust/test_load.py` holds it against one.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

COLUMNS = ("loss", "norm_before", "norm_after", "threshold", "clip_rate", "throttle")
POINTS = 2000
POLL_EVERY = 10.0
"""Seconds between two questions whether there is anything new, as in the front end's `effects.ts`."""


class Answer(NamedTuple):
    """One request: its route, when it was asked (seconds since the start), how long it took, its status and size."""

    route: str
    begun: float
    seconds: float
    status: int
    size: int


class Viewer:
    """One page.

    Args:
      address: of TensorBoard, with a trailing slash.
      seed: of what it looks at.
      answers: where its requests are noted.
      begun: the time that they are told from.
    """

    def __init__(self, address: str, seed: int, answers: list[Answer], begun: float) -> None:
        parts = urllib.parse.urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._base = f"{parts.path}data/plugin/gradclip/"
        self._random = random.Random(seed)
        self._answers, self._begun = answers, begun
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._tag = ""
        self._runs: list[dict[str, Any]] = []
        self._seen: object = None

    async def open(self) -> None:
        """Load the page: its code, the list of runs, then all panels."""
        await self.get("index.js")
        await self.poll()

    async def poll(self) -> None:
        """Ask for the list of runs, and if they grew for all panels."""
        status, body, headers = await self.get("runs", {"If-None-Match": self._tag} if self._tag else {})
        if status == 200:
            self._tag = headers["etag"]
            self._runs = json.loads(body)["runs"]
        seen = [(run["steps"], len(run["alerts"])) for run in self._runs]
        if self._runs and seen != self._seen:
            is_first, self._seen = self._seen is None, seen
            if is_first:  # what is on top, then the other lines, then what lies below
                await self.series(COLUMNS[:1])
                await self.series(COLUMNS[1:])
                await self.below()
            else:
                await self.look("")

    async def zoom(self) -> None:
        """Look at a range nobody looked at before; where there is no run yet, ask for one."""
        if not self._runs:
            await self.poll()
            return
        last = self._last
        width = last * 10 ** self._random.uniform(-2, 0)
        start = self._random.uniform(0, last - width)
        await self.look(f"&from={start:.6f}&to={start + width:.6f}")

    async def look(self, bounds: str) -> None:
        """Ask for all panels, as a page does for a range it shows."""
        await asyncio.gather(self.series(COLUMNS, bounds), self.below(bounds))

    async def series(self, columns: Sequence[str], bounds: str = "") -> None:
        """Ask for lines of all runs."""
        names = "&".join(f"run={urllib.parse.quote(run['name'], safe='')}" for run in self._runs)
        wanted = "&".join(f"column={column}" for column in columns)
        await self.get(f"series?{names}&{wanted}&points={POINTS}&axis=step&window=100{bounds}")

    async def below(self, bounds: str = "") -> None:
        """Ask for what lies below the charts over time."""
        of = f"run={urllib.parse.quote(self._runs[0]['name'], safe='')}"
        await asyncio.gather(
            self.point(),
            self.get(f"histograms?{of}{bounds}"),
            self.get(f"parameters?{of}{bounds}&windows=400"),
            self.get(f"what_if?{of}{bounds}"),
        )

    async def point(self) -> None:
        """Look at the distribution of some step, if there is a run."""
        if not self._runs:
            return
        of = urllib.parse.quote(self._runs[0]["name"], safe="")
        await self.get(f"histogram?run={of}&step={self._random.randint(0, self._last)}")

    @property
    def _last(self) -> int:
        return int(self._runs[0]["last_step"])

    async def get(self, path: str, more: Mapping[str, str] | None = None) -> tuple[int, bytes, dict[str, str]]:
        """One request; a connection that is idle is used again, as browsers do."""
        start = time.monotonic()
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        lines = [f"GET {self._base}{path} HTTP/1.1", f"Host: {self._host}:{self._port}", "Accept-Encoding: gzip"]
        lines += [f"{name}: {value}" for name, value in (more or {}).items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        status, headers = await _head(reader)
        body = b"" if status == 304 else await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        taken = time.monotonic() - start
        self._answers.append(Answer(path.partition("?")[0], start - self._begun, taken, status, len(body)))
        if headers.get("content-encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        return status, body, headers

    def close(self) -> None:
        """Close the page."""
        for _, writer in self._idle:
            writer.close()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    return int(lines[0].split()[1]), {name.lower(): value for name, value in headers.items()}


Visit = Callable[[Viewer, random.Random], Awaitable[None]]
"""What one viewer does from opening the page to closing it."""


def view(address: str, viewers: int, visit: Visit) -> list[Answer]:
    """Have so many viewers visit at the same time; all requests that they made."""
    answers: list[Answer] = []

    async def one(seed: int, begun: float) -> None:
        viewer = Viewer(address, seed, answers, begun)
        try:
            await visit(viewer, random.Random(1000 + seed))
        finally:
            viewer.close()

    async def together() -> None:
        begun = time.monotonic()
        await asyncio.gather(*(one(seed, begun) for seed in range(viewers)))

    with ThreadPoolExecutor(1) as pool:  # in the thread of a browser that is driven there is a loop already
        pool.submit(asyncio.run, together()).result()
    return answers


def stay(seconds: float, arriving: float, pointing: float, zooming: float) -> Visit:
    """A visit as people make them.

    Args:
      seconds: how long everybody stays, about.
      arriving: seconds within which all arrive.
      pointing, zooming: seconds from one look at a step, or at another range, to the next, on average.
    """

    async def visit(viewer: Viewer, chance: random.Random) -> None:
        await asyncio.sleep(chance.uniform(0, arriving))
        end = time.monotonic() + seconds
        await viewer.open()

        async def again(every: Callable[[], float], action: Callable[[], Awaitable[None]]) -> None:
            while (pause := every()) < end - time.monotonic():
                await asyncio.sleep(pause)
                await action()

        await asyncio.gather(
            again(lambda: POLL_EVERY, viewer.poll),
            again(lambda: chance.uniform(0, 2 * pointing), viewer.point),
            again(lambda: chance.uniform(0, 2 * zooming), viewer.zoom),
        )

    return visit


def hurry(zooms: int) -> Visit:
    """A visit without a pause: so many ranges one after the other."""

    async def visit(viewer: Viewer, chance: random.Random) -> None:
        await viewer.open()
        for _ in range(zooms):
            await viewer.zoom()
            await viewer.poll()

    return visit
