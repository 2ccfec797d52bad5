"""The step table of a run, put together from records of one or more attempts as they come."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.growing import Growing
from tb_gradclip.core.rows import STEP_DTYPE

_FOREVER = int(np.iinfo(np.int64).max)


class _Place(NamedTuple):
    """Where a record's rows belong: records in this order make the table."""

    attempt: str
    first_row: int


class History:
    """Rows of every attempt in one table; a later attempt replaces what earlier ones recorded from its first step on.

    Records that come in order are appended to the table, so that tables handed out before stay as they were and are
    the beginning of the new one. A record that comes late, or an attempt that takes back steps, makes a new table and
    changes `edition`. Steps of the table ascend whatever comes: of records of one attempt too, the later one holds.
    """

    def __init__(self) -> None:
        self.edition = 0
        self.threshold = np.nan
        """The last one in the table that is not NaN."""
        self._table = Growing(STEP_DTYPE)
        self._order: list[tuple[_Place, int]] = []
        """Records in the table with the number of rows they have there."""
        self._late: dict[_Place, NDArray[np.void]] = {}
        self._lengths: dict[str, dict[int, int]] = defaultdict(dict)
        """For each attempt the rows of every record, by its first row."""
        self._first_steps: dict[str, tuple[int, int]] = {}
        """For each attempt its first known row, and that row's step."""

    def holds(self, attempt: str, first_row: int, rows: int) -> bool:
        """Whether a record was taken already."""
        return self._lengths[attempt].get(first_row, 0) >= rows

    def add(self, attempt: str, first_row: int, rows: NDArray[np.void]) -> None:
        """Take a record of one row or more that is not held yet."""
        place, first_step = _Place(attempt, first_row), int(rows["step"][0])
        self._lengths[attempt][first_row] = len(rows)
        if first_row <= self._first_steps.get(attempt, (first_row, 0))[0]:
            self._first_steps[attempt] = (first_row, first_step)
        if self._follows(place, first_step):
            self._append(place, rows)
        else:
            self._late[place] = rows

    def _append(self, place: _Place, rows: NDArray[np.void]) -> None:
        self._table.append(rows)
        self._order.append((place, len(rows)))
        known = rows["threshold"][~np.isnan(rows["threshold"])]
        if len(known):
            self.threshold = float(known[-1])

    def _follows(self, place: _Place, first_step: int) -> bool:
        return not self._order or (place > self._order[-1][0] and first_step > self._table.values["step"][-1])

    @property
    def rows(self) -> NDArray[np.void]:
        """The table, in order of step: a view as long as everything came in order."""
        if self._late:
            self._rewrite()
        return self._table.values

    @property
    def attempts(self) -> list[str]:
        """Attempts with rows, the oldest first."""
        return sorted(self._first_steps)

    @property
    def ends(self) -> dict[str, int]:
        """For each attempt the step from which on later ones replace it."""
        ends, end = {}, _FOREVER
        for attempt in reversed(self.attempts):
            ends[attempt] = end
            end = min(end, self._first_steps[attempt][1])
        return ends

    @property
    def seams(self) -> list[int]:
        """Steps of the table at which a later attempt goes on, in order."""
        if len(self._first_steps) < 2:
            return []
        ends, beginning = self.ends, int(self.rows["step"][0])
        firsts = {name: step for name, (_, step) in self._first_steps.items()}
        return sorted({step for name, step in firsts.items() if beginning < step < ends[name]})

    @property
    def gapless(self) -> bool:
        """Whether no attempt misses a row between the first one that is known and the last."""
        records = filter(None, self._lengths.values())
        return all(
            max(first + n for first, n in known.items()) - min(known) == sum(known.values()) for known in records
        )

    @property
    def complete(self) -> bool:
        """Whether no attempt misses a row before its last."""
        return self.gapless and all(first_row == 0 for first_row, _ in self._first_steps.values())

    def _rewrite(self) -> None:
        """Put all records in order again."""
        stops = np.cumsum([length for _, length in self._order])[:-1]
        pieces = dict(zip((place for place, _ in self._order), np.split(self._table.values, stops), strict=True))
        pieces.update(self._late)
        end, kept = _FOREVER, []
        for place in sorted(pieces, reverse=True):
            rows = pieces[place]
            if rows["step"][-1] >= end:
                rows = rows[rows["step"] < end]
            if len(rows):
                kept.append((place, rows))
                end = int(rows["step"][0])
        self._table, self._order, self._late, self.threshold = Growing(STEP_DTYPE), [], {}, np.nan
        for place, rows in reversed(kept):
            self._append(place, rows)
        self.edition += 1
