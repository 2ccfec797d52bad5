"""What follows from a run's step table and windows: the part of `Run` that computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rates import ClipRate, windowed_clip_rate, windowed_throttle
from tb_gradclip.core.rules import Floats, Rule
from tb_gradclip.core.schema import WINDOW_DTYPE, Window
from tb_gradclip.core.what_if import WhatIf, recorded_norms

if TYPE_CHECKING:
    import pandas as pd

WINDOW = 100
"""Steps that a rate looks back over, as in the dashboard."""

NO_PANDAS = 'to_pandas() needs pandas, which is not installed. Install it: pip install pandas. "steps" needs nothing.'


class ParameterNorms(NamedTuple):
    """Statistics of P parameters over W windows of steps, in the order of `run.parameters` and of steps.

    `first_step`, `last_step`, `steps`: shape [W], int64; both steps are in the window, which has so many recorded ones.
    `norm_before_mean`, `norm_before_max`, `norm_after_mean`: shape [W, P], float32; over the steps with a finite norm,
    NaN where there are none. `clipped`, `nonfinite`: shape [W, P], uint32; steps in which the parameter was clipped, or
    its norm was NaN or infinite.
    """

    first_step: NDArray[np.int64]
    last_step: NDArray[np.int64]
    steps: NDArray[np.int64]
    norm_before_mean: NDArray[np.float32]
    norm_before_max: NDArray[np.float32]
    norm_after_mean: NDArray[np.float32]
    clipped: NDArray[np.uint32]
    nonfinite: NDArray[np.uint32]


class Derived:
    """Methods of a run, about these fields of it."""

    framework: str
    rule: Rule
    parameters: tuple[Parameter, ...]
    steps: NDArray[np.void]
    windows: list[Window]

    def clip_rate(self, window: int = WINDOW) -> ClipRate:
        """Share of clipped steps with its Wilson 95 % interval, at every step over the last `window` ones.

        Steps whose norm is not finite, or whose update a loss scaler skipped, are not counted.

        Args:
          window: recorded steps to look back over, the step's own included; 1 or more. Before there are so many, those
            there are.

        Returns:
          `rate`, `low`, `high` from 0 to 1, and `steps`, how many count: arrays of shape [T] for T rows in `steps`,
          float64. The first three are NaN where no step counts, and throughout where the rule is `none`.

        Raises:
          ValueError: the window is not a whole number of 1 or more.
        """
        found = windowed_clip_rate(self.steps, _checked(window))
        if self.rule.kind != "none":
            return found
        unknown = np.full(len(self.steps), np.nan)
        return ClipRate(unknown, unknown, unknown, found.steps)

    def throttle(self, window: int = WINDOW) -> Floats:
        """Share of gradient length that clipping removed, at every step over the last `window` ones.

        1 - Σ norm_after / Σ norm_before, of the steps that count as in `clip_rate` and whose `norm_after` is finite.

        Args:
          window: as of `clip_rate`.

        Returns:
          Shape [T], float64, at most 1; NaN where no step counts or all norms are 0, and throughout where the rule is
          `none`.

        Raises:
          ValueError: the window is not a whole number of 1 or more.
        """
        found = windowed_throttle(self.steps, _checked(window))
        return found if self.rule.kind != "none" else np.full(len(self.steps), np.nan)

    def what_if(self, thresholds: ArrayLike) -> WhatIf:
        """What clipping by global norm would have done to this run's gradients, had training been the same.

        Another threshold would have led training elsewhere: treat the answer as a starting point. Whatever the rule of
        the run, it is about one threshold for the norm of all gradients together, in the unit of `norm_before`. Steps
        whose norm is not finite, or whose update a loss scaler skipped, are left out.

        Args:
          thresholds: K norms to clip at, or one; 0 or more.

        Returns:
          `threshold`, `clip_rate` (share of steps whose norm is above it) and `throttle` (share of gradient length
          removed), arrays of shape [K]. The shares are from 0 to 1; NaN where no step counts, the throttle also where
          all norms are 0.

        Raises:
          ValueError: a threshold is negative or NaN.
        """
        return recorded_norms(self.steps, self.rule, self.framework).at(thresholds)

    def parameter_norms(self) -> ParameterNorms:
        """Norms of single parameters over windows of steps, 16 at first and longer as the run grows.

        W is 0 where no window is complete, as in the first steps of a run that trains. Where a run was resumed from an
        earlier step, the last window before that may reach into the steps that were made again.
        """
        shape = len(self.windows), len(self.parameters)
        rows = np.stack([window.rows for window in self.windows]) if self.windows else np.empty(shape, WINDOW_DTYPE)
        spans = np.array([(w.first_step, w.last_step, w.steps) for w in self.windows], np.int64).reshape(-1, 3)
        return ParameterNorms(*spans.T, *(rows[name] for name in WINDOW_DTYPE.names or ()))

    def to_pandas(self) -> pd.DataFrame:
        """The step table as a DataFrame, indexed by `step`, with all other columns of `steps` and their types.

        `wall_time` stays in seconds since 1970. What is missing is NaN, as in `steps`. It is a copy.

        Raises:
          ImportError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(NO_PANDAS) from error
        columns: dict[str, Any] = {name: self.steps[name].copy() for name in self.steps.dtype.names or ()}
        return pd.DataFrame(columns).set_index("step")


def _checked(window: int) -> int:
    if not isinstance(window, int | np.integer) or isinstance(window, bool) or window < 1:
        raise ValueError(f"`window` must be a whole number of steps, 1 or more, got {window!r}.")
    return int(window)
