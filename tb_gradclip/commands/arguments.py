"""Types of arguments that several commands take: each gives the value, or says what it must be."""

from __future__ import annotations

import argparse
import math
import re


def number(text: str) -> float:
    """A number, infinity included."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}")
    return value


def share(text: str) -> float:
    """A share from 0 to 1."""
    value = number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share from 0 to 1, got {text!r}. Write 0.9 for 90 %")
    return value


def max_norm(text: str) -> float:
    """A threshold of clipping by norm; 0 for none."""
    value = number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text!r}")
    return value


def count(text: str) -> int:
    """A number of steps."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of steps, 1 or more, got {text!r}")
    return int(text)


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"must be a regular expression, got {text!r} ({error})") from error
