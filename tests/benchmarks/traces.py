"""Losses with known events: noise (`noises`) around a curve that falls, with what is normal and what is not.

A trace is loss = exp(x), or an affine function of x in families whose loss may be negative, where
x = curve + benign changes + noise + events. What is called an event, and from when on, follows from what was planted,
never from what a detector sees:

- `spike`: up within 1 to 3 steps to at least 6 noise sigma and 1.3 times the loss, and back. It stays above 3 sigma
  for at least 4 steps, at most a few tens.
- `divergence`: up by at least 8 sigma and 1.5 times, within 1 to 10 steps (sudden) or 30 to 300 (slow), and it stays.
- `nonfinite`: NaN from one step on, or for a few.

An event `shows` from the step at which what was planted reaches 3 sigma; for most that is where it starts.

Benign are: warm-up with or without a hump of up to 20 %, drops of the learning rate, cosine decay, epochs (down by 2
to 12 %, or up by 0.5 to 3 %), a change of the data that raises the loss by at most 2 sigma and 10 %, which no one
could tell from chance at a glance, and steps that are off alone. Such an outlier, planted or made by the tail of the
noise, is a step whose noise exceeds 6 sigma, and a factor of 1.5 where the loss is positive: to say "spike" of it is
right and not required, to call it a divergence is a false alarm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.noises import Floats, Noise

STEPS = 4000
FIRST_EVENT = 100
APART = 450
"""Steps between the starts of two events, so that each can be told from the one before."""


@dataclass(frozen=True)
class Event:
    """What went wrong from `start` up to `end`; it can be seen from `shows` on, and has risen in full at `full`."""

    kind: str
    start: int
    shows: int
    full: int
    end: int


@dataclass(frozen=True)
class Trace:
    """Losses of a run, what was planted in it, and the steps that are off alone."""

    family: str
    losses: list[float]
    events: tuple[Event, ...] = ()
    outliers: frozenset[int] = frozenset()


AFFINE = {
    "likelihood": (-4.0, 1.0),
    "signed": (0.0, 1.0),
    "gains": (0.0, 1.0),
    "returns": (0.0, 1.0),
    "advantage": (0.0, 1.0),
}
"""Families whose loss is offset + factor x: log-likelihoods below zero, and losses that change their sign."""


def falling(rng: np.random.Generator, steps: int) -> Floats:
    """A learning curve, in logarithms: exponential or a power of the step."""
    t = np.arange(steps)
    excess = np.exp(-t / rng.uniform(30, 600)) if rng.random() < 0.5 else (1 + t / 10) ** -rng.uniform(0.2, 0.6)
    return np.log(rng.uniform(0.2, 2) + rng.uniform(1, 6) * excess)


def ramp(steps: int, start: int, width: float) -> Floats:
    """0 before `start`, 1 from `start` + `width` on."""
    return np.clip((np.arange(steps) - start + 1) / width, 0.0, 1.0)


def schedule(rng: np.random.Generator, steps: int) -> Floats:
    """What changes the level of a healthy run besides learning."""
    level = np.zeros(steps)
    if rng.random() < 0.2:  # a learning rate that warms up too fast
        level += rng.uniform(0.05, 0.18) * np.exp(-(((np.arange(steps) - rng.uniform(20, 80)) / 20.0) ** 2))
    if rng.random() < 0.4:
        level += math.log(rng.uniform(0.5, 0.9)) * ramp(steps, int(rng.integers(500, steps)), rng.uniform(1, 30))
    if rng.random() < 0.4:
        level += math.log(rng.uniform(0.7, 0.95)) * (1 - np.cos(np.pi * np.arange(steps) / steps)) / 2
    if rng.random() < 0.4:
        for epoch in range(int(rng.integers(300, 1000)), steps, int(rng.integers(300, 1000))):
            change = rng.uniform(0.005, 0.03) if rng.random() < 0.3 else -rng.uniform(0.02, 0.12)
            level[epoch:] += change
    return level


def spike(rng: np.random.Generator, steps: int, start: int, sigma: float) -> tuple[Event, Floats]:
    height = min(max(6 * sigma, math.log(1.3)) * rng.uniform(1, 3), math.log(50))
    rise, hold, decay = rng.integers(1, 4), rng.integers(2, 10), rng.uniform(3, 15)
    after = np.maximum(np.arange(steps) - start - rise - hold, 0)
    excess = height * ramp(steps, start, rise) * np.exp(-after / decay)
    above = np.flatnonzero(excess > 3 * sigma)
    return Event("spike", start, int(above[0]), start + int(rise), int(above[-1]) + 1), excess


def divergence(rng: np.random.Generator, steps: int, start: int, sigma: float) -> tuple[Event, Floats]:
    height = min(max(8 * sigma, math.log(1.5)) * rng.uniform(1, 3), math.log(1e3))
    width = rng.uniform(1, 10) if rng.random() < 0.6 else rng.uniform(30, 300)
    excess = height * ramp(steps, start, width)
    full = min(start + math.ceil(width), steps)
    return Event("divergence", start, int(np.argmax(excess > 3 * sigma)), full, steps), excess


def plant(rng: np.random.Generator, noise: Floats) -> tuple[list[Event], Floats]:
    """Events of one trace, a third of which have none, and what they add to x."""
    steps, excess, events = len(noise), np.zeros(len(noise)), list[Event]()
    if rng.random() < 1 / 3:
        return events, excess
    start = FIRST_EVENT + int(rng.integers(0, 400))
    while start < steps - APART and rng.random() < 0.6:
        event, added = spike(rng, steps, start, local_sigma(noise, start))
        events.append(event)
        excess += added
        start += APART + int(rng.integers(0, 800))
    if start < steps - APART and rng.random() < 0.5:
        event, added = divergence(rng, steps, start, local_sigma(noise, start))
        events.append(event)
        excess += added
    elif start < steps - APART and rng.random() < 0.2:
        end = steps if rng.random() < 0.5 else start + int(rng.integers(1, 5))
        events.append(Event("nonfinite", start, start, start, end))
        excess[start:end] = np.nan
    return events, excess


def local_sigma(noise: Floats, step: int) -> float:
    """Standard deviation of normal noise as wide as the noise is around this step, from its quartiles."""
    low, high = np.percentile(noise[max(0, step - 250) : step + 250], [25, 75])
    return float(max(high - low, 1e-9)) / 1.349


def trace(family: str, noise_of: Noise, seed: int, steps: int = STEPS) -> Trace:
    """One trace of a family; the same for the same seed."""
    rng = np.random.default_rng([seed, *family.encode()])
    curve = falling(rng, steps)
    noise = noise_of(rng, curve)
    for step in rng.integers(FIRST_EVENT, steps, rng.poisson(2)):
        noise[step] += rng.uniform(math.log(1.5), math.log(20)) + 6 * local_sigma(noise, step)
    least = 0.0 if family in AFFINE else math.log(1.5)
    limits = np.repeat([max(6 * local_sigma(noise, t + 50), least) for t in range(0, steps, 100)], 100)[:steps]
    events, excess = plant(rng, noise)
    level = curve + schedule(rng, steps)
    if rng.random() < 0.15:
        switch = int(rng.integers(500, steps))
        level[switch:] += min(2 * local_sigma(noise, switch), math.log(1.1))
    x = level + noise + excess
    offset, factor = AFFINE.get(family, (0.0, 0.0))
    losses = offset + factor * (x - (level.mean() if offset == 0 else 0)) if factor else np.exp(x)
    return Trace(family, losses.tolist(), tuple(events), frozenset(np.flatnonzero(noise > limits).tolist()))


def traces(families: dict[str, Noise], count: int, first_seed: int, steps: int = STEPS) -> Iterator[Trace]:
    """`count` traces of each family."""
    for family, noise_of in families.items():
        for seed in range(first_seed, first_seed + count):
            yield trace(family, noise_of, seed, steps)
