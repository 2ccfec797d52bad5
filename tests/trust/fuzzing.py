"""What tests of made-up input have in common: how many cases, and how long and how much memory one may take."""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

CASES, MORE_CASES = 500, 10_000
"""Of a test that takes milliseconds for each; and in its long form."""

ROOM = 1 << 30
"""Bytes that a fuzzing test may take beyond what the process has: a fifth of what the largest headers ask for."""

LONGEST_CASE = timedelta(seconds=10)
"""A hundred times what one takes: this is no measurement, but finds what does not end, or takes the longer the more it
is made to."""


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """Who asks for gigabytes gets a `MemoryError`, which no decoder and no route turns into anything but a failure."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if pages:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def many(long: bool, cases: int, more: int) -> Any:
    """So many examples, or more in the long form; each within `LONGEST_CASE`."""
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    count = more if long else cases
    return settings(max_examples=count, deadline=LONGEST_CASE, suppress_health_check=quiet, database=None)
