"""What is known of single parameters: windows and flights of a run, read when somebody looks at them.

A run of a million steps and 200 parameters has some 15 MB of them. Nobody who opens the tab waits for these.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tb_gradclip.core import schema
from tb_gradclip.core.charts.room import DETAILS, Owner
from tb_gradclip.core.flight import NORM_DTYPE, Flight
from tb_gradclip.core.schema import Tag, Window
from tb_gradclip.storage.problems import Problems

if TYPE_CHECKING:
    from tb_gradclip.storage.source import Listed

Read = Callable[[Collection[Tag]], Mapping[Tag, list[bytes]]]
"""Reads tags of the run: frames of their records."""

MOST_KEPT = 64 << 20
"""Bytes of a run's windows that stay while other runs leave room; what is beyond is read anew each time."""

BYTES_A_WINDOW = 320
"""Beside its rows, for the objects it is made of: most of what the windows of a small model take."""

WINDOWS = "windows"

TAGS_AT_ONCE = 64
"""So that a run of ten thousand parameters is never in memory as a whole."""


class Edition:
    """Another object as soon as there are other windows or flights than before."""

    def __init__(self, listed: Mapping[Tag, Listed], spans: Mapping[str, int]) -> None:
        self.listed, self.spans = listed, spans


class Details:
    """Windows and flights of one run; safe to share by threads.

    Args:
      read: reads tags of the run.
      problems: takes note of what cannot be read.
    """

    def __init__(self, read: Read, problems: Problems) -> None:
        self._read, self._problems = read, problems
        self._lock = threading.Lock()
        self._state: tuple[Mapping[Tag, Listed], Mapping[str, int]] = {}, {}
        self._own = Owner()
        self._edition = Edition({}, {})

    def update(self, listed: Mapping[Tag, Listed], spans: Mapping[str, int]) -> None:
        """Take note of what there is: tags as a provider lists them, and `RunBuilder.spans`."""
        self._state = listed, spans

    @property
    def edition(self) -> Edition:
        """The same object for as long as `windows` and `flight` have the same to tell."""
        listed, spans = self._state
        own = {tag: state for tag, state in listed.items() if tag.kind in ("parameters", "flights")}
        with self._lock:
            if self._edition.listed != own or self._edition.spans != spans:
                self._edition = Edition(own, spans)
            return self._edition

    def windows(self, first: float, last: float, parameters: int) -> Iterator[Window]:
        """Windows with steps from `first` to `last`, both included, in order of step.

        The last window of an attempt that was taken back ends where the next attempt begins, so that no two overlap;
        its statistics and its number of steps are those of all its steps.

        Args:
          first, last: steps.
          parameters: how many a window has.
        """
        listed, spans = self._state
        for attempt, end in sorted(spans.items()):
            tags = list(reaching(_shards(listed, "parameters", attempt), first, last))
            for start in range(0, len(tags), TAGS_AT_ONCE):
                for window in self._windows_of(tags[start : start + TAGS_AT_ONCE], listed):
                    inside = window.first_step < end and window.first_step <= last and window.last_step >= first
                    if inside and self._problems.fits(len(window.rows), parameters):
                        yield replace(window, last_step=min(window.last_step, end - 1))

    def flight(self, first: int, last: int, parameters: int) -> Flight:
        """Rows of flights from step `first` to `last`, both included; none where no flight has any.

        Args:
          parameters: how many a row has.
        """
        listed, spans = self._state
        found = [Flight(np.empty(0, np.int64), np.empty((0, parameters), NORM_DTYPE))]
        for attempt, end in sorted(spans.items()):
            tags = list(reaching(_shards(listed, "flights", attempt), first, last))
            frames = self._read(tags) if tags else {}
            for tag in tags:
                for flight in self._problems.decoded(tag, schema.decode_flight, frames.get(tag, ())):
                    rows = (flight.steps >= first) & (flight.steps <= min(last, end - 1))
                    if self._problems.fits(flight.norms.shape[1], parameters):
                        found.append(Flight(flight.steps[rows], flight.norms[rows]))
        return Flight(np.concatenate([f.steps for f in found]), np.concatenate([f.norms for f in found]))

    def _windows_of(self, tags: Sequence[Tag], listed: Mapping[Tag, Listed]) -> list[Window]:
        with self._lock:
            kept: dict[Tag, tuple[Listed, list[Window]]] = dict(DETAILS.get(self._own, WINDOWS) or {})
            size = sum(_nbytes(windows) for _, windows in kept.values())
            known = {tag: kept[tag][1] for tag in tags if tag in kept and kept[tag][0] == listed[tag]}
            missing = [tag for tag in tags if tag not in known]
            for tag, frames in (self._read(missing) if missing else {}).items():
                known[tag] = list(self._problems.decoded(tag, schema.decode_window, frames))
                before = _nbytes(kept[tag][1]) if tag in kept else 0
                grown = size - before + _nbytes(known[tag])
                if grown <= MOST_KEPT:
                    kept[tag], size = (listed[tag], known[tag]), grown
            if missing:
                DETAILS.put(self._own, WINDOWS, kept, size)
        return [window for tag in tags for window in known.get(tag, ())]


def _nbytes(windows: Sequence[Window]) -> int:
    """What windows take in memory."""
    return sum(window.rows.nbytes + BYTES_A_WINDOW for window in windows)


def _shards(listed: Mapping[Tag, Listed], kind: str, attempt: str) -> list[tuple[Tag, int]]:
    """Tags of a kind in the order in which they were written, with the step of their last record."""
    return sorted(
        (tag, state.max_step)
        for tag, state in listed.items()
        if tag.kind == kind and tag.attempt == attempt and schema.content_version(state.content) <= schema.SCHEMA
    )


def reaching(shards: Sequence[tuple[Tag, int]], first: float, last: float) -> Iterator[Tag]:
    """Shards with steps from one to another, and perhaps more. What is known of each is where its last record begins.

    So its rows begin after the last record of the shard before it does, and end before that of the shard after it.
    """
    for i, (tag, _) in enumerate(shards):
        begins_after = shards[i - 1][1] if i else -1
        ends_before = shards[i + 1][1] if i + 1 < len(shards) else last + 1
        if begins_after < last and ends_before > first:
            yield tag
