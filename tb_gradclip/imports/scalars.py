"""Ordinary scalars in TensorBoard event files, as any training writes them, by tag."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.util import tensor_util

from tb_gradclip.core.computed import POINT_DTYPE, in_order
from tb_gradclip.core.imported import Imported
from tb_gradclip.imports import rows
from tb_gradclip.imports.names import chosen
from tb_gradclip.imports.series import Names, Series, WrongSourceError
from tb_gradclip.storage.events import event_files, read_events

Points = list[tuple[int, float, float]]
"""Step, wall time and value of each."""


def read(path: Path, given: Names) -> list[Series]:
    """Every run with a norm in an event file, or below a directory; runs are called as TensorBoard does.

    Raises:
      WrongSourceError: none has one. Where there are several runs, those without are left out.
    """
    files = event_files(path) if path.is_dir() else {".": [path]}
    source, own_name = path.resolve().name, (path if path.is_dir() else path.parent).resolve().name
    found, wrong = [], []
    for name, own in files.items():
        try:
            found.append(_series(own_name if name == "." else name, source, _points(own), given))
        except WrongSourceError as error:
            wrong.append(f"run {name!r}: {error}" if len(files) > 1 else str(error))
    if not found:
        raise WrongSourceError(wrong[0] if wrong else "there is no event file in it")
    return found


def _series(name: str, source: str, points: Mapping[str, Points], given: Names) -> Series:
    names = chosen(Names(given.loss, given.norm, given.threshold), list(points))
    values = {key: tag for key, tag in names.items() if key in ("loss", "norm", "threshold") and tag is not None}
    found = rows.table(_rows(points, values), 0.0)
    covers = "step" if found.consecutive else "logged"
    return Series(
        name,
        Imported("TensorBoard scalars", source, covers, covers),
        *(found.steps, found.norms, found.losses, found.given, found.thresholds, found.times),
    )


def _rows(points: Mapping[str, Points], names: Mapping[str, str]) -> Iterator[rows.Row]:
    """Points of each tag, without those that a training that went on from a checkpoint wrote again."""
    for key, tag in names.items():
        for step, time, value in in_order(np.array(points[tag], POINT_DTYPE)).tolist():
            yield {"step": float(step), key: value} | ({"time": time} if key == "norm" else {})


def _points(files: list[Path]) -> dict[str, Points]:
    """Points of every scalar in these files, by tag, in the order in which they were written."""
    points: dict[str, Points] = defaultdict(list)
    described: set[str] = set()
    for path in files:
        for event in read_events(path):
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars":
                    described.add(value.tag)
                number = _number(value, value.tag in described)
                if number is not None:
                    points[value.tag].append((event.step, event.wall_time, number))
    return points


def _number(value: Summary.Value, described: bool) -> float | None:
    """The number that a value is; None for what is no scalar."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not described or not value.HasField("tensor"):
        return None
    array = tensor_util.make_ndarray(value.tensor)
    return float(array.reshape(-1)[0]) if array.size == 1 and array.dtype.kind in "fiu" else math.nan
