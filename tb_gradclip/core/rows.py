"""The step table, and the measurements it is made from.

An adapter hands over `Measurements`: what it read off the device for T consecutive optimizer steps. `step_rows` turns
them into rows of the step table, the one record that is kept of every step for the whole run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.rules import Floats, Outcome, Rule, outcome
from tb_gradclip.core.structured import copied

STEP_DTYPE = np.dtype(
    [
        ("step", "<i8"),
        ("wall_time", "<f8"),
        ("loss", "<f8"),
        ("threshold", "<f8"),
        ("norm_before", "<f8"),
        ("norm_after", "<f8"),
        ("coefficient", "<f8"),
        ("clipped", "?"),
        ("nonfinite", "<u4"),
        ("skipped", "?"),
    ]
)
"""62 bytes a step: what `run.steps` is made of; on disk it is a quarter of that.

`step` counts optimizer steps; `wall_time` is seconds since 1970; `loss` is the loss of that very step, NaN if none was
given; `threshold` is NaN under rules without one; `norm_before`, `norm_after`, `coefficient` and `clipped` are those of
`rules.outcome`; `nonfinite` is the number of parameters whose gradient norm was NaN or infinite; `skipped` says that a
loss scaler found such gradients and made no update.
"""


@dataclass(frozen=True)
class Measurements:
    """T consecutive steps under one kind of rule, as they left the device.

    `steps`, `wall_times`, `losses`, `thresholds`, `norm_before`: shape [T]; `losses` is None where none was
    given. `norms_before`: shape [T, P], one norm for
    each parameter in the order the recorder was given, 0 where a parameter had no gradient. `norms_after`: the same
    after clipping, needed only where `rule.measures_after`; `changed`: whether clipping changed any element of the
    parameter there. `factors`, shape [T]: see `rules.outcome`. `skipped`, shape [T]: None where nothing skips.
    """

    rule: Rule
    steps: NDArray[np.int64]
    wall_times: Floats
    losses: Floats | None
    thresholds: Floats
    norm_before: Floats
    norms_before: Floats
    norms_after: Floats | None = None
    changed: NDArray[np.bool_] | None = None
    factors: Floats | None = None
    skipped: NDArray[np.bool_] | None = None


def step_rows(measured: Measurements) -> tuple[NDArray[np.void], Outcome]:
    """Rows of the step table for these measurements, and the outcome they were computed with."""
    result = outcome(
        measured.rule,
        measured.thresholds,
        measured.norm_before,
        measured.norms_before,
        measured.norms_after,
        measured.changed,
        measured.factors,
    )
    if measured.skipped is not None:  # nothing came of what was clipped
        made = ~measured.skipped
        result = result._replace(
            clipped=result.clipped & made, parameters_clipped=result.parameters_clipped & made[:, None]
        )
    rows = np.zeros(len(measured.steps), STEP_DTYPE)
    rows["step"] = measured.steps
    rows["wall_time"] = measured.wall_times
    rows["loss"] = np.nan if measured.losses is None else measured.losses
    rows["threshold"] = measured.thresholds
    rows["norm_before"] = measured.norm_before
    rows["norm_after"] = result.norm_after
    rows["coefficient"] = result.coefficient
    rows["clipped"] = result.clipped
    rows["nonfinite"] = (~np.isfinite(measured.norms_before)).sum(axis=1)
    rows["skipped"] = False if measured.skipped is None else measured.skipped
    return rows, result


def without_guesses(rows: NDArray[np.void]) -> NDArray[np.void]:
    """Rows whose `norm_after` and `coefficient` are only what a guess gets wrong: mostly zeros, which pack to nothing.

    `norm_after` is guessed to be the smaller of `norm_before` and `threshold`, `coefficient` to be norm_after /
    norm_before. Bits that differ from the guess are set, so that `add_guesses` gives back every one, of a NaN too.
    """
    rest = copied(rows)
    _toggle(rest["coefficient"], _guessed_coefficient(rows))
    _toggle(rest["norm_after"], _guessed_norm_after(rows))
    return rest


def add_guesses(rest: NDArray[np.void]) -> None:
    """Turn what `without_guesses` gave back into the rows it was given, in place."""
    _toggle(rest["norm_after"], _guessed_norm_after(rest))
    _toggle(rest["coefficient"], _guessed_coefficient(rest))


def _toggle(column: Floats, guess: Floats) -> None:
    bits = column.view(np.uint64)
    bits ^= guess.view(np.uint64)


def _guessed_norm_after(rows: NDArray[np.void]) -> Floats:
    return np.where(rows["norm_before"] > rows["threshold"], rows["threshold"], rows["norm_before"])


def _guessed_coefficient(rows: NDArray[np.void]) -> Floats:
    with np.errstate(all="ignore"):
        guess = rows["norm_after"] / rows["norm_before"]
    guess[np.isnan(guess)] = np.nan  # the bits of a NaN that comes out of arithmetic differ between processors
    return guess


def counted(rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which rows enter a clip rate: those with a finite norm, so that clipping could act on it, and an update."""
    return np.isfinite(rows["norm_before"]) & ~rows["skipped"]
