"""Arguments of routes: as they must be, or a `PublicError` that says what must stand there and what came."""

from __future__ import annotations

import math

from tensorboard import errors
from werkzeug import wrappers

from tb_gradclip.core.charts import lines
from tb_gradclip.plugin import export, limits
from tb_gradclip.storage.figures import RECENT

MOST_RUNS = 100


def names(request: wrappers.Request) -> list[str]:
    """The runs that are asked for, each once."""
    found = request.args.getlist("run")
    if not 1 <= len(found) <= MOST_RUNS:
        raise errors.InvalidArgumentError(f"`run` must come 1 to {MOST_RUNS} times, got {len(found)}")
    limits.once_each("run", found)
    return found


def wanted(request: wrappers.Request) -> export.Wanted:
    """Which columns, of which steps, over which axis and window."""
    columns = request.args.getlist("column")
    allowed = lines.RECORDED + lines.DERIVED
    if not columns or set(columns) - set(allowed):
        raise errors.InvalidArgumentError(f"`column` must be among {', '.join(allowed)}, got {columns[:20]!r}")
    limits.once_each("column", columns)
    axis = request.args.get("axis", "step")
    if axis not in lines.AXES:
        raise errors.InvalidArgumentError(f"`axis` must be one of {', '.join(lines.AXES)}, got {axis!r}")
    return export.Wanted(tuple(columns), axis, bounds(request), whole(request, "window", RECENT, 1, 1_000_000_000))


def bounds(request: wrappers.Request) -> tuple[float, float]:
    """The range `from` to `to`; all there is where they are left out."""
    return number(request, "from", -math.inf), number(request, "to", math.inf)


def number(request: wrappers.Request, name: str, default: float) -> float:
    """A number, infinite ones included."""
    text = request.args.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise errors.InvalidArgumentError(f"`{name}` must be a number, got {text!r}")
    return value


def whole(request: wrappers.Request, name: str, default: int | None, low: int, high: int) -> int:
    """A whole number between two bounds, both included; without a default it must come."""
    text = request.args.get(name)
    if text is None and default is not None:
        return default
    try:
        value = int(text or "")
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise errors.InvalidArgumentError(f"`{name}` must be a whole number from {low} to {high}, got {text!r}")
    return value
