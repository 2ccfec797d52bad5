"""What answers took goes back to the system when they are done with it.

The C library maps a large array by itself, and unmaps it when it is freed; but each that is freed raises what counts as
large, up to 32 MB, and smaller ones come from a heap that is kept for the thread that asked. A server answers on as
many threads as it has connections: after an hour of tables that were looked at once, two thirds of what it takes would
be nobody's.
"""

from __future__ import annotations

import ctypes
import os

LARGE = 1 << 20
"""Bytes from which on memory is mapped by itself: so large, clearing it anew takes longer than mapping it."""

KEPT = 4 << 20
"""Free bytes at the end of a heap from which on they go back."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""As in glibc's malloc.h."""

SET_BY_USER = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def give_back_what_is_freed() -> bool:
    """Have glibc keep to these sizes, in the whole process; whether it did: other C libraries have no such setting.

    Who set one in the environment knows better: then nothing changes.
    """
    if any(name in os.environ for name in SET_BY_USER):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # TypeError on Windows, where no name means no library
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGE)) and bool(mallopt(M_TRIM_THRESHOLD, KEPT))
