"""Losses that fall no more."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

from tb_gradclip.core.alert import Alert

BLOCK, BLOCKS = 50, 5
"""Steps whose losses are averaged, and how many such means make up the level of the loss: 250 steps."""

IMPROVEMENT = 0.01
"""What counts as falling: 1 % below the lowest level so far."""

LEAST_STEPS, LEAST_SHARE = 1000, 1 / 3
"""Steps without improvement that make a plateau: a thousand, and a third of the run. A loss that falls as t^-0.1, the
slowest that language models show, takes a tenth of the run to fall by 1 %."""

SAME = 0.18
"""A level that is so far above the lowest, 20 %, is no plateau but worse: a matter for `LossMonitor`."""


class PlateauMonitor:
    """Streaming detector of a loss that falls no more; O(1) time and memory, 0.3 microseconds a step.

    The level of the loss is the mean of log(loss) over the last five blocks of 50 finite losses, in linear units once a
    loss was 0 or less. With `best` the lowest level so far, taken again whenever the level is below it by 0.01 (linear:
    1 % of its size), a plateau is told when that was not so for max(1000, a third of all) steps while the level is at
    most 0.18 above it (linear: 18 %). It is over, and the loss recovered, when the level falls again.

    Every run that is trained until it converges ends in one: it is information, not trouble. Where it is wrong: a loss
    whose level swings by more than 1 % falls whenever a swing is lucky; one below 1e-30 is told to stand still.
    """

    def __init__(self) -> None:
        self._linear = False
        self.alert: Alert | None = None
        self._begin()

    def _begin(self) -> None:
        self._sum, self._count = 0.0, 0
        self._means: deque[float] = deque(maxlen=BLOCKS)
        self._best = math.inf
        self._best_step = self._first_step = -1

    def observe(self, step: int, loss: float) -> list[Alert]:
        """Take the loss of one step; returns a plateau when it is noticed, and again when it is over."""
        if not math.isfinite(loss):
            return []
        if loss <= 0 and not self._linear:
            self._linear = True
            self._begin()
        if self._first_step < 0:
            self._first_step = step
        self._sum += loss if self._linear else math.log(loss)
        self._count += 1
        if self._count < BLOCK:
            return []
        self._means.append(self._sum / BLOCK)
        self._sum, self._count = 0.0, 0
        return self._judge(step) if len(self._means) == BLOCKS else []

    def _judge(self, step: int) -> list[Alert]:
        level = sum(self._means) / BLOCKS
        unit = abs(self._best) if self._linear and math.isfinite(self._best) else 1.0
        if level < self._best - IMPROVEMENT * unit:
            self._best, self._best_step = level, step
            over, self.alert = self.alert, None
            return [] if over is None else [replace(over, end=step, recovered=True)]
        waited, seen = step - self._best_step, step - self._first_step
        stands = waited >= max(LEAST_STEPS, LEAST_SHARE * seen) and level <= self._best + SAME * unit
        if not stands or self.alert is not None:
            return []
        height = level if self._linear else math.exp(level)
        message = f"loss has not fallen for {waited} steps, it stays at {height:.3g}"
        self.alert = Alert(step, "plateau", "info", message, start=self._best_step)
        return [self.alert]
