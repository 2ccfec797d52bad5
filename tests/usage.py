"""What a process takes, as Linux counts it."""

from __future__ import annotations

import os
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


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
