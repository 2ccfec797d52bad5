"""What answers took goes back to the system when they are done with it.

The C library maps a large array by itself, and unmaps it when it is freed; but each that is freed raises what counts as
large, up to 32 MB, and smaller ones come from one of several heaps, eight for each processor, which are divided among
threads. A server answers on as many threads as it has connections: after an hour of tables that were looked at once,
two thirds of what it takes would be nobody's.
"""

from __future__ import annotations

import ctypes
import os

LARGE = 1 << 20
"""Bytes from which on memory is mapped by itself: so large, clearing it anew takes longer than mapping it."""

KEPT = 4 << 20
"""Free bytes at the end of a heap from which on they go back."""

HEAPS = 2
"""In each some of what is free lies between what is not, as much as that heap ever needed at once. Threads that run
Python take turns anyway."""

SETTINGS = {
    "MALLOC_TRIM_THRESHOLD_": (-1, KEPT),
    "MALLOC_MMAP_THRESHOLD_": (-3, LARGE),
    "MALLOC_ARENA_MAX": (-8, HEAPS),
}
"""By the variable with which a user sets the same: which option that is in glibc's malloc.h, and its value."""


def give_back_what_is_freed() -> bool:
    """Have glibc keep to these sizes, in the whole process; whether it did: other C libraries have no such settings.

    Who set one in the environment knows better: that one stays. `GLIBC_TUNABLES` may hold any, so with it all stay.
    """
    if "GLIBC_TUNABLES" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # TypeError on Windows, where no name means no library
        return False
    done = [mallopt(*setting) for name, setting in SETTINGS.items() if name not in os.environ]
    return all(done)
