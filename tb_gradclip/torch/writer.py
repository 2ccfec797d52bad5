"""What users of PyTorch call."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
import warnings
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from tb_gradclip.collector import CollectedWriter, Collector, Stopwatch
from tb_gradclip.core.rules import TORCH_EPSILON, Rule
from tb_gradclip.core.schedule import HISTOGRAM_EVERY
from tb_gradclip.core.schema import Parameter
from tb_gradclip.recorder import OnAlert, Recorder
from tb_gradclip.storage.write import EventFile, SharedFile, Sink
from tb_gradclip.torch.counts import Room
from tb_gradclip.torch.gradients import Gradients
from tb_gradclip.torch.norms import Norms
from tb_gradclip.torch.outbox import Call, Histogram, Outbox, Step

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Tensors = torch.Tensor | Iterable[torch.Tensor]

STEPS_PER_ROUND, BYTES_PER_ROUND = 128, 4 << 20
"""Steps that are recorded together, or bytes of their histograms; what takes longer is looked after twice a second."""

MOST_WAITING, MOST_HELD = 4096, 256 << 20
"""Steps and bytes that may wait to be recorded before the training thread has to help: nothing is dropped."""


class ClipWriter(CollectedWriter):
    """Clips gradients as `torch.nn.utils` does, and records what that did to them.

    Args:
      logdir: directory of the run, or the `torch.utils.tensorboard.SummaryWriter` whose event file to share. Give the
        writer if you have one: TensorBoard follows only one event file at a time in a directory.
      model: the module that is trained, or (name, parameter) pairs as `named_parameters()` gives them.
      on_alert: None, "warn", "raise" or a function of the alert; see `tb_gradclip.recorder.Recorder`. On a CPU an alert
        comes with the step it is about, on a GPU up to 128 steps or half a second later, because nothing waits for it.
      histogram_every: steps between histograms at first (they thin out as the run grows); 0 for none.
      start_step: number of the first optimizer step, for a run that is resumed.

    Raises:
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
        model: torch.nn.Module | Iterable[tuple[str, torch.Tensor]],
        *,
        on_alert: OnAlert = None,
        histogram_every: int = HISTOGRAM_EVERY,
        start_step: int = 0,
    ) -> None:
        named = list(model.named_parameters() if isinstance(model, torch.nn.Module) else model)
        if not named:
            raise ValueError("`model` must have parameters, got none. Make its layers before the writer.")
        self._parameters = [parameter for _, parameter in named]
        self._index = {id(parameter): i for i, parameter in enumerate(self._parameters)}
        self._names = [name for name, _ in named]
        self._recorder = Recorder(
            _sink(logdir),
            framework="torch",
            library=f"torch {torch.__version__}",
            parameters=[Parameter(name, tuple(parameter.shape)) for name, parameter in named],
            on_alert=on_alert,
            histogram_every=histogram_every,
            start_step=start_step,
        )
        devices = {parameter.device for parameter in self._parameters}
        self._own = Stopwatch()
        self._outbox = Outbox(len(named), devices)
        self._collector = Collector(self._recorder, self._outbox.fetch, self._own)
        weakref.finalize(self, self._collector.close).atexit = False  # the collector's own hook is early enough
        self._collect_every_step = on_alert is not None and devices == {torch.device("cpu")}
        self._step = start_step
        self._known: tuple[list[int], list[int]] = [], []
        self._calls: list[Call] = []
        self._histogram = Histogram()
        self._room = Room()
        self._norms = Norms()
        self._warned = False

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
        _check_threshold("max_norm", max_norm)
        if not isinstance(parameters, (torch.Tensor, list)):
            parameters = list(parameters)  # a generator is read once
        grads = self._gradients([parameters] if isinstance(parameters, torch.Tensor) else parameters)
        call = None
        with self._harmless():
            rule = Rule("global_norm", float(max_norm), epsilon=TORCH_EPSILON, norm_type=float(norm_type))
            self._lint(grads)
            self._count_before(grads)
            call = Call(rule, grads.indices, grads.norms(rule.norm_type))
        if call is None or error_if_nonfinite or foreach is False or not grads.fused:
            total = torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)
        else:  # what the library does, with the norms that are there already
            total = torch.linalg.vector_norm(call.norms, rule.norm_type)
            grads.scale_(rule.threshold, total)
        if call is not None:
            call.total = total
            self._calls.append(call)
        return total

    @torch.no_grad()
    def clip_grad_value_(self, parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
        """`torch.nn.utils.clip_grad_value_`: same arguments, same result to the last bit, recorded.

        Every element is clamped to [-clip_value, clip_value]: infinities too, NaN stays.

        Raises:
          ValueError: `clip_value` is negative or NaN, or a parameter is not one of the model's.
        """
        _check_threshold("clip_value", clip_value)
        tensors = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        grads = self._gradients(tensors)
        call = None
        with self._harmless(), self._own:
            self._lint(grads)
            self._count_before(grads, bound=float(clip_value))
            call = Call(Rule.by_value(-float(clip_value), float(clip_value)), grads.indices, grads.norms())
            call.changed = grads.norms(math.inf) > clip_value
        torch.nn.utils.clip_grad_value_(tensors, clip_value, foreach)
        if call is not None:
            with self._harmless(), self._own:
                call.after = grads.norms()
                self._calls.append(call)

    @contextlib.contextmanager
    def clipping(self) -> Iterator[None]:
        """Record any other clipping: gradients of the whole model are measured on entry and on exit.

        >>> with writer.clipping():                                          # doctest: +SKIP
        ...     adaptive_clip(model.parameters())
        """
        call = None
        with self._harmless(), self._own, torch.no_grad():
            grads = self._gradients(self._parameters)
            self._lint(grads)
            counted = self._count_before(grads)
            call = Call(Rule("custom"), grads.indices, grads.norms())
        yield
        if call is None:
            return
        with self._harmless(), self._own, torch.no_grad():
            # Clipping may put new tensors into `.grad`; a gradient that it removed counts as zero.
            parameters = [self._parameters[index] for index in call.indices]
            tensors = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
            after = Gradients(call.indices, tensors, self._norms)
            call.after = after.norms()
            if counted:
                self._histogram.after += after.count(self._room)
            self._calls.append(call)

    def step(self, loss: torch.Tensor | float | None = None) -> None:
        """Record the optimizer step that was just made, with its loss.

        A step without a clip call is recorded as not clipped, with the norms its gradients have now: call it before
        `zero_grad`.

        Raises:
          ValueError: `loss` has more than one element.
          DivergenceError: an alert came up and `on_alert` is "raise".
        """
        if isinstance(loss, torch.Tensor) and loss.numel() != 1:
            raise ValueError(f"`loss` must have one element, got shape {tuple(loss.shape)}. Pass loss.mean().")
        with self._harmless(), self._own, torch.no_grad():
            self._finish_step(loss)
        waiting, held = len(self._outbox), self._outbox.held
        if self._collect_every_step or waiting >= MOST_WAITING or held >= MOST_HELD:
            self._collector.collect()
        elif waiting >= STEPS_PER_ROUND or held >= BYTES_PER_ROUND:
            self._collector.wake()
        self._recorder.act()

    def _gradients(self, parameters: Sequence[torch.Tensor]) -> Gradients:
        """Gradients of those parameters that have one."""
        with self._own:
            ids = list(map(id, parameters))
            if ids != self._known[0]:  # the same parameters step after step are looked up once
                self._known = ids, self._places(parameters)
            indices = self._known[1]
            grads = [grad for parameter in parameters if (grad := parameter.grad) is not None]
            if len(grads) < len(indices):
                indices = [i for i, parameter in zip(indices, parameters, strict=True) if parameter.grad is not None]
            return Gradients(indices, grads, self._norms)

    def _places(self, parameters: Sequence[torch.Tensor]) -> list[int]:
        for place, parameter in enumerate(parameters):
            if id(parameter) not in self._index:
                raise ValueError(
                    f"`parameters` must belong to the model given to ClipWriter, got at position {place} a tensor "
                    f"of shape {tuple(parameter.shape)} that does not. Give ClipWriter that model."
                )
        return [self._index[id(parameter)] for parameter in parameters]

    def _lint(self, grads: Gradients) -> None:
        """Report what is wrong with a clip call that got these gradients."""
        if not grads.tensors:
            self._recorder.add_finding("no_gradient", self._step)

    def _count_before(self, grads: Gradients, bound: float = math.inf) -> bool:
        """Begin to count this step's gradients, not clipped yet, if it is time to."""
        due = self._recorder.histogram_due(self._step)
        if due:
            with self._own:
                self._histogram.before += grads.count(self._room, bound)
        return due

    def _finish_step(self, loss: torch.Tensor | float | None) -> None:
        if not self._calls:
            grads = self._gradients(self._parameters)
            self._count_before(grads)
            self._calls.append(Call(Rule("none"), grads.indices, grads.norms()))
        elif len(self._calls) > 1 and self._histogram.before and not self._histogram.after:
            # What several calls did to a parameter no rule tells.
            self._histogram.after += self._gradients(self._parameters).count(self._room)
        if isinstance(loss, torch.Tensor):
            loss = loss.detach().clone()  # what it becomes afterwards, a running sum perhaps, is not this step's
        if not self._collector.closed:
            self._outbox.put(Step(self._step, time.time(), loss, self._calls, self._histogram))
        self._step += 1
        self._calls, self._histogram = [], Histogram()

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        """Turn a failure of ours into one warning: training is worth more than its record."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            if not self._warned:
                warnings.warn(f"gradclip missed a step: {error!r}. Training is not affected.", stacklevel=4)
            self._warned = True


def _sink(logdir: Any) -> Sink:
    if isinstance(logdir, (str, os.PathLike)):
        return EventFile(logdir)
    tensorboard = sys.modules.get("torch.utils.tensorboard")  # importing it takes seconds where TensorFlow is installed
    if tensorboard is not None and isinstance(logdir, tensorboard.SummaryWriter):
        return SharedFile(logdir)
    raise TypeError(
        f"`logdir` must be a path or a torch.utils.tensorboard.SummaryWriter, got {type(logdir).__name__}. "
        "Pass the directory of the run."
    )


def _check_threshold(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"`{name}` must be 0 or more, got {value!r}. A negative one would turn gradients around.")
