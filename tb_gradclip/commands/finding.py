"""What `doctor` found: words for people, and what to do about it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["ok", "note", "problem"]


class Finding(NamedTuple):
    """One thing that was looked at. `remedy`: what to do; empty where nothing is to be done."""

    severity: Severity
    text: str
    remedy: str = ""
