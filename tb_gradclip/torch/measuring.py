"""What a writer measures of a step, whichever of its calls wants it measured."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch

from tb_gradclip.collector import Collector, Stopwatch
from tb_gradclip.core.rules import Rule, joint_norm
from tb_gradclip.harmless import Harmless
from tb_gradclip.recorder import Recorder
from tb_gradclip.torch import amp
from tb_gradclip.torch.arguments import one_number
from tb_gradclip.torch.calls import Call
from tb_gradclip.torch.counts import Room
from tb_gradclip.torch.gradients import Gradients, Groups
from tb_gradclip.torch.lint import ClipLint
from tb_gradclip.torch.open_step import OpenStep
from tb_gradclip.torch.outbox import Outbox, Step
from tb_gradclip.torch.processes import averaging
from tb_gradclip.torch.sharded import Shards, Whole


class Measuring(Harmless):
    """Measures gradients, and makes a step of what was measured. What it works with, the writer sets up."""

    _parameters: list[torch.Tensor]
    _shards: Whole | Shards
    _groups: Groups
    _room: Room
    _step: int
    _looks: bool  # whether a step may look at its norms: on a CPU they are there, a device would have to be waited for
    _alone: bool  # as far as is known: processes may join later
    _open: OpenStep
    _outbox: Outbox
    _recorder: Recorder
    _collector: Collector
    _own: Stopwatch
    _lint: ClipLint
    _updated: Collection[int]

    def _gradients(self, parameters: Sequence[torch.Tensor]) -> Gradients:
        """Gradients of those parameters that have one."""
        with self._own:
            group = self._groups.of(parameters)
            indices = group.indices
            grads = [grad for parameter in parameters if (grad := parameter.grad) is not None]
            if len(grads) < len(indices):
                indices = [i for i, parameter in zip(indices, parameters, strict=True) if parameter.grad is not None]
            return Gradients(indices, self._shards.local(grads, indices), group)

    def _begun(self, parameters: Sequence[torch.Tensor]) -> tuple[Gradients, int] | None:
        """What a call for these parameters is about to clip, and how many counts there were before it.

        None if that cannot be told: the call is then the library's alone.

        Raises:
          UsageError: a parameter is not one of the model's.
        """
        with self._harmless():
            grads = self._gradients(parameters)
            return grads, self._open.begin(grads.indices)
        return None

    def _one_number(self, loss: torch.Tensor | float | None) -> torch.Tensor | float | None:
        """The loss as it is now; None if it cannot be had.

        Raises:
          UsageError: it has more than one element.
        """
        with self._harmless():
            return one_number(loss)
        return None

    def _count_before(self, grads: Gradients, call: Call, bound: float = math.inf) -> bool:
        """Begin to count this step's gradients, not clipped yet, if it is time to or the call's norm stands out."""
        if self._open.due is None:
            self._open.due = self._is_due(call)
        if self._open.due:
            with self._own:
                counted = grads if call.scale is None else grads.divided(call.scale)
                self._open.histogram.before += self._shards.count(counted, self._room, bound)
        return self._open.due

    def _is_due(self, call: Call) -> bool:
        """Whether to count the gradients of the step whose first call this is."""
        if self._recorder.histogram_due(self._step):
            return True
        if self._shards.spread:  # counting is a collective, and each process has its own idea of what stands out
            return False
        if not self._looks:
            return self._recorder.standout.due(self._step)
        norm = _joint(call.norms if call.total is None else call.total, call.rule.norm_type)
        if call.scale is not None:
            norm /= _number(call.scale)
        return self._recorder.standout.due(self._step, norm)

    def _finish_step(self, loss: torch.Tensor | float | None) -> None:
        if self._alone:
            self._alone = False
            if averaging(self._parameters):
                self._warn(
                    "DistributedDataParallel came after the writer, so that every process records the same model. "
                    "Make the writer after it"
                )
        made, histogram = self._open, self._open.histogram
        self._lint.look_at_step(self._step, self._updated)
        if loss is not None and (self._looks or not isinstance(loss, torch.Tensor) or loss.is_cpu):
            self._recorder.standout.heed(self._step, _number(loss))
        if not made.calls:
            made.calls = [self._unclipped(*part) for part in amp.parts(self._parameters, made.left_scaled)]
        elif len(made.calls) > 1 and histogram.before and any(call.rule.kind != "none" for call in made.calls):
            # What several calls did to a parameter no rule tells.
            histogram.after, histogram.cosine = self._shards.count(self._gradients(self._parameters), self._room), None
        if self._collector.left_behind:
            self._warn(
                "nothing is recorded in this process, which was forked from the one that made the writer. Make it in "
                "the process that trains"
            )
        if not self._collector.closed:
            skipped = amp.none_made(made.skips)
            self._outbox.put(Step(self._step, time.time(), loss, made.calls, histogram, skipped))
        self._step += 1
        self._open = OpenStep(self._parameters)

    def _unclipped(self, parameters: list[torch.Tensor], scale: torch.Tensor | None) -> Call:
        """Measure gradients that no call has clipped, and that a loss scaler multiplied, perhaps."""
        grads = self._gradients(parameters)
        call = Call(Rule("none"), grads.indices, grads.norms(), scale=scale)
        self._count_before(grads, call)
        return self._shards.join(call)


def _joint(norms: torch.Tensor, norm_type: float) -> float:
    """Norm of all gradients together, from the norms of each or from itself. On a CPU this is no operation."""
    numbers: Any = norms.tolist()
    if isinstance(numbers, float):
        return numbers
    return math.hypot(*numbers) if norm_type == 2.0 else float(joint_norm(np.array(numbers), norm_type))


def _number(value: torch.Tensor | float) -> float:
    """The number in a tensor of one element. On a CPU this is no operation, as `float` would be."""
    number: Any = value.tolist() if isinstance(value, torch.Tensor) else value
    while isinstance(number, list):
        (number,) = number
    return float(number)
