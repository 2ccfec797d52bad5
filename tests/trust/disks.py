"""Disks that fail: full ones, for root too and in a container, and others that take nothing."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[Callable[[], None]]:
    """A disk of 256 KiB mounted on a directory; what it gives fills it. Skips where nothing may be mounted."""
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(directory)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a disk cannot be mounted here ({error}); the limit on file sizes is tested in its place")
    try:
        yield lambda: fill(directory)
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path) -> None:
    """Leave no room on the disk of a directory."""
    with open(directory / "filler", "ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (4096, 1):
            while file.write(b"x" * size):
                pass


@contextlib.contextmanager
def limited_files(directory: Path) -> Iterator[Callable[[], None]]:
    """What it gives forbids every file to grow beyond the largest one in a directory: needs no rights at all.

    A write then fails as on a full disk (Python ignores SIGXFSZ), after it was made in part.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full() -> None:
        largest = max(path.stat().st_size for path in directory.rglob("*tfevents*"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 100, hard))

    try:
        yield full
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def removable(directory: Path) -> Iterator[Callable[[], None]]:
    """What it gives removes the directory."""
    yield lambda: shutil.rmtree(directory)


@contextlib.contextmanager
def replaceable(directory: Path) -> Iterator[Callable[[], None]]:
    """What it gives puts a file in the place of the directory."""

    def replace() -> None:
        shutil.rmtree(directory)
        directory.touch()

    yield replace


@contextlib.contextmanager
def lockable(directory: Path) -> Iterator[Callable[[], None]]:
    """What it gives makes files immutable, which stops root and those who have them open too; skips where it cannot."""
    locked: list[str] = []

    def lock() -> None:
        files = [str(path) for path in directory.rglob("*tfevents*")]
        done = subprocess.run(["chattr", "+i", *files], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"files cannot be made immutable here ({done.stderr.strip()}); a read-only file is tested")
        locked.extend(files)

    try:
        yield lock
    finally:
        if locked:
            subprocess.run(["chattr", "-i", *locked], check=True)


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[Callable[[], None]]:
    """What it gives turns open event files into read-only ones."""

    def turn() -> None:
        for descriptor in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                file = descriptor.readlink()
                if directory in file.parents and "tfevents" in file.name:
                    readable = os.open(file, os.O_RDONLY)
                    os.dup2(readable, int(descriptor.name))
                    os.close(readable)

    yield turn


TROUBLES = {
    "full": small_disk,
    "limited": limited_files,
    "removed": removable,
    "replaced": replaceable,
    "immutable": lockable,
    "read-only": read_only,
}
