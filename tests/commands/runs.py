"""Runs that are checked and compared: losses and norms as they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import Rule
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import EventFile

START = 1_767_225_600.0
STEPS = 1000


def steady(rate: float, seed: int = 0, steps: int = STEPS) -> np.ndarray:
    """Norms of which this share is 2 and the rest 0.5, spread evenly, in an order of chance within each 20."""
    rng, chosen = np.random.default_rng(seed), np.zeros(steps, bool)
    chosen[np.linspace(0, steps - 1, round(rate * steps)).astype(int)] = True
    blocks = [rng.permutation(chosen[first : first + 20]) for first in range(0, steps, 20)]
    return np.where(np.concatenate(blocks), 2.0, 0.5)


def flat(level: float, seed: int = 0, steps: int = STEPS, noise: float = 0.01) -> np.ndarray:
    """Losses around a level."""
    return level * np.exp(np.random.default_rng(seed).normal(0, noise, steps))


def record(
    logdir: Path,
    norms: np.ndarray,
    losses: np.ndarray | None = None,
    *,
    rule: Rule | None = None,
    skipped: Sequence[int] = (),
    finding: str | None = None,
    parameter: str = "w",
) -> None:
    """One run, clipped at 1 unless a rule says otherwise."""
    rule = Rule("global_norm", 1.0) if rule is None else rule
    parameters = [Parameter(parameter, (2, 2))]
    recorder = Recorder(EventFile(logdir), framework="torch", library="torch 2", parameters=parameters)
    if finding:
        recorder.add_finding(finding, 0)
    steps = np.arange(len(norms))
    for first in range(0, len(norms), 100):
        part = slice(first, first + 100)
        recorder.add_steps(
            Measurements(
                rule,
                steps[part],
                START + steps[part],
                None if losses is None else losses[part],
                np.full(len(steps[part]), rule.threshold),
                norms[part],
                norms[part, None],
                skipped=np.isin(steps[part], skipped),
            )
        )
    recorder.close()
