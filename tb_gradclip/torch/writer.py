"""What users of PyTorch call."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import torch

from tb_gradclip.actions import OnAlert
from tb_gradclip.collector import CollectedWriter, Collector, Stopwatch
from tb_gradclip.core.rules import TORCH_EPSILON, Rule
from tb_gradclip.core.schedule import HISTOGRAM_EVERY
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import Nowhere
from tb_gradclip.torch import amp
from tb_gradclip.torch.arguments import (
    Model,
    Tensors,
    check_threshold,
    described,
    distinct,
    named_parameters,
    read,
    sink_of,
)
from tb_gradclip.torch.calls import Call
from tb_gradclip.torch.counts import Room
from tb_gradclip.torch.direction import Direction
from tb_gradclip.torch.gradients import Groups
from tb_gradclip.torch.lint import ClipLint
from tb_gradclip.torch.measuring import Measuring
from tb_gradclip.torch.open_step import OpenStep
from tb_gradclip.torch.outbox import Outbox
from tb_gradclip.torch.processes import Team

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

STEPS_PER_ROUND, BYTES_PER_ROUND = 128, 4 << 20
"""Steps that are recorded together, or bytes of their histograms; what takes longer is looked after twice a second."""

MOST_WAITING, MOST_HELD = 4096, 256 << 20
"""Steps and bytes that may wait to be recorded before the training thread has to help: nothing is dropped."""


class ClipWriter(Measuring, CollectedWriter):
    """Clips gradients as `torch.nn.utils` does, and records what that did to them.

    A step whose gradient norm stands out (six sigma and four times above its running mean, or not finite) has a
    histogram of its own, before and after clipping, as far as nobody has to wait for it: on a CPU, or with `immediate`.
    On a GPU, and where only the loss shows that something happened, the next step has one: next to it if the loss is a
    number or on a CPU, otherwise next to what is known then, up to 128 steps or half a second later. There may be 32 of
    these, 50 steps apart, and one for every four on schedule. Of a model in shards only the schedule's are counted.

    Args:
      logdir: directory of the run, or the `torch.utils.tensorboard.SummaryWriter` whose event file to share. Give the
        writer if you have one: TensorBoard follows only one event file at a time in a directory.
      model: the module that is trained, or (name, parameter) pairs as `named_parameters()` gives them. Where several
        processes train it, each makes a writer, after `DistributedDataParallel` or `fully_shard`; the first one writes.
      on_alert: None, "log", "warn", "raise", a function of the alert, or (kinds, action) pairs of these; see
        `tb_gradclip.actions.action_of`. On a CPU an alert comes with the step it is about, on a GPU up to 128 steps or
        half a second later, because nothing waits for it.
      immediate: let every step wait for the GPU, so that an alert comes with its step there too, and a gradient whose
        norm stands out is counted at its step.
      histogram_every: steps between histograms at first (they thin out as the run grows), beside which steps that stand
        out have one; 0 for none at all.
      start_step: number of the first optimizer step, for a run that is resumed.

    Raises:
      TypeError: `model` is DeepSpeed's or FullyShardedDataParallel's, whose gradients only they can put together.
      ValueError: a setting is out of range, or the model has no parameters.
      OSError: `logdir` cannot be written.

    Example:
      >>> writer = ClipWriter("runs/lstm", model)                            # doctest: +SKIP
      >>> loss.backward()                                                    # doctest: +SKIP
      >>> writer.clip_grad_norm_(model.parameters(), max_norm=0.25)          # doctest: +SKIP
      >>> optimizer.step()                                                   # doctest: +SKIP
      >>> writer.step(loss)                                                  # doctest: +SKIP
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str] | SummaryWriter,
        model: Model,
        *,
        on_alert: OnAlert = None,
        histogram_every: int = HISTOGRAM_EVERY,
        start_step: int = 0,
        immediate: bool = False,
    ) -> None:
        super().__init__()
        named = named_parameters(model)
        self._parameters = list(named.values())
        self._index = {id(parameter): i for i, parameter in enumerate(self._parameters)}
        team = Team.of(self._parameters)
        self._idle, self._shards, self._alone = team.idle, team.shards, team.size == 1
        self._recorder = Recorder(
            sink_of(logdir) if team.writes else Nowhere(),
            framework="torch",
            library=f"torch {torch.__version__}",
            parameters=described(named),
            on_alert=on_alert,
            histogram_every=histogram_every,
            start_step=start_step,
            replicas=team.size,
        )
        devices = {parameter.device for parameter in self._parameters}
        self._own = Stopwatch()
        self._outbox = Outbox(len(named), devices)
        self._undo = contextlib.ExitStack()
        self._undo.callback(amp.observe(self))
        spread = self._shards.spread  # then other processes count on this one even when it is closed
        drain = (lambda: None) if spread else self._undo.close
        self._collector = Collector(self._recorder, self._outbox.fetch, self._own, drain)
        weakref.finalize(self, self._undo.close).atexit = False
        if not team.writes:
            self._collector.close()
        weakref.finalize(self, self._collector.close).atexit = False  # the collector's own hook is early enough
        self._looks = immediate or devices == {torch.device("cpu")}
        self._collect_every_step = on_alert is not None and self._looks
        self._step = start_step
        self._groups = Groups(self._index)
        self._open = OpenStep(self._parameters)
        self._room = Room()
        self._lint = ClipLint(self._recorder, self._parameters)
        self._updated: Collection[int] = range(len(named))  # what optimizers are known to update

    @torch.no_grad()
    def clip_grad_norm_(
        self,
        parameters: Tensors,
        max_norm: float,
        norm_type: float = 2.0,
        error_if_nonfinite: bool = False,
        foreach: bool | None = None,
    ) -> torch.Tensor:
        """`torch.nn.utils.clip_grad_norm_`: same arguments, same result to the last bit, recorded.

        Every gradient is multiplied by min(1, max_norm / (n + 1e-6)) with n the norm of all of them together, which
        is returned. An infinite norm multiplies by 0, a NaN makes all gradients NaN.

        Raises:
          ValueError: `max_norm` is negative or NaN, or a parameter is not one of the model's.
          RuntimeError: the norm is not finite and `error_if_nonfinite` is set; gradients are then untouched.
        """
        check_threshold("max_norm", max_norm)
        if self._idle:
            return torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)
        tensors, parameters = read(parameters)
        arguments = parameters, max_norm, norm_type, error_if_nonfinite, foreach
        begun = self._begun(tensors)
        if begun is None:
            return torch.nn.utils.clip_grad_norm_(*arguments)
        grads, counted = begun
        if grads.group.repeated:
            self._warn("a parameter was given twice: its gradient counts twice in the norm and is clipped twice")
            with self._harmless():
                self._lint.look_at_call(self._step, grads)
            with self.clipping(tensors):
                return torch.nn.utils.clip_grad_norm_(*arguments)
        library = error_if_nonfinite or foreach is False or grads.half or not grads.fused or self._shards.spread
        call = None
        with self._harmless():
            rule = Rule("global_norm", float(max_norm), epsilon=TORCH_EPSILON, norm_type=float(norm_type))
            self._lint.look_at_call(self._step, grads)
            call = Call(rule, grads.indices, grads.norms(rule.norm_type), rounded=grads.half)
            call.lengths = None if rule.norm_type == 2.0 else grads.norms()
            call.total = None if library else torch.linalg.vector_norm(call.norms, rule.norm_type)
            self._count_before(grads, call)
        if call is None or call.total is None:
            with self._open.uncounted_if_it_fails(counted):
                total = torch.nn.utils.clip_grad_norm_(*arguments)
        else:  # what the library does, with the norms that are there already
            total = call.total
            grads.scale_(rule.threshold, total)
        if call is not None:
            with self._harmless():
                call.total = total
                self._open.end(self._shards.join(call))
        return total

    @torch.no_grad()
    def clip_grad_value_(self, parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
        """`torch.nn.utils.clip_grad_value_`: same arguments, same result to the last bit, recorded.

        Every element is clamped to [-clip_value, clip_value]: infinities too, NaN stays.

        Raises:
          ValueError: `clip_value` is negative or NaN, or a parameter is not one of the model's.
        """
        check_threshold("clip_value", clip_value)
        if self._idle:
            torch.nn.utils.clip_grad_value_(parameters, clip_value, foreach)
            return
        tensors = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        begun = self._begun(tensors)
        if begun is None:
            torch.nn.utils.clip_grad_value_(tensors, clip_value, foreach)
            return
        grads, counted = begun
        call = direction = None
        with self._harmless(), self._own:
            self._lint.look_at_call(self._step, grads)
            call = Call(Rule.by_value(-float(clip_value), float(clip_value)), grads.indices, grads.norms())
            due = self._count_before(grads, call, float(clip_value))
            call.changed = grads.beyond(float(clip_value))
            direction = Direction.of(grads, call.norms) if due and not self._shards.spread else None
        with self._open.uncounted_if_it_fails(counted):
            torch.nn.utils.clip_grad_value_(tensors, clip_value, foreach)
        if call is not None:
            with self._harmless(), self._own:
                call.after = grads.norms()
                self._open.end(self._shards.join(call))
                if direction is not None:
                    self._open.histogram.cosine = direction.cosine(grads, call.after)

    @contextlib.contextmanager
    def clipping(self, parameters: Tensors | None = None) -> Iterator[None]:
        """Record any other clipping: gradients are measured on entry and on exit.

        Where their histogram is counted, so is the cosine of the angle by which clipping turns the gradient.

        Args:
          parameters: those that are clipped; all of the model's if None.

        Raises:
          ValueError: a parameter is not one of the model's.

        >>> with writer.clipping():                                          # doctest: +SKIP
        ...     adaptive_clip(model.parameters())
        """
        begun = None if self._idle else self._begun(self._parameters if parameters is None else distinct(parameters))
        if begun is None:
            yield
            return
        grads, counted = begun
        call = direction = None
        with self._harmless(), self._own, torch.no_grad():
            self._lint.look_at_call(self._step, grads)
            call = Call(Rule("custom"), grads.indices, grads.norms())
            due = self._count_before(grads, call)
            direction = Direction.of(grads, call.norms) if due and not self._shards.spread else None
        with self._open.uncounted_if_it_fails(counted):
            yield
        if call is None:
            return
        with self._harmless(), self._own, torch.no_grad():
            # Clipping may put new tensors into `.grad`; a gradient that it removed counts as zero.
            clipped = [self._parameters[index] for index in call.indices]
            left = [torch.zeros_like(p) if p.grad is None else p.grad for p in clipped]
            after = grads.replaced(self._shards.local(left, call.indices))
            call.after = after.norms()
            if len(self._open.histogram.before) > counted:
                self._open.histogram.after += self._shards.count(after, self._room)
            self._open.end(self._shards.join(call))
            if direction is not None:
                self._open.histogram.cosine = direction.cosine(after, call.after)

    def step(self, loss: torch.Tensor | float | None = None) -> None:
        """Record the optimizer step that was just made, with its loss.

        A step without a clip call is recorded as not clipped, with the norms its gradients have now: call it before
        `zero_grad`.

        Raises:
          ValueError: `loss` has more than one element.
          DivergenceError: an alert came up and `on_alert` is "raise".
        """
        loss = self._one_number(loss)
        if self._idle:
            return
        with self._harmless(), self._own, torch.no_grad():
            self._finish_step(loss)
        with self._harmless():
            self._pass_on()
        self._recorder.act()

    def _pass_on(self) -> None:
        """Have the steps in the outbox recorded, if it is time to."""
        waiting, held = len(self._outbox), self._outbox.held
        if self._collect_every_step or waiting >= MOST_WAITING or held >= MOST_HELD:
            self._collector.collect()
        elif waiting >= STEPS_PER_ROUND or held >= BYTES_PER_ROUND:
            self._collector.wake()

    def _after_scaler_step(self, optimizer: torch.optim.Optimizer, update: amp.Update | None) -> None:
        with self._harmless(), torch.no_grad():
            amp.note(self, optimizer, update)
