"""What the tab shows of each run: what was recorded, or an ordinary scalar as its loss, or both."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from tensorboard.data.provider import DataProvider

from tb_gradclip.core import loss_tag
from tb_gradclip.plugin import limits
from tb_gradclip.storage.provider import ProviderRuns
from tb_gradclip.storage.scalars import Curve, ProviderScalars
from tb_gradclip.storage.source import Recorded

MOST_CHOICES = 100
"""Tags of a run that are held for its loss: a log may have any number, and nobody reads a longer list."""

MOST_OF_CHOICES = 100_000
"""Characters of all of them; a longer tag is no loss that is found."""


class Shown(NamedTuple):
    """A run with gradclip data, with a scalar for its loss, or with both.

    `recorded`: None where there are only scalars. `curve`: the scalar that stands for the loss; None where that is the
    recorded one. `choices`: tags that could be the loss, the best first, at most `MOST_CHOICES` of
    `MOST_OF_CHOICES` characters together.
    """

    name: str
    recorded: Recorded | None
    curve: Curve | None
    choices: tuple[str, ...]

    @property
    def origin(self) -> float:
        """The time that the relative axis counts from, in seconds since 1970."""
        if self.recorded is not None:
            return float(self.recorded.lines.first(self.recorded.run.steps)["wall_time"])
        return np.nan if self.curve is None else float(self.curve.points["wall_time"][0])

    @property
    def made_of(self) -> list[object]:
        """Objects that are others once anything of it has changed but its `choices`."""
        recorded: list[object] = [] if self.recorded is None else [self.recorded.run]
        return recorded if self.curve is None else [*recorded, self.curve, self.curve.points]


class ShownRuns:
    """Runs of one experiment as the tab shows them; safe to share between threads.

    Args:
      provider: where records and scalars come from.
      kinds: the kinds of record that are wanted.
    """

    def __init__(self, provider: DataProvider, kinds: Collection[str]) -> None:
        self._records = ProviderRuns(provider, kinds)
        self._scalars = ProviderScalars(provider)
        self._choices: tuple[Any, dict[str, tuple[str, ...]]] = None, {}

    def recorded(self, ctx: Any, experiment_id: str) -> Mapping[str, Recorded]:
        """Every run with gradclip data, in order of name."""
        return self._records.runs(ctx, experiment_id)

    @property
    def problems(self) -> Mapping[str, tuple[str, ...]]:
        """What could not be read when runs were asked for last, a sentence each, by the name of the run."""
        return self._records.problems

    def runs(self, ctx: Any, experiment_id: str, loss: str | None = None) -> Mapping[str, Shown]:
        """Every run with gradclip data or with a loss among its scalars, in order of name.

        Args:
          ctx: the provider's.
          experiment_id: the provider's.
          loss: the scalar to take for the loss of every run that has it. The others' is what they recorded, or where no
            step has a loss the best of their `choices`.
        """
        recorded = self._records.runs(ctx, experiment_id)
        tags = self._scalars.tags(ctx, experiment_id)
        choices = self._ranked(tags)
        wanted = {run: loss for run, own in tags.items() if loss in own} if loss else {}
        for run, own in choices.items():
            if own and run not in wanted and not _has_loss(recorded.get(run)):
                wanted[run] = own[0]
        states = {(run, tag): tags[run][tag] for run, tag in wanted.items()}
        curves = self._scalars.curves(ctx, experiment_id, states)
        by_run = {run: curve for (run, _), curve in curves.items()}
        names = sorted(recorded.keys() | by_run.keys())
        return {name: Shown(name, recorded.get(name), by_run.get(name), choices.get(name, ())) for name in names}

    def any_loss(self, ctx: Any, experiment_id: str) -> bool:
        """Whether any scalar could be a loss; nothing is read for it."""
        return any(self._ranked(self._scalars.tags(ctx, experiment_id)).values())

    def _ranked(self, tags: Mapping[str, Mapping[str, Any]]) -> Mapping[str, tuple[str, ...]]:
        """Choices of every run, worked out once for every listing."""
        listing, choices = self._choices
        if listing is not tags:
            choices = {run: _choices(own) for run, own in tags.items()}
            self._choices = tags, choices
        return choices


def _choices(tags: Iterable[str]) -> tuple[str, ...]:
    best = loss_tag.ranked(tags)[:MOST_CHOICES]
    return tuple(best[place] for place in limits.fitting(best, MOST_OF_CHOICES))


def _has_loss(recorded: Recorded | None) -> bool:
    return recorded is not None and recorded.lines.totals(recorded.run.steps).losses > 0
