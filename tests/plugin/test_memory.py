"""What is freed goes back to the system, where the C library is glibc and the user has not said otherwise."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys

import pytest

from tb_gradclip.plugin import memory
from tests.usage import needs_proc

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")

CONNECTIONS = """
import json, os, threading
from pathlib import Path
import numpy as np
from tensorboard.plugins.base_plugin import TBContext
from tb_gradclip.plugin.loader import GradClipLoader

assert GradClipLoader().load(TBContext()) is not None

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

kept, at_once = [], threading.Barrier(8)

def answer():
    np.ones((30 << 20) // 8)  # freed at once; without the setting arrays up to as large come from a heap then
    at_once.wait()
    tables = [np.ones((4 << 20) // 8) for _ in range(10)]
    kept.append(bytes(2000))  # at the end of the heap, as what is kept of an answer may be
    at_once.wait()

before = resident()
threads = [threading.Thread(target=answer) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(resident() - before))
"""


HEAPS = """
import ctypes, threading
from tensorboard.plugins.base_plugin import TBContext
from tb_gradclip.plugin.loader import GradClipLoader

assert GradClipLoader().load(TBContext()) is not None
at_once = threading.Barrier(24)

def answer():
    rows = [bytes(100_000) for _ in range(10)]
    at_once.wait()

threads = [threading.Thread(target=answer) for _ in range(24)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ctypes.CDLL(None).malloc_stats()  # a heap each is "Arena n:"
"""


def ran(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A process of its own, without what this one's user set."""
    taken = {*memory.SETTINGS, "GLIBC_TUNABLES"}
    ours = {name: value for name, value in os.environ.items() if name not in taken}
    return subprocess.run(
        [sys.executable, "-c", code], env={**ours, **environment}, capture_output=True, text=True, check=True
    )


def left_by_connections(**environment: str) -> int:
    """Bytes that eight threads leave, each of which had 40 MB at the same time as the others."""
    return int(json.loads(ran(CONNECTIONS, environment).stdout))


def heaps_of_connections(**environment: str) -> int:
    """Heaps from which 24 threads were served at the same time."""
    return ran(HEAPS, environment).stderr.count("Arena ")


@needs_proc
@needs_glibc
def test_what_many_connections_took_for_a_moment_goes_back() -> None:
    as_it_is_without = left_by_connections(GLIBC_TUNABLES="glibc.malloc.check=0")
    assert as_it_is_without > 200 << 20
    assert left_by_connections() < 40 << 20


@needs_glibc
def test_many_connections_share_few_heaps() -> None:
    assert heaps_of_connections() == memory.HEAPS
    assert heaps_of_connections(GLIBC_TUNABLES="glibc.malloc.check=0") > memory.HEAPS


@needs_glibc
def test_what_the_user_set_holds() -> None:
    assert heaps_of_connections(MALLOC_ARENA_MAX="5") == 5
    assert heaps_of_connections(MALLOC_TRIM_THRESHOLD_="65536") == memory.HEAPS  # and the rest is as without it


def test_where_the_user_set_any_of_them_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=0")
    assert not memory.give_back_what_is_freed()


@pytest.mark.parametrize("error", [OSError, TypeError, AttributeError])
def test_without_such_a_c_library_nothing_is_set(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def load(name: str | None) -> object:
        if error is AttributeError:
            return object()
        raise error

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert not memory.give_back_what_is_freed()
