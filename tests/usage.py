"""What a process takes, as Linux counts it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc")


class Usage(NamedTuple):
    """Bytes of memory in use, of a process itself and of its children; and seconds of processor time of all."""

    own: int
    children: int
    seconds: float


def usage(pid: int) -> Usage:
    """Of TensorBoard the child is its data server, which holds the logs."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    seconds = sum(_seconds(each) for each in (pid, *children))
    return Usage(_resident(pid), sum(map(_resident, children)), seconds)


@contextlib.contextmanager
def sampled(pid: int) -> Iterator[list[int]]:
    """Bytes of memory of a process itself, ten times a second while this lasts."""
    samples, over = [_resident(pid)], threading.Event()

    def sample() -> None:
        while not over.wait(0.1):
            samples.append(_resident(pid))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
