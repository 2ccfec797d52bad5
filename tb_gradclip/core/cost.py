"""What recording costs: the writer's own time, handed out for the log now and then.

In the log of a slow run, with four steps a record, two more numbers in every record would be a fifth of all bytes. So
every record has them during the first minute, which is all there is of a short run, and one a minute from then on.
"""

from __future__ import annotations

SECONDS_PER_COST = 60.0


class Cost:
    """Adds up the writer's own time until it is due."""

    def __init__(self) -> None:
        self._own_seconds: float | None = None
        self._start: float | None = None
        self._told = 0.0

    def add(self, seconds: float) -> None:
        """Take note of own time; where nobody does it counts as unknown."""
        self._own_seconds = (self._own_seconds or 0.0) + seconds

    def due(self, first: float, last: float) -> tuple[float | None, float | None]:
        """Own time and elapsed time to be told with rows from `first` to `last`, in seconds; None for both if not now.

        The time elapsed counts from the end of the rows that told it before, or from the very first row.
        """
        if self._start is None:
            self._start = self._told = first
        elapsed = last - self._told
        can_wait = elapsed < SECONDS_PER_COST <= last - self._start
        if self._own_seconds is None or can_wait:
            return None, None
        own, self._own_seconds, self._told = self._own_seconds, None, last
        return own, elapsed
