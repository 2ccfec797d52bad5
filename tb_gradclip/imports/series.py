"""What every format is read to: steps with their norms, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.imported import Imported
from tb_gradclip.core.rules import Floats


class WrongSourceError(ValueError):
    """What was given is not a log that can be imported; the message says why, and what to do."""


@dataclass(frozen=True)
class Names:
    """Columns or tags to look at; None has them guessed."""

    loss: str | None = None
    norm: str | None = None
    threshold: str | None = None
    step: str | None = None
    time: str | None = None


@dataclass(frozen=True)
class Series:
    """T logged steps of one run.

    Args:
      name: what to call the run.
      imported: what they come from.
      steps: shape [T], ascending, each once.
      norms: shape [T], 0 or more, NaN or infinite.
      losses: shape [T]; of those that are `given`, NaN is what was logged.
      given: shape [T], which steps have a loss.
      thresholds: shape [T], NaN where none is known; None where the log has none.
      times: shape [T], seconds since 1970.
      skipped: shape [T], which updates a loss scaler skipped; None where the log does not say.
      max_norm: the threshold that the log names as a setting; 0 for no clipping, None where it names none.
      framework, library: who trained, "other" where that is not known.
      epsilon: what the library adds to a norm before it divides.
    """

    name: str
    imported: Imported
    steps: NDArray[np.int64]
    norms: Floats
    losses: Floats
    given: NDArray[np.bool_]
    thresholds: Floats | None
    times: Floats
    skipped: NDArray[np.bool_] | None = None
    max_norm: float | None = None
    framework: str = "other"
    library: str = "other"
    epsilon: float = 0.0
