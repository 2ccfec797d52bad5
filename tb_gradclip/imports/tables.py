"""CSV (any delimiter) with a line of headings, and JSON: one object a line, or one list of objects."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from tb_gradclip.core.imported import Imported
from tb_gradclip.imports import rows
from tb_gradclip.imports.names import chosen
from tb_gradclip.imports.series import Names, Series, WrongSourceError

DELIMITERS = ",\t;|"


def read_csv(path: Path, given: Names) -> Series:
    """The run in a CSV file."""
    with _opened(path) as file:
        first = file.readline()
        delimiter = max(DELIMITERS, key=first.count)
        headings = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        reader = csv.reader(file, delimiter=delimiter)
        lines = ((number, dict(zip(headings, line, strict=False))) for number, line in enumerate(reader, 2))
        return _series(path, "CSV", given, headings, lines)


def read_json(path: Path, given: Names) -> Series:
    """The run in a file with an object a line, or a list of objects."""
    lines = list(_objects(path))
    headings = list(dict.fromkeys(name for _, line in lines for name in line))
    return _series(path, "JSON", given, headings, iter(lines))


def _series(
    path: Path, format_name: str, given: Names, headings: list[str], lines: Iterator[tuple[int, Mapping[str, Any]]]
) -> Series:
    names = chosen(given, headings)
    found = rows.table(_rows(lines, names), path.stat().st_mtime)
    covers = "step" if names["step"] and found.consecutive else "logged"
    imported = Imported(format_name, path.name, covers, covers, times=found.has_times)
    return Series(
        path.stem, imported, found.steps, found.norms, found.losses, found.given, found.thresholds, found.times
    )


def _rows(lines: Iterator[tuple[int, Mapping[str, Any]]], names: Mapping[str, str | None]) -> Iterator[rows.Row]:
    """Rows of lines; where no column is the step, lines with a norm are counted from 0."""
    count = itertools.count()
    for number, line in lines:
        row = rows.taken(line, names, f"line {number}")
        if names["step"] is None and "norm" in row:
            row["step"] = float(next(count))
        if "step" in row:
            yield row


def _objects(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with _opened(path) as file:
        first = file.read(4096).lstrip()[:1]
        file.seek(0)
        if first == "[":
            try:
                everything = list(enumerate(json.load(file), 1))
            except ValueError as error:
                raise WrongSourceError(f"it begins like a JSON list and is none: {error}") from None
        else:
            everything = [(number, _parsed(line, number)) for number, line in enumerate(file, 1) if line.strip()]
    for number, line in everything:
        if not isinstance(line, dict):
            raise WrongSourceError(f"line {number} must be a JSON object, got {str(line)[:40]!r}")
        yield number, line


def _parsed(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise WrongSourceError(f"line {number} must be a JSON object, got {line[:40]!r} ({error})") from None


def _opened(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", errors="replace", newline="")
