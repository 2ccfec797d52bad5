r"""Text logs of Megatron-LM, and of what prints as it does (Megatron-DeepSpeed, NeMo's and BigScience's forks).

     iteration       20/  500000 | consumed samples: 320 | elapsed time per iteration (ms): 412.7 | ... |
     lm loss: 9.87E+00 | loss scale: 1.0 | grad norm: 1.532 | number of skipped iterations: 0 | ... |

all in one line, from 2024 on with the time in brackets before it. `grad norm` is that of the last iteration, before
clipping, rounded to three decimals; `lm loss` is the mean since the line before. A log that begins with its arguments
names `clip_grad`.

Source: `megatron/training/training.py`, `training_log`; `megatron/core/optimizer/clip_grads.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tb_gradclip.core import loss_tag
from tb_gradclip.core.imported import Imported
from tb_gradclip.core.rules import TORCH_EPSILON
from tb_gradclip.imports import rows
from tb_gradclip.imports.series import Names, Series, WrongSourceError

_LINE = re.compile(r"\biteration\s+(\d+)/\s*\d+ \|(.*)")
_DATE = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_CLIP_GRAD = re.compile(r"\bclip[_-]grad \.{2,} ([\d.]+(?:[eE][+-]?\d+)?)")
NORM, ELAPSED, SKIPPED = "grad norm", "elapsed time per iteration (ms)", "number of skipped iterations"


def is_line(line: str) -> bool:
    """Whether a line of text is one of a training that Megatron-LM logged."""
    found = _LINE.search(line)
    return found is not None and ELAPSED in found.group(2)


def read(path: Path, given: Names) -> Series:
    """The run in such a log."""
    settings: list[float] = []
    with path.open(encoding="utf-8", errors="replace") as file:
        found = rows.table(_rows(file, given, settings), path.stat().st_mtime)
    covers = ("step", "step") if found.consecutive else ("last", "mean")
    return Series(
        path.stem,
        Imported("Megatron-LM", path.name, *covers, before_clipping=True, times=found.has_times),
        *(found.steps, found.norms, found.losses, found.given, found.thresholds, found.times),
        skipped=found.skipped,
        max_norm=settings[0] if settings else None,
        framework="torch",
        library="Megatron-LM",
        epsilon=TORCH_EPSILON,
    )


def _rows(lines: Iterable[str], given: Names, settings: list[float]) -> Iterator[rows.Row]:
    clock, last = 0.0, None
    for number, line in enumerate(lines, 1):
        if not settings and (setting := _CLIP_GRAD.search(line)):
            settings.append(float(setting.group(1)))
        found = _LINE.search(line)
        if found is None or ELAPSED not in found.group(2):
            continue
        values = _values(found.group(2))
        step = int(found.group(1))
        names = {"loss": _loss(given, values), "norm": given.norm or NORM}
        row: rows.Row = {"step": float(step), **rows.taken(values, names, f"line {number}")}
        made = step - (last or 0) if last is None or step > last else 1
        clock, last = clock + made * (rows.number(values.get(ELAPSED), f"line {number}") or 0.0) / 1000, step
        date = _DATE.search(line)
        row["time"] = rows.seconds(date.group(1)) if date else clock
        if (rows.number(values.get(SKIPPED), f"line {number}") or 0.0) >= made:
            row |= {"skipped": 1.0, "norm": row.get("norm", float("nan"))}
        yield row


def _values(text: str) -> dict[str, str]:
    """`name: value` between bars."""
    pairs = (part.rpartition(":") for part in text.split("|"))
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def _loss(given: Names, values: dict[str, str]) -> str | None:
    if given.loss is not None and given.loss not in values:
        raise WrongSourceError(f"--loss names {given.loss!r}, which is not in it; there is {', '.join(values)}")
    return given.loss or next(iter(loss_tag.ranked(values)), None)
