"""`tb-gradclip report --out`: the dashboard of a log in one HTML file, which opens from disk and needs no server."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path

from tb_gradclip.commands.plain import complain, inert, say
from tb_gradclip.storage.events import event_files

MOST_BYTES = 2_000_000
"""Of a file, unless the least of so many runs takes more."""

MOST_RUNS = 100
"""As many as one request of the dashboard may name. Nobody can tell more lines apart."""


def write(options: argparse.Namespace) -> int:
    """Write the file. Returns 0, or 2 if there is nothing to report on or the file cannot be written."""
    out: Path = options.out
    try:
        files = _wanted(options.logdir, options.run)
        _check(out)
        text, runs = _report(options.logdir, files)
        _replace(out, text)
    except (OSError, ValueError) as error:
        complain(error)
        return 2
    say(inert(f"{out}: {runs} {'run' if runs == 1 else 'runs'}, {len(text) / 1e6:.2f} MB"))
    if len(text) > MOST_BYTES:
        complain(
            f"so many runs take more than {MOST_BYTES / 1e6:g} MB at the least: choose some by name with --run REGEX"
        )
    return 0


def _wanted(logdir: Path, pattern: re.Pattern[str]) -> Mapping[str, list[Path]]:
    """Event files of the runs with such a name."""
    return {name: own for name, own in event_files(logdir).items() if pattern.search(name)}


def _check(out: Path) -> None:
    """`ValueError` for a place that no file can be written to: said before the logs are read."""
    if out.is_dir():
        raise ValueError(
            f"`--out` must be a file, got the directory {str(out)!r}. Name one in it: {out / 'report.html'}"
        )
    if not out.parent.is_dir():
        raise ValueError(
            f"`--out` must be in a directory that is there, got {str(out)!r}. Make {str(out.parent)!r} first."
        )
    if not os.access(out.parent, os.W_OK):
        raise ValueError(f"`--out` must be in a directory that can be written to, got {str(out)!r}.")


def _report(logdir: Path, files: Mapping[str, list[Path]]) -> tuple[bytes, int]:
    """The file, and of how many runs it is.

    Raises:
      ValueError: there is no run, or there are too many.
    """
    from tb_gradclip import __version__
    from tb_gradclip.offline import budget, package
    from tb_gradclip.offline.page import frame_size, page
    from tb_gradclip.offline.questions import Questions
    from tb_gradclip.plugin.routes import BUNDLE

    if len(files) > MOST_RUNS:
        raise ValueError(
            f"a report is of at most {MOST_RUNS} runs, these would be {len(files)}. Choose some by name: --run REGEX"
        )
    script = BUNDLE.read_text(encoding="utf-8")
    room = 0.99 * (MOST_BYTES - frame_size(script)) * 3 / 4  # in base64 three bytes are four
    asked = ((_written(name), Questions(_written(name), own)) for name, own in files.items())
    held = budget.held(asked, len(files), room)
    if not held.names:
        raise ValueError(
            f"no run under {str(logdir)!r} was recorded by gradclip or has a scalar that could be its loss"
        )
    name = _written(logdir.resolve().name)
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    words = [
        f"Report of {name}, made {made} with tb_gradclip {__version__}",
        f"lines of at most {held.points:,} points a run",
        *([f"at most {held.alerts:,} alerts a run"] if held.alerts is not None else []),
    ]
    return page(package.pack(held.answers), script, f"{name}: gradient clipping", "; ".join(words)), len(held.names)


def _written(name: str) -> str:
    r"""A file's name as text: bytes that are no UTF-8 as `\xe9`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _replace(out: Path, text: bytes) -> None:
    """Write a file all at once: whoever reads it meanwhile finds the old one or the new one, whole."""
    with _temporary(out) as temporary:
        temporary.write_bytes(text)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(out)


@contextlib.contextmanager
def _temporary(out: Path) -> Iterator[Path]:
    """An empty file beside it, which is gone in the end."""
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _umask() -> int:
    """Of this process, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
