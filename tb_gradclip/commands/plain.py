"""Text that is safe to print: names of runs, parameters and files, and messages, come from logs of anybody."""

from __future__ import annotations

import sys
import unicodedata

from tb_gradclip.core.health import MINUS, NARROW_SPACE

_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories of what moves the cursor, colours, reverses or breaks lines instead of being seen."""


def inert(text: str) -> str:
    r"""The text with everything that a terminal would obey, or not show, as an escape: `\x1b`, `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _UNSAFE else char for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def simple(text: str) -> str:
    """The dashboard's words with signs that can be typed, to look for: a space before %, a hyphen for minus."""
    return text.replace(NARROW_SPACE, " ").replace(MINUS, "-")


def say(*lines: str) -> None:
    """Print lines; what the encoding of the terminal lacks becomes `?`. Lines that come from logs must be `inert`."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        print(line.encode(encoding, "replace").decode(encoding))


def complain(message: object) -> None:
    """Print one line to stderr."""
    print(f"tb-gradclip: {inert(str(message))}", file=sys.stderr)
