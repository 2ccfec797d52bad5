"""Numbers and texts out of JSON that anybody may have written: as they must be, or `ValueError`."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

MOST = 1 << 53
"""The largest whole number, of steps, rows and sizes alike: beyond it float64, and JavaScript, skip some."""

LATEST = 253_402_300_800.0
"""Seconds from 1970 to the year 10000: no clock shows more, and dates end there in Python and JavaScript."""

LONE_SURROGATES = re.compile("[\ud800-\udfff]")
"""Halves of characters, as Python has them for bytes of file names that are no UTF-8. No encoding knows them."""

Decoded = TypeVar("Decoded")


def decoder(decode: Callable[..., Decoded]) -> Callable[..., Decoded]:
    """Have a function that decodes bytes raise `ValueError`, and nothing else, for bytes that it cannot decode."""

    @functools.wraps(decode)
    def checked(*args: Any) -> Decoded:
        try:
            return decode(*args)
        except (ValueError, MemoryError):
            raise
        except KeyError as error:
            raise ValueError(f"a header must have {error.args[0]!r}, this one has not.") from error
        except Exception as error:
            raise ValueError(f"a record must be as the format has it, got {type(error).__name__}: {error}.") from error

    return checked


def whole(value: object, low: int = 0, high: int = MOST) -> int:
    """A whole number between two bounds, both included."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _refusal(f"a whole number from {low} to {high}", value)
    return value


def finite(value: object) -> float:
    """A number that is neither NaN nor infinite; a whole one is as good."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise _refusal("a finite number", value)
    return float(value)


def time(value: object) -> float:
    """Seconds since 1970."""
    seconds = finite(value)
    if not 0 <= seconds < LATEST:
        raise _refusal("a time in seconds, from 1970 to the year 9999,", value)
    return seconds


def text(value: object) -> str:
    """A text, `printable`."""
    if not isinstance(value, str):
        raise _refusal("a text", value)
    return printable(value)


def printable(value: str) -> str:
    """A text that can be encoded: U+FFFD stands for each lone surrogate."""
    return LONE_SURROGATES.sub("\ufffd", value)


def optional(check: Callable[[object], Decoded], value: object) -> Decoded | None:
    """None, or what a check makes of anything else."""
    return None if value is None else check(value)


def one_of(value: object, allowed: tuple[str, ...]) -> str:
    """One of a few texts."""
    if not isinstance(value, str) or value not in allowed:
        raise _refusal(f"one of {', '.join(allowed)}", value)
    return value


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise _refusal("true or false", value)
    return value


def mapping(value: object) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise _refusal("a JSON object", value)
    return value


def _refusal(allowed: str, value: object) -> ValueError:
    """What to raise; of what came a few characters, since a hostile header may hold anything."""
    if isinstance(value, int) and abs(value) > 10**30:
        shown = "a far larger number"
    else:
        shown = repr(value[:60] if isinstance(value, str) else value)
    return ValueError(f"{allowed} must stand here, got {shown if len(shown) <= 70 else shown[:70] + '…'}.")
