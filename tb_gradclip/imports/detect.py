"""Which format a file or directory has."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable
from pathlib import Path

from tb_gradclip.imports import fairseq, megatron, scalars, tables, trainer_state
from tb_gradclip.imports.series import Names, Series, WrongSourceError

FORMATS: dict[str, Callable[[Path, Names], list[Series]]] = {
    "trainer_state": lambda path, names: [trainer_state.read(path, names)],
    "fairseq": lambda path, names: [fairseq.read(path, names)],
    "megatron": lambda path, names: [megatron.read(path, names)],
    "scalars": scalars.read,
    "csv": lambda path, names: [tables.read_csv(path, names)],
    "json": lambda path, names: [tables.read_json(path, names)],
}
"""How each format is read, by the name it has on the command line."""

HEAD = 1 << 16
"""Characters of a file that are looked at for how it begins."""

EXPECTED = (
    "Import a trainer_state.json, a text log of fairseq or Megatron-LM with norms, TensorBoard event files, CSV with a "
    "line of headings, or JSON lines."
)


def read(path: Path, names: Names, format_name: str | None = None) -> list[Series]:
    """The runs in a file or directory, in the format that is named, or that it looks like.

    Raises:
      WrongSourceError: there is nothing that can be imported.
    """
    try:
        if format_name is None:
            format_name = detected(path)
        if path.is_dir() and format_name == "trainer_state":
            path = trainer_state.newest(path) or path / trainer_state.NAME
        return FORMATS[format_name](path, names)
    except WrongSourceError as error:
        raise WrongSourceError(f"{path}: {error}") from error
    except OSError as error:
        raise WrongSourceError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, ArithmeticError, RecursionError, csv.Error) as error:
        raise WrongSourceError(f"{path}: is not what it looks like, {format_name} ({error})") from error


def detected(path: Path) -> str:
    """The name of the format."""
    if path.is_dir():
        if trainer_state.newest(path) is not None:
            return "trainer_state"
        if next(path.rglob("*tfevents*"), None) is not None:
            return "scalars"
        raise WrongSourceError(f"no log was found in this directory. {EXPECTED}")
    if "tfevents" in path.name:
        return "scalars"
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        head = file.read(HEAD)
    if "\0" in head:
        raise WrongSourceError(f"is not text. {EXPECTED}")
    if not head.strip():
        raise WrongSourceError("is empty.")
    return _json(head) or _text(path) or _csv(head)


def _json(head: str) -> str | None:
    """What a file that begins as JSON does is: lines of objects, a list of them, or one object, a trainer's state."""
    start = head.lstrip()
    if start[0] == "[" and start[1:].lstrip()[:1] == "{":
        return "json"
    if start[0] != "{":
        return None
    first = start.splitlines()[0]
    try:
        only = json.loads(first)
    except ValueError:
        return "trainer_state"
    return "trainer_state" if "log_history" in only else "json"


def _text(path: Path) -> str | None:
    """Whose lines there are in a text: the first that is somebody's decides."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            for name, is_line in (("megatron", megatron.is_line), ("fairseq", fairseq.is_line)):
                if is_line(line):
                    return name
    return None


def _csv(head: str) -> str:
    """A table: two lines or more with as many cells, and headings that are no numbers."""
    lines = list(itertools.islice(filter(str.strip, head.splitlines()), 3))
    counts = [{sign: line.count(sign) for sign in tables.DELIMITERS} for line in lines]
    cells = any(all(count[sign] == counts[0][sign] > 0 for count in counts) for sign in tables.DELIMITERS)
    if len(lines) < 2 or not cells:
        raise WrongSourceError(f"no known format. {EXPECTED}")
    return "csv"
