"""What no answer exceeds, whoever asks for it; the rest is limited where it is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tensorboard import errors

MOST_POINTS = 2_000_000
"""Of all lines of one answer: some 50 MB. The widest page asks for 25 runs at a time, 1,500,000 points."""

MOST_OF_NAMES = 2_000_000
"""Characters of all names of parameters in an answer about one run. Names are sent whole or not at all, because they
are what one asks by."""


def fitting(names: Iterable[str], room: int) -> list[int]:
    """Places of the names that fit into so many characters together; one that does not fit any more is left out."""
    kept: list[int] = []
    for place, name in enumerate(names):
        if len(name) <= room:
            kept.append(place)
            room -= len(name)
    return kept


def once_each(name: str, values: Sequence[str]) -> None:
    """Refuse a value that comes again: a table could have any number of columns.

    Raises:
      InvalidArgumentError: one does.
    """
    twice = next((value for i, value in enumerate(values) if value in values[:i]), None)
    if twice is not None:
        raise errors.InvalidArgumentError(f"`{name}` must have each value once, got {twice!r} again: leave it out")


def points(runs: int, columns: int, each: int) -> None:
    """Refuse lines that have too many points together.

    Raises:
      InvalidArgumentError: they have.
    """
    if runs * columns * each > MOST_POINTS:
        asked = f"{runs} runs x {columns} columns x {each:,} points"
        raise errors.InvalidArgumentError(
            f"an answer has at most {MOST_POINTS:,} points, got {asked}: ask for fewer runs, columns or `points`"
        )
