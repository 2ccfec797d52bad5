"""A flight recorder: every parameter's norm at every step around an event, which windows would average away."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.rules import Floats

BEFORE, AFTER = 64, 32
"""Steps before and after an event that are kept."""

LATE = 64
"""Steps that an event may be told late, as a spike is when it is over, and has its 64 steps before all the same."""

MOST_ROWS = 4 * (BEFORE + AFTER)
"""Steps of one flight. Events that follow each other closely share one, and what is longer goes on in the next."""

MOST_BYTES, FEWEST_FLIGHTS = 4 << 20, 8
"""Bytes of all flights of a run before they are packed, or more if so many would not fit: the first events are the ones
to look at, and a log that is mostly flights would be slow to open."""

NORM_DTYPE = np.dtype("<f4")


@dataclass(frozen=True)
class Flight:
    """Consecutive steps around an event: `steps`, shape [R], and `norms`, shape [R, P], before clipping."""

    steps: NDArray[np.int64]
    norms: NDArray[np.float32]


class FlightRecorder:
    """Keeps the newest steps and gives out those around events once they are complete.

    A flight reaches from 64 steps before an event to 32 steps after it; less at the beginning and the end of a run, and
    where an earlier flight has the steps already. Events before the end of a flight make it longer; after 384 steps it
    goes on in another. When 4 MiB are given out, or 8 flights if these are more, nothing is kept any more. Memory: at
    most some 1000 rows, and as many as come at once.

    Args:
      parameters: number of norms a step has.
    """

    def __init__(self, parameters: int) -> None:
        self._rows = deque([Flight(np.empty(0, np.int64), np.empty((0, parameters), NORM_DTYPE))])
        self._first = self._end = 0  # of the rows that are kept, numbered from the first one seen
        self._given = 0  # rows before this one were given out
        self._open: tuple[int, int] | None = None
        row = 8 + NORM_DTYPE.itemsize * parameters
        self._left = max(MOST_BYTES, FEWEST_FLIGHTS * (BEFORE + 1 + AFTER) * row)

    def observe(self, steps: NDArray[np.int64], norms: Floats, events: Sequence[int]) -> list[Flight]:
        """Take the next T steps, ascending, their norms, shape [T, P], and at which steps up to now events were."""
        if self._left <= 0:
            return []
        with np.errstate(over="ignore"):  # what a float32 cannot hold is infinite
            self._rows.append(Flight(steps, norms.astype(NORM_DTYPE)))
        self._end += len(steps)
        flights: list[Flight] = []
        for event in sorted(events):
            place = self._first + int(np.searchsorted(self._table().steps, event))
            flights += self._complete(place - BEFORE)
            start = max(place - BEFORE, self._given, self._first) if self._open is None else self._open[0]
            self._open = start, place + AFTER + 1
        flights += self._complete(self._end)
        self._forget()
        return flights

    def finish(self) -> list[Flight]:
        """What there is of a flight that is not complete when the run ends."""
        if self._open is None:
            return []
        self._open = self._open[0], min(self._open[1], self._end)
        return self._complete(self._end)

    def _complete(self, end: int) -> list[Flight]:
        """Flights, or parts of one, that end before this row."""
        flights = []
        while self._open is not None and min(self._open[1], self._open[0] + MOST_ROWS) <= end:
            start, stop = self._open
            self._given = min(stop, start + MOST_ROWS)
            self._open = (self._given, stop) if stop > self._given else None
            table, rows = self._table(), slice(start - self._first, self._given - self._first)
            flight = Flight(table.steps[rows], table.norms[rows])
            self._left -= flight.steps.nbytes + flight.norms.nbytes
            if len(flight.steps) and self._left >= 0:
                flights.append(flight)
        return flights

    def _table(self) -> Flight:
        """All rows that are kept, in one."""
        if len(self._rows) > 1:
            steps = np.concatenate([part.steps for part in self._rows])
            self._rows = deque([Flight(steps, np.concatenate([part.norms for part in self._rows]))])
        return self._rows[0]

    def _forget(self) -> None:
        """Drop rows that no flight can need, batch by batch, or many of a long one."""
        needed = max(self._end - BEFORE - LATE, self._given) if self._open is None else self._open[0]
        while len(self._rows) > 1 and self._first + len(self._rows[0].steps) <= needed:
            self._first += len(self._rows.popleft().steps)
        past = needed - self._first
        if past > MOST_ROWS:
            self._rows[0] = Flight(self._rows[0].steps[past:].copy(), self._rows[0].norms[past:].copy())
            self._first = needed
