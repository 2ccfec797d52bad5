r"""Text logs of fairseq, `--log-format` simple or json, with or without hydra.

    2021-03-01 10:00:00 | INFO | train_inner | epoch 001:    100 / 4000 loss=11.2, ..., num_updates=100, gnorm=2.3, ...
    2021-03-01 10:00:00 | INFO | train_inner | {"epoch": 1, "loss": "11.2", "num_updates": "100", "gnorm": "2.3", ...}
    [2021-03-01 10:00:00,123][train_inner][INFO] - {"epoch": 1, ...}

`gnorm` is the norm before clipping, and like `loss` (in bits, for most criteria) a mean over the updates since the line
before, rounded to three decimals. Before version 0.9, whose lines first say `train_inner`, it is one since the epoch
began. What says `train_gnorm` is a mean over the epoch and left out. A log that begins
with its settings names `clip_norm`.

Source: `fairseq/trainer.py` (`log_scalar("gnorm", ...)`), `fairseq_cli/train.py` (`get_smoothed_values`) and
`fairseq/logging/progress_bar.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tb_gradclip.core.imported import Imported
from tb_gradclip.core.rules import TORCH_EPSILON
from tb_gradclip.imports import rows
from tb_gradclip.imports.series import Names, Series, WrongSourceError

_SIMPLE = re.compile(r"epoch (\d+):?\s+(\d+) / (\d+) (.*)")
_PAIR = re.compile(r"(\w+)=([^\s,]+)")
_DATE = re.compile(r"\[?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_CLIP_NORM = re.compile(r"\bclip_norm['\"]?\s*[:=]\s*([\d.]+(?:[eE][+-]?\d+)?)")
_GNORM = re.compile(r"(?<![a-z_])gnorm\b")


def is_line(line: str) -> bool:
    """Whether a line of text is one with norms that fairseq logged."""
    return _GNORM.search(line) is not None and _values(line) is not None


def read(path: Path, given: Names) -> Series:
    """The run in such a log."""
    names = {"step": "num_updates", "loss": given.loss or "loss", "norm": given.norm or "gnorm", "time": "wall"}
    settings: list[float] = []
    early: list[int] = []
    with path.open(encoding="utf-8", errors="replace") as file:
        found = rows.table(_rows(file, names, settings, early), path.stat().st_mtime)
    if given.loss is not None and not found.given.any():
        raise WrongSourceError(f"--loss names {given.loss!r}, which is in no line with a norm")
    covers = ("running", "logged") if early else ("step", "step") if found.consecutive else ("mean", "mean")
    return Series(
        path.stem,
        Imported("fairseq", path.name, *covers, before_clipping=True, times=found.has_times),
        *(found.steps, found.norms, found.losses, found.given, found.thresholds, found.times),
        max_norm=settings[0] if settings else None,
        framework="torch",
        library="fairseq",
        epsilon=TORCH_EPSILON,
    )


def _rows(lines: Iterable[str], names: dict[str, str], settings: list[float], early: list[int]) -> Iterator[rows.Row]:
    """Rows of lines; notes the setting of `clip_norm`, and the numbers of lines of an early version."""
    for number, line in enumerate(lines, 1):
        if not settings and (setting := _CLIP_NORM.search(line)):
            settings.append(float(setting.group(1)))
        values = _values(line) if _GNORM.search(line) else None
        if values is None:
            continue
        row = rows.taken(values, names, f"line {number}")
        if date := _DATE.match(line):
            row["time"] = rows.seconds(date.group(1))
        if "step" not in row:
            raise WrongSourceError(f"line {number} names no `num_updates`")
        if "train_inner" not in line:
            early.append(number)
        yield row


def _values(line: str) -> dict[str, Any] | None:
    """What a line says by name; None for one that is not of training."""
    brace = line.find("{")
    if brace >= 0:
        try:
            values = json.loads(line[brace:])
        except ValueError:
            return None
        return values if isinstance(values, dict) and "gnorm" in values else None
    simple = _SIMPLE.search(line)
    if simple is None:
        return None
    epoch, update, updates = map(int, simple.groups()[:3])
    counted = {"num_updates": (epoch - 1) * updates + update}  # early versions do not say how many
    return {**counted, **dict(_PAIR.findall(simple.group(4)))}
