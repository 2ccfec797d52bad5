"""A file that one process appends to, however it ends: by a fork, a signal or a full disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

BUFFER = 1 << 20
"""Bytes that may wait in memory for the next `flush`."""


class AppendedFile:
    """Bytes on their way to a file; they wait in memory until `flush`.

    What `open` would buffer, a forked child would have a copy of, and write it a second time when it ends. Here nothing
    is written but by `flush`, and that does nothing in another process than the one that opened the file. A signal that
    raises in the middle of it, as Ctrl-C does, neither loses nor repeats a byte: the file's position says what is
    written.

    Args:
      path: the file, made if missing.

    Raises:
      OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._raw = open(path, "ab", buffering=0)  # noqa: SIM115 - lives as long as the writer
        self._process = os.getpid()
        self._waiting = bytearray()

    def fileno(self) -> int:
        """The descriptor."""
        return self._raw.fileno()

    def write(self, data: bytes) -> None:
        """Take bytes; they go out with the next `flush`, or now if there are too many. Nothing once it is closed.

        Raises:
          OSError: as `flush`.
        """
        if self._raw.closed or os.getpid() != self._process:
            return
        self._waiting += data
        if len(self._waiting) >= BUFFER:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system.

        Raises:
          OSError: the disk does not take it, or the file was removed, so that nobody could read it.
        """
        if self._raw.closed or os.getpid() != self._process:
            return
        while self._waiting:
            self._write_some()
        if os.fstat(self.fileno()).st_nlink == 0 and not self._path.exists():
            raise FileNotFoundError(errno.ENOENT, "the event file was removed", str(self._path))

    def close(self) -> None:
        """Flush and close the file; closing twice is fine.

        Raises:
          OSError: as `flush`; it is closed nevertheless.
        """
        try:
            self.flush()
        finally:
            self._raw.close()

    def _write_some(self) -> None:
        left, position = len(self._waiting), self._raw.tell()
        try:
            del self._waiting[: self._raw.write(self._waiting)]
        except BaseException:
            written, forgotten = self._raw.tell() - position, left - len(self._waiting)
            del self._waiting[: max(0, written - forgotten)]
            raise
