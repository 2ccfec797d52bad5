"""What a clip call does not tell in numbers: whether it was given the right gradients. See `core.lint.FINDINGS`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch

from tb_gradclip.recorder import Recorder
from tb_gradclip.torch.gradients import Gradients

STEPS_PER_LOOK = 25
"""Steps between looks for parameters that no clip call is given: each takes as long as the model has parameters. It is
an odd number, so that of two kinds of step that take turns both are looked at."""


class ClipLint:
    """Reports clip calls without a gradient, with a parameter twice, and parameters that none of them was given.

    The last is looked for at every 25th step, once there was a clip call: a parameter that has a gradient then and was
    in none so far is not covered.

    Args:
      recorder: where findings go.
      parameters: all of the model's.
    """

    def __init__(self, recorder: Recorder, parameters: Sequence[torch.Tensor]) -> None:
        self._recorder, self._parameters = recorder, parameters
        self._covered: set[int] = set()
        self._steps = 0

    def look_at_call(self, step: int, grads: Gradients) -> None:
        """Look at what a clip call is about to change."""
        group = grads.group
        if not grads.tensors:
            self._recorder.add_finding("no_gradient", step)
        if group.repeated:
            twice = {place for place in group.indices if group.indices.count(place) > 1}
            self._recorder.add_finding("counted_twice", step, names=self._names(twice))
        if not group.clipped:
            group.clipped = True
            self._covered.update(group.indices)

    def look_at_step(self, step: int, updated: Collection[int]) -> None:
        """Look at a step whose update is made of the gradients at these places."""
        self._steps += 1
        if self._steps % STEPS_PER_LOOK or len(self._covered) in (0, len(self._parameters)):
            return
        left = [i for i in updated if i not in self._covered and self._parameters[i].grad is not None]
        if left:
            self._recorder.add_finding("not_covered", step, names=self._names(left))

    def _names(self, places: Collection[int]) -> list[str]:
        return [self._recorder.parameters[place].name for place in sorted(places)]
