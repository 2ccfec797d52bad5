"""What charts keep of all runs together, within so many bytes: many people look at many ranges of many runs."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable
from typing import Any

MOST_BYTES = 96 << 20
"""A view of twenty runs of a million steps takes up to four times that, one run after the other."""


class Owner:
    """Whose values a room keeps. They go with it: nobody asks for those of a run that is gone."""

    def __init__(self) -> None:
        self.values: dict[Hashable, Any] = {}


class Room:
    """Values by owner and key, those used last, as many as fit; safe to share between threads.

    Args:
      size: in bytes. Values of owners that are gone count until it is their turn.
    """

    def __init__(self, size: int = MOST_BYTES) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._sizes: dict[tuple[weakref.ref[Owner], Hashable], int] = {}
        self._taken = 0

    def get(self, owner: Owner, key: Hashable) -> Any:
        """The value; None if it is not kept any more."""
        place = weakref.ref(owner), key
        with self._lock:
            if place not in self._sizes:
                return None
            self._sizes[place] = self._sizes.pop(place)  # to the end, as the one used last
            return owner.values[key]

    def put(self, owner: Owner, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of so many bytes, and forget others for it; one larger than the room is not kept."""
        place = weakref.ref(owner), key
        with self._lock:
            self._taken += size - self._sizes.pop(place, 0)
            self._sizes[place], owner.values[key] = size, value
            while self._taken > self._size:
                oldest = next(iter(self._sizes))
                self._taken -= self._sizes.pop(oldest)
                if other := oldest[0]():
                    other.values.pop(oldest[1], None)


SHARED = Room()
"""Lines and their rows, of all runs of all experiments that this process serves."""

DETAILS = Room(128 << 20)
"""Windows and histograms, of all of them."""
