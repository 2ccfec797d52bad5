"""What is known of the step that is being made, until it is put into the outbox."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from tb_gradclip.torch.calls import Call
from tb_gradclip.torch.outbox import Histogram
from tb_gradclip.torch.sharded import local


@dataclass
class OpenStep:
    """A step in the making.

    Args:
      parameters: all of the model's.
      calls: clip calls so far. One that is followed by another for the same parameters, whose gradients have changed
        in between, is dropped: they were added to, and only the sum is used.
      histogram: counts of their gradients so far.
      due: whether they are counted, all or none of the step's; None before that was decided.
      skips: whether the loss scaler skipped, for each of its steps so far; on the device, and not 0 if so, or known.
      left_scaled: parameters whose gradients the update leaves multiplied, and by what.
    """

    parameters: Sequence[torch.Tensor]
    calls: list[Call] = field(default_factory=list)
    histogram: Histogram = field(default_factory=Histogram)
    due: bool | None = None
    skips: list[torch.Tensor | bool] = field(default_factory=list)
    left_scaled: list[tuple[list[torch.Tensor], torch.Tensor]] = field(default_factory=list)

    def begin(self, indices: list[int]) -> int:
        """Make way for a call for these parameters; returns how many counts there are before it."""
        if self.calls:
            now = set(indices)
            for call in self.calls:
                call.superseded = call.seen != self._sight(call) and not now.isdisjoint(call.indices)
                if call.superseded:
                    self.histogram.drop(call.indices)
            self.calls = [call for call in self.calls if not call.superseded]
            if not self.calls and not self.due:
                self.due = None
        return len(self.histogram.before)

    def end(self, call: Call) -> None:
        """Add a call that was made."""
        self.calls.append(call)
        self.look(call.indices)

    def look(self, indices: Iterable[int]) -> None:
        """Take note of what the gradients of these parameters are like now."""
        now = set(indices)
        for call in self.calls:
            if not now.isdisjoint(call.indices):
                call.seen = self._sight(call)

    @contextlib.contextmanager
    def uncounted_if_it_fails(self, counted: int) -> Iterator[None]:
        """Forget counts of gradients, but for the first so many, if clipping them raises."""
        try:
            yield
        except BaseException:
            del self.histogram.before[counted:]
            raise

    def _sight(self, call: Call) -> tuple[int, int]:
        """What changes whenever the first gradient of a call does."""
        gradient = self.parameters[call.indices[0]].grad if call.indices else None
        return (0, 0) if gradient is None else (id(gradient), local(gradient)._version)
