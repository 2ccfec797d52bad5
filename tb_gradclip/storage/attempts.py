"""When the life of a writer begins: later than everything its directory holds, whatever the clock says.

Records of a later attempt replace those of earlier ones, and TensorBoard reads event files in the order of their names.
Both go by a clock, which may have been set back since the last writer began: then the newest steps would be lost.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time

from tb_gradclip.core import schema

LATEST = 9_999_999_999
"""Seconds since 1970 that ten digits hold, as many as names of event files have; a file of a later time has no say."""

_CREATED = re.compile(r"\.tfevents\.([0-9]{10}(?:\.[0-9]{1,6}(?=\.))?)")
_begun: dict[str, int] = {}
_lock = threading.Lock()


def begin(directory: str | os.PathLike[str] | None) -> float:
    """Seconds since 1970, in whole milliseconds: now, but later than before in this process and than all event files.

    A file's time is that of its name or of its last change, the later one. The beginning is later than the latest of
    them by a millisecond for every file there, so that each of several writers that begin after one of the future has a
    beginning of its own, also where the names of files are not ours to choose.

    Args:
      directory: of the run; None where it is not known. One that cannot be listed counts as empty.
    """
    latest, files = _latest(directory)
    key = "" if directory is None else os.path.abspath(directory)
    with _lock:
        now = min(int(time.time() * 1000), LATEST * 1000)
        beginning = max(now, latest + files, _begun.get(key, 0) + 1)
        _begun[key] = beginning
    return beginning / 1000


def attempt(directory: str | os.PathLike[str] | None) -> str:
    """Name of the attempt that begins now: no other has it, be it of a process that began in the same millisecond."""
    return schema.attempt_name(begin(directory), os.urandom(2).hex())


def _latest(directory: str | os.PathLike[str] | None) -> tuple[int, int]:
    """The latest time of event files in a directory, in milliseconds, rounded up, and how many there are."""
    latest, files = 0.0, 0
    if directory is None:
        return 0, 0
    with contextlib.suppress(OSError, ValueError), os.scandir(directory) as entries:
        for entry in entries:
            if created := _CREATED.search(entry.name):
                files += 1
                named = float(created[1]) + (0.0 if "." in created[1] else 1.0)  # within that second
                latest = max(latest, *(time for time in (named, _changed(entry)) if time < LATEST), 0.0)
    return int(latest * 1000) + 1, files


def _changed(entry: os.DirEntry[str]) -> float:
    """When a file was changed last; 0 for one that was removed meanwhile."""
    with contextlib.suppress(OSError):
        return entry.stat().st_mtime
    return 0.0
