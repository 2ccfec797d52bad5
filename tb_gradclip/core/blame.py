"""Which parameters went first: in what order their shares of the squared gradient norm left their own past."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.monitors.loss import MAD_TO_SIGMA
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rules import Floats

BLOCK = 16
"""Steps that enter a parameter's past together: what is known of it then does not depend on how steps arrive."""

RECENT = 4 * BLOCK
"""Newest steps, in which a departure is looked for and which the past does not include yet."""

RATE = 1 - 0.98**BLOCK
"""Weight of the newest block in the past, which is about the 50 steps before the recent ones."""

SIGMA, STILL = 5.0, 2.5
"""A parameter departs where its share comes to be 5 sigma above its past, and has been above 2.5 since."""

SMALLEST_SIGMA = 0.1
"""A share that hardly moves must not turn noise into a departure: 10 % of it counts as one sigma."""

SMALLEST_RISE = 0.01
"""Share of the squared norm that a parameter must have gained: what is too small to matter is not to blame."""

FEWEST = 8
"""Steps that make a past where a run is too young to have another."""

MOST = 8
"""Departures that are told."""


MISFIT = 30.0
"""A weight whose gain is so many times the usual one was not initialised as the others: usual gains differ by 4."""

FEWEST_WEIGHTS = 3
"""Weights that tell what is usual."""


class Departure(NamedTuple):
    """A parameter that left its past, and how many steps before the event; fewer than none if it was after it."""

    parameter: str
    lead: int


class ShareTracker:
    """Follows every parameter's share s_p = n_p² / Σ n² of the squared norm, in O(P) a step.

    With x = log(s_p / (1 - s_p)), which tells a share of 0.99 from one of 0.999, m and d its mean and mean absolute
    deviation over the past, and z = (x - m) / max(1.2533 d, 0.1): a parameter departed if some recent z exceeds 5 while
    its share is at least 0.01 above the share m stands for and its norm above what it usually was. It did so at the
    first step from which z stayed above 2.5 up to the largest z. Where norms are not finite, parameters depart at the
    step from which theirs is not, and where all become so at once the steps before decide. Of those that depart at one
    step the last one listed comes first: gradients are computed from the last parameter to the first.

    It is blind to a rise in which all parameters keep their shares, as when the learning rate alone is too high: then
    nobody is named. In the first 72 steps of a run the earlier half of them is taken for the past.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._steps: NDArray[np.int64] = np.empty(0, np.int64)
        self._norms: list[Floats] = []
        self._mean: Floats | None = None
        self._deviation: Floats = np.zeros(len(names))
        self._usual: Floats = np.zeros(len(names))
        self._blocks = 0

    @property
    def is_young(self) -> bool:
        """Whether there is no past yet but the run's own first steps."""
        return self._mean is None

    def observe(self, steps: NDArray[np.int64], norms: Floats) -> None:
        """Take the norms of all parameters at the next T steps, shape [T, P]; T may be 0."""
        if not len(norms):
            return
        self._steps = np.concatenate((self._steps, steps))
        self._norms.append(norms)
        if len(self._steps) < RECENT + BLOCK:
            return
        table = np.concatenate(self._norms)
        past = (len(table) - RECENT) // BLOCK * BLOCK
        for start in range(0, past, BLOCK):
            self._learn(table[start : start + BLOCK])
        self._steps, self._norms = self._steps[past:], [table[past:].copy()]

    def departures(self, event: int) -> list[Departure]:
        """Parameters to blame for what happened at a step, the first to depart first: at most 8, and none if none did.

        To be asked when steps up to the event, or a few more, were observed.
        """
        if not len(self._steps):
            return []
        norms = np.concatenate(self._norms)
        finite = np.isfinite(norms)
        broken = ~finite[-1]
        if broken.any() and not broken.all():
            since = _start_of_last_run(~finite, broken)
        else:
            since = self._risen(norms, np.logical_and(finite.all(axis=1), norms.any(axis=1)))
        places = np.flatnonzero(since < len(norms))
        order = places[np.lexsort((-places, since[places]))][:MOST]
        return [Departure(self._names[p], event - int(self._steps[since[p]])) for p in order]

    def _risen(self, norms: Floats, sound: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Row at which each parameter departed, of those that are sound; the number of rows for one that did not."""
        never = np.full(norms.shape[1], len(norms))
        rows = np.flatnonzero(sound)
        shares = _shares(norms[rows])
        logs = _log_odds(shares)
        mean, deviation, usual, recent = self._mean, self._deviation, self._usual, 0
        if mean is None:
            recent = len(rows) // 2
            if recent < FEWEST:
                return never
            mean = logs[:recent].mean(axis=0)
            deviation, usual = np.abs(logs[:recent] - mean).mean(axis=0), norms[rows[:recent]].mean(axis=0)
        z = (logs[recent:] - mean) / np.maximum(MAD_TO_SIGMA * deviation, SMALLEST_SIGMA)
        peak = z.argmax(axis=0)
        each = np.arange(norms.shape[1])
        rise = shares[recent:][peak, each] - 1 / (1 + np.exp(-mean))
        risen = (z[peak, each] > SIGMA) & (rise > SMALLEST_RISE) & (norms[rows[recent:]][peak, each] > usual)
        below = (z <= STILL) & (np.arange(len(z))[:, None] < peak)
        start = np.where(below.any(axis=0), len(z) - below[::-1].argmax(axis=0), 0)
        return np.where(risen, rows[recent + np.minimum(start, peak)], never)

    def _learn(self, norms: Floats) -> None:
        sound = norms[np.isfinite(norms).all(axis=1) & norms.any(axis=1)]
        if not len(sound):
            return
        logs = _log_odds(_shares(sound))
        self._blocks += 1
        if self._mean is None:
            self._mean = logs.mean(axis=0)
            self._usual = sound.mean(axis=0)
        rate = max(RATE, 1 / self._blocks)
        self._deviation += rate * (np.abs(logs - self._mean).mean(axis=0) - self._deviation)
        self._mean = self._mean + rate * (logs.mean(axis=0) - self._mean)
        self._usual = self._usual + rate * (sound.mean(axis=0) - self._usual)


def misfits(parameters: Sequence[Parameter]) -> list[str]:
    """Weights that were not initialised as the others: whose gain is above 30 times the median, the largest first.

    None where fewer than 3 have a gain. Shares cannot tell: a layer with weights too large by a thousand makes the
    gradients of all other layers larger by that, and its own not.
    """
    gains = {parameter.name: parameter.gain for parameter in parameters if parameter.gain is not None}
    usual = median(gains.values()) if len(gains) >= FEWEST_WEIGHTS else math.inf
    found = [name for name, gain in gains.items() if gain > MISFIT * usual]
    return sorted(found, key=lambda name: -gains[name])[:MOST]


def _shares(norms: Floats) -> Floats:
    squares = (norms / norms.max(axis=1, initial=0.0)[:, None]) ** 2  # scaled, because 1e200 squared is infinite
    shares: Floats = squares / squares.sum(axis=1)[:, None]
    return shares


def _log_odds(shares: Floats) -> Floats:
    kept = np.clip(shares, 1e-12, 1 - 1e-12)
    odds: Floats = np.log(kept / (1 - kept))
    return odds


def _start_of_last_run(bad: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Row from which each column is true to the end; the number of rows for columns that are not wanted."""
    from_the_end = np.where((~bad).any(axis=0), (~bad[::-1]).argmax(axis=0), len(bad))
    return np.where(wanted, len(bad) - from_the_end, len(bad))
