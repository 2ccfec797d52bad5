"""An array that grows at its end, at a cost in proportion to what is added."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tb_gradclip.core.structured import copy_into

GROWTH = 2.0
"""How much larger a new buffer is than what it must hold, but for the first: much never grows."""


class Growing:
    """Values of one dtype, shape [n]. What was added never changes, so that earlier views stay as they were.

    Args:
      dtype: of the values.
      room: for how many to make room at once.
    """

    def __init__(self, dtype: DTypeLike, room: int = 0) -> None:
        self._buffer: NDArray[Any] = np.empty(room, dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> NDArray[Any]:
        """All values so far: a view, not a copy."""
        return self._buffer[: self._length]

    def append(self, values: NDArray[Any]) -> None:
        """Add values at the end."""
        end = self._length + len(values)
        if end > len(self._buffer):
            room = int(end * GROWTH) if self._length else end
            buffer = np.empty(room, self._buffer.dtype)
            copy_into(buffer[: self._length], self.values)
            self._buffer = buffer
        copy_into(self._buffer[self._length : end], np.asarray(values, self._buffer.dtype))
        self._length = end
