"""How records thin out as a run grows, so that a log stays small and early training stays sharp.

Both schedules keep the number of records of a run proportional to the logarithm of its length: a fixed number for
each doubling of the step count. Histograms of steps that stand out, which come beside the schedule, are bounded by it:
32, and a quarter of the scheduled ones (see `standout`).
"""

from __future__ import annotations

WINDOWS_PER_DOUBLING = 256
SHORTEST_WINDOW = 16

HISTOGRAM_EVERY = 50
"""Steps between two histograms, unless the user says otherwise."""


def window_length(step: int) -> int:
    """Steps in the window of parameter statistics that starts at `step`: a power of two, 16 or more.

    >>> window_length(0), window_length(2_000), window_length(1_000_000)
    (16, 16, 2048)
    """
    octave = max(step // WINDOWS_PER_DOUBLING, 1).bit_length() - 1
    return max(SHORTEST_WINDOW, 1 << octave)


def histogram_interval(step: int, every: int = HISTOGRAM_EVERY) -> int:
    """Steps between histograms around `step`: `every`, doubled as often as it takes to keep pace with the windows.

    >>> histogram_interval(0), histogram_interval(1_000_000)
    (50, 6400)
    """
    interval = every
    while interval < step // WINDOWS_PER_DOUBLING:
        interval *= 2
    return interval


def histogram_due(step: int, every: int = HISTOGRAM_EVERY) -> bool:
    """Whether the gradients of `step` are to be counted: step 0 and every multiple of the interval; never for 0."""
    return every > 0 and step % histogram_interval(step, every) == 0
