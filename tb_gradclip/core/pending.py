"""Rows on their way into `steps` records, of which Ctrl-C loses none, whenever it comes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.rows import STEP_DTYPE
from tb_gradclip.core.schema import StepsRecord
from tb_gradclip.core.structured import concatenated

Cost = Callable[[float, float], tuple[float | None, float | None]]
"""Own time and time elapsed to be told with rows from the one time to the other, as of `cost.Cost.due`."""


class PendingRows:
    """Rows that wait, and records made of them that are not written yet.

    An exception that is raised in the middle of a method, as Ctrl-C does on the main thread, leaves the object as it
    was or as it was to be. A record stays here until somebody says that it is written. Where that was interrupted it is
    written twice, the same both times, which readers take for one.
    """

    def __init__(self) -> None:
        self._rows: list[NDArray[np.void]] = []
        self._records: tuple[StepsRecord, ...] = ()
        self._placed = 0

    def __len__(self) -> int:
        """Rows that are in no record yet."""
        return sum(map(len, self._rows))

    @property
    def placed(self) -> int:
        """Rows of all records so far: the place of the next one's first row."""
        return self._placed

    @property
    def records(self) -> tuple[StepsRecord, ...]:
        """Records to be written, in order."""
        return self._records

    def add(self, rows: NDArray[np.void]) -> None:
        """Take rows, one or more."""
        self._rows.append(rows)

    def pack(self, size: int, cost: Cost) -> None:
        """Put the rows that wait into records of at most `size`, the first of which says what recording costs."""
        taken = len(self._rows)
        if not taken:
            return
        rows = concatenated(self._rows[:taken], STEP_DTYPE)
        told = cost(float(rows["wall_time"][0]), float(rows["wall_time"][-1]))
        made = [
            StepsRecord(rows[start : start + size], self._placed + start, *(told if start == 0 else ()))
            for start in range(0, len(rows), size)
        ]
        # One call of a function in C, which no signal interrupts.
        vars(self).update(_rows=self._rows[taken:], _records=(*self._records, *made), _placed=self._placed + len(rows))

    def written(self) -> None:
        """Forget the first record: it is written."""
        self._records = self._records[1:]
