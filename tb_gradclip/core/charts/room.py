"""What charts keep of all runs together, within so many bytes: many people look at many ranges of many runs."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any

MOST_BYTES = 96 << 20
"""A view of twenty runs of a million steps takes up to four times that, one run after the other."""


class Room:
    """Values by key, those used last, as many as fit; safe to share between threads.

    Args:
      size: in bytes.
    """

    def __init__(self, size: int = MOST_BYTES) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._kept: dict[Hashable, tuple[Any, int]] = {}
        self._taken = 0

    def get(self, key: Hashable) -> Any:
        """The value; None if it is not kept any more."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept[key] = self._kept.pop(key)  # to the end, as the one used last
            return self._kept[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of so many bytes, and forget others for it; one larger than the room is not kept."""
        with self._lock:
            self._taken += size - self._kept.pop(key, (None, 0))[1]
            self._kept[key] = value, size
            while self._taken > self._size:
                oldest = next(iter(self._kept))
                self._taken -= self._kept.pop(oldest)[1]


SHARED = Room()
"""Lines and their rows, of all runs of all experiments that this process serves."""

DETAILS = Room(128 << 20)
"""Windows and histograms, of all of them."""
