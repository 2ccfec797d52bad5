"""How long what went wrong with a loss lasted, and when it is another time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tb_gradclip.core.alert import Alert

QUIET = 50
"""Steps between two episodes: a loss that was back for fewer was not back, and a spike so soon after is not told."""


@dataclass(frozen=True)
class Episode:
    """A time of too high a loss, `kind` `divergence` or `spike`; complete when it is over.

    It began at step `start`, when the running mean of the loss was `level`; the loss was highest, `peak`, at
    `peak_step`. `end` is the first step after it, None while it lasts. `recovered` says whether the loss came back:
    one that stayed high for 500 steps ends without.
    """

    kind: str
    start: int
    level: float
    peak: float
    peak_step: int
    end: int | None = None
    recovered: bool = False

    def goes_on_at(self, step: int) -> bool:
        """Whether a divergence that begins at this step is this one again, because it was not back for long."""
        back = self.kind == "divergence" and self.recovered
        return back and self.end is not None and step < self.end + QUIET

    def told_by(self, alert: Alert) -> Alert:
        """The alert with what is known of this episode."""
        return replace(
            alert,
            start=self.start,
            peak=self.peak,
            peak_step=self.peak_step,
            end=self.end,
            recovered=self.recovered,
        )
