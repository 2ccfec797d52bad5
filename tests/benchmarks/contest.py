"""What the benchmarks share: contestants that take turns, ratios with their spread, and tables."""

from __future__ import annotations

import argparse
import os
import platform
import random
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorBoard imports TensorFlow, which has much to say about itself

Floats = NDArray[np.float64]
_draw = random.Random(0)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the benchmark's docstring as it stands."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def alternate(turns: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Floats]:
    """What each contestant's turns returned, round by round.

    All take one turn a round, so that a machine that speeds up or slows down does it for all. The order is drawn anew
    each time: what one leaves behind, in caches or on a background thread, does not always fall on the same neighbour.
    """
    order = list(turns)
    times = {name: np.empty(rounds) for name in order}
    for turn in range(rounds):
        _draw.shuffle(order)
        for name in order:
            times[name][turn] = turns[name]()
    return times


def timed(work: Callable[[], object], repeats: int) -> float:
    """Seconds that one of so many repetitions takes."""
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


def repeats_for(work: Callable[[], object], seconds: float) -> int:
    """How often to repeat this in order to keep busy about so long."""
    work()
    return max(1, round(seconds / max(timed(work, 1), 1e-9)))


def spread(values: Floats) -> str:
    """Median and quartiles.

    >>> spread(np.array([0.9, 1.0, 1.2]))
    '1.00 (0.950 to 1.10)'
    """
    low, middle, high = (number(value) for value in np.percentile(values, [25, 50, 75]))
    return f"{middle} ({low} to {high})"


def number(value: float) -> str:
    """Three digits, or more where they stand before the point.

    >>> number(1), number(1234.5)
    ('1.00', '1,234')
    """
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"


def duration(seconds: float) -> str:
    """A time with a unit that suits it."""
    units = (("s", 1.0), ("ms", 1e-3))
    unit, factor = next(((unit, factor) for unit, factor in units if seconds >= factor), ("µs", 1e-6))
    return f"{number(seconds / factor)} {unit}"


def size(count: float) -> str:
    """A number of bytes with a unit that suits it."""
    units = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
    unit, factor = next(((unit, factor) for unit, factor in units if count >= factor), ("B", 1.0))
    return f"{count / factor:.3g} {unit}" if count < 100 * factor else f"{count / factor:.0f} {unit}"


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Slope of the straight line fitted to the logarithms: 1 where y grows as x does."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table with aligned columns: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return f"| {' | '.join([cells[0].ljust(widths[0]), *padded[1:]])} |"

    rule = f"|{'-' * (widths[0] + 2)}|{''.join('-' * (width + 1) + ':|' for width in widths[1:])}"
    print("", title, "", line(header), rule, *map(line, rows), sep="\n", flush=True)


def print_machine() -> None:
    """What the figures below it were taken on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{platform.system()} on {platform.machine()}, {cores} cores, Python {platform.python_version()}")
