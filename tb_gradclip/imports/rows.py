"""Lines of a log, put together to a series: one row a step, with what was logged of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.rules import Floats
from tb_gradclip.imports.series import WrongSourceError

MISSING = {"", "none", "null", "-"}
"""Texts that say that there is no value. NaN is one: training that breaks logs it."""

LARGEST_STEP = 1 << 62
RELATIVE_BEFORE = 1e8
"""Times less than that are seconds since the training began: so soon after 1970 nobody trained networks."""

MILLISECONDS_FROM = 1e11

Row = dict[str, float]
"""What a line says: some of `step`, `loss`, `norm`, `threshold`, `time`, `skipped`."""


class Table(NamedTuple):
    """Rows by step, each array of shape [T]; NaN where nothing was logged, but for a loss, of which `given` says so."""

    steps: NDArray[np.int64]
    norms: Floats
    losses: Floats
    given: NDArray[np.bool_]
    thresholds: Floats | None
    times: Floats
    has_times: bool
    skipped: NDArray[np.bool_] | None

    @property
    def consecutive(self) -> bool:
        """Whether every step was logged, as far as can be seen."""
        return bool(
            self.steps[-1] - self.steps[0] == len(self.steps) - 1 and (len(self.steps) > 1 or self.steps[0] < 2)
        )


def number(value: Any, what: str) -> float | None:
    """A logged value as a number; None where it says that there is none.

    Raises:
      WrongSourceError: it is something else.
    """
    if value is None or isinstance(value, bool):
        return None
    text = str(value).strip()
    if text.lower() in MISSING:
        return None
    try:
        return float(text)
    except ValueError:
        raise WrongSourceError(f"{what} must be a number, got {text[:40]!r}") from None


def moment(value: Any, what: str) -> float | None:
    """A logged time: seconds since 1970 or since the start, milliseconds, or a date as ISO 8601 has it."""
    text = str(value).strip()
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        found = number(value, what)
        return found / 1000 if found is not None and found > MILLISECONDS_FROM else found
    try:
        return seconds(text)
    except ValueError:
        raise WrongSourceError(f"{what} must be seconds or a date as ISO 8601 has it, got {text[:40]!r}") from None


def seconds(date: str) -> float:
    """Seconds since 1970 of a date; one without a zone is taken for UTC, so that a log gives the same run anywhere."""
    found = datetime.fromisoformat(date.replace("Z", "+00:00").replace(",", "."))
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()


def table(lines: Iterable[Row], modified: float) -> Table:
    """Rows in order of step, out of lines in any order.

    What several lines say of a step is put together; where they say the same of it twice, the later one holds. Steps
    without a norm are left out: nothing can be said of clipping there.

    Args:
      lines: each with a `step`.
      modified: when the log was written last, in seconds since 1970, from which times count back that it lacks.

    Raises:
      WrongSourceError: there is no step with a norm, or something that cannot be a step or a norm.
    """
    by_step: dict[int, Row] = {}
    for line in lines:
        if "step" not in line:
            continue
        step = line["step"]
        if not (0 <= step <= LARGEST_STEP and step == math.floor(step)):
            raise WrongSourceError(f"a step must be a whole number, 0 or more, got {step:g}")
        by_step.setdefault(int(step), {}).update(line)
    rows = [row for _, row in sorted(by_step.items()) if "norm" in row]
    if not rows:
        raise WrongSourceError("it has no step with a gradient norm")
    if wrong := next((row for row in rows if row["norm"] < 0), None):
        raise WrongSourceError(f"a gradient norm must be 0 or more, got {wrong['norm']:g} at step {wrong['step']:.0f}")
    steps = np.array([int(row["step"]) for row in rows], np.int64)
    times, known = _times(_column(rows, "time"), steps, modified)
    thresholds, skipped = _column(rows, "threshold"), [bool(row.get("skipped")) for row in rows]
    return Table(
        steps,
        _column(rows, "norm"),
        _column(rows, "loss"),
        np.array(["loss" in row for row in rows]),
        None if np.isnan(thresholds).all() else thresholds,
        times,
        known,
        np.array(skipped) if any(skipped) else None,
    )


def _column(rows: list[Row], name: str) -> Floats:
    return np.array([row.get(name, math.nan) for row in rows])


def _times(times: Floats, steps: NDArray[np.int64], modified: float) -> tuple[Floats, bool]:
    """A time for every step, and whether the log has times: those between are spread evenly over steps."""
    known = np.isfinite(times)
    if known.sum() < min(2, len(times)):
        return modified - (steps[-1] - steps).astype(float), False
    times = np.interp(steps, steps[known], times[known])
    return times + max(modified - times[-1], 0.0) * (times[-1] < RELATIVE_BEFORE), True


def taken(line: Mapping[str, Any], names: Mapping[str, str | None], where: str) -> Row:
    """The row in a line of named values.

    Args:
      line: values by name.
      names: for each of a row's numbers the name it has there, None where it has none.
      where: the line, for messages.
    """
    row: Row = {}
    for key, name in names.items():
        if name is not None and name in line:
            read = moment if key == "time" else number
            value = read(line[name], f"{where}: {name!r}")
            if value is not None:
                row[key] = value
    return row
