"""A trained tensor: what it is called, and what it was like when the run began."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Parameter:
    """A trained tensor: the name it has in the model, its shape and type (as NumPy writes it; "" where not known).

    `gain`, of a weight of two or more dimensions, is sqrt(mean(w²) fan_in) when the run began: by what factor a layer
    multiplies the size of its input. Usual initialisations have 0.5 to 2. None where it is not known.
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: str = field(default="", compare=False)  # a run that goes on in another type is the same run
    gain: float | None = field(default=None, compare=False)


def gain(norm: float, outputs: int) -> float | None:
    """Gain of a weight with this norm that has so many outputs, sqrt(Σ w² / outputs); None if it is not finite."""
    found = norm / math.sqrt(outputs) if outputs else math.nan
    return found if math.isfinite(found) else None
