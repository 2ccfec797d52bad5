"""Every optimizer of a script that knows nothing of it, watched from its first clip call or update on.

- Each optimizer is a run of its own. One that updates parameters of an earlier one, as when a second takes over, goes
  on with that run; those whose parameters the first clip call takes together share one.
- Parameters that the script records itself are left to it.
"""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Callable, Iterable, Set
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tb_gradclip.observation import Observation
from tb_gradclip.torch import amp, clip_calls
from tb_gradclip.torch.arguments import Tensors, read
from tb_gradclip.torch.losses import Losses, loss_of
from tb_gradclip.torch.owners import owned
from tb_gradclip.torch.patches import Patch
from tb_gradclip.torch.sharded import is_sharded
from tb_gradclip.torch.updates import UpdateWriter

MOST_RUNS = 16
"""Runs at a time; more optimizers than that are parts of one, each for a single parameter perhaps."""


def install(observation: Observation) -> None:
    """Watch every optimizer from now on, until the program ends."""
    watch = _Watch(observation)
    own = (
        Patch(torch.optim.Optimizer, "__init__", watch.around_construction),
        Patch(torch.autograd, "backward", watch.around_backward),
        Patch(torch.amp.GradScaler, "step", watch.around_scaler_step),
        *(
            Patch(torch.nn.utils, name, watch.around_clip)
            for name in ("clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_")
        ),
    )
    for patch in (*clip_calls.PATCHES, *amp.PATCHES, *own):  # ours come last, so that the others see what ours begin
        patch.start()
    register_optimizer_step_pre_hook(watch.before_step)


class _Writer(UpdateWriter):
    """A writer that finds the losses of its steps by itself."""

    losses: Losses
    recorded: Callable[[], None]

    def _end_step(self) -> None:
        self.recorded()
        loss = self.losses.take()
        if loss is not None:
            self.add_loss(loss)
        super()._end_step()


class _Watch:
    """Optimizers the script has made, and what is done when they come to something."""

    def __init__(self, observation: Observation) -> None:
        self._observation = observation
        self._losses: weakref.WeakKeyDictionary[torch.optim.Optimizer, Losses] = weakref.WeakKeyDictionary()
        self._begun: weakref.WeakSet[torch.optim.Optimizer] = weakref.WeakSet()
        self._writers: weakref.WeakSet[_Writer] = weakref.WeakSet()

    def around_construction(
        self, original: Callable[..., None], optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any
    ) -> None:
        original(optimizer, *args, **kwargs)
        with self._observation.harmless():
            self._losses[optimizer] = Losses(list(amp.updated(optimizer)))

    def around_backward(
        self, original: Callable[..., None], tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        losses: list[Losses] = []
        loss = None
        if self._losses and grad_tensors is None and self._observation.here:
            with self._observation.harmless(), torch.no_grad():
                loss = loss_of(tensors)
                losses = list({id(found): found for found in self._losses.values()}.values())
                for each in losses:
                    each.before_backward()
        original(tensors, grad_tensors, *args, **kwargs)
        if loss is not None:
            with self._observation.harmless(), torch.no_grad():
                for each in losses:
                    each.after_backward(loss)

    def around_clip(self, original: Callable[..., Any], parameters: Tensors, *args: Any, **kwargs: Any) -> Any:
        waiting = [optimizer for optimizer in list(self._losses) if optimizer not in self._begun]
        if waiting:
            tensors, parameters = read(parameters)
            clipped = set(map(id, tensors))
            self._begin(_clipped_together(waiting, clipped), clipped)
        return original(parameters, *args, **kwargs)

    def around_scaler_step(
        self, original: Callable[..., Any], scaler: torch.amp.GradScaler, optimizer: Any, *args: Any, **kwargs: Any
    ) -> Any:
        if isinstance(optimizer, torch.optim.Optimizer):
            self._begin([optimizer])
            with self._observation.harmless(), torch.no_grad():
                if losses := self._losses.get(optimizer):
                    losses.unscale(scaler)
        return original(scaler, optimizer, *args, **kwargs)

    def before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        del args, kwargs
        if not torch.compiler.is_compiling():
            self._begin([optimizer])

    def _begin(self, optimizers: Iterable[torch.optim.Optimizer], clipped: Set[int] = frozenset()) -> None:
        """Begin to record those that are not yet; `clipped` are identities of what is being clipped."""
        new = [optimizer for optimizer in optimizers if optimizer not in self._begun]
        if not new or not self._observation.here:
            return
        self._begun.update(new)
        with self._observation.harmless():
            others = {writer for optimizer in new for writer in amp.writers_of(optimizer)}
            shared = next((writer for writer in self._writers if writer in others), None)
            if shared is not None:
                for optimizer in new:
                    shared.follow(optimizer)
                    self._losses[optimizer] = shared.losses
            elif others:
                for optimizer in new:
                    self._losses.pop(optimizer, None)
            else:
                self._begin_run(new, clipped)

    def _begin_run(self, optimizers: list[torch.optim.Optimizer], clipped: Set[int]) -> None:
        if len(self._writers) >= MOST_RUNS:
            gc.collect()  # optimizers that are no longer used, of earlier folds perhaps
        refusal = _refusal(optimizers, len(self._writers))
        if refusal is not None:
            self._observation.say(refusal)
            for optimizer in optimizers:
                self._losses.pop(optimizer, None)
            return
        own = {id(parameter) for optimizer in optimizers for parameter in amp.updated(optimizer)}
        known = {id(parameter) for optimizer in list(self._losses) for parameter in amp.updated(optimizer)}
        owners, named = owned(optimizers, clipped, known - own)
        run = self._observation.new_run(type(owners[0] if owners else optimizers[0]).__name__)
        writer = _Writer(run, named)
        writer.recorded = functools.partial(self._observation.recorded, run)
        writer.losses = self._losses.get(optimizers[0]) or Losses(list(amp.updated(optimizers[0])))
        for optimizer in optimizers:
            self._losses[optimizer] = writer.losses
        writer.observe(optimizers)
        self._writers.add(writer)


def _refusal(optimizers: list[torch.optim.Optimizer], runs: int) -> str | None:
    """Why these are not recorded; None if they can be."""
    if runs >= MOST_RUNS:
        return f"there are more than {MOST_RUNS} optimizers at a time; no further ones are recorded"
    if any(is_sharded(parameter) for optimizer in optimizers for parameter in amp.updated(optimizer)):
        return (
            "parameters of which each process has a shard are not recorded: that takes every process, and this is only "
            "one. Call tb_gradclip.torch.watch in the script"
        )
    return None


def _clipped_together(optimizers: list[torch.optim.Optimizer], clipped: set[int]) -> list[torch.optim.Optimizer]:
    """Those with parameters among the clipped ones; of several that have the same, which take turns, the first."""
    together: list[torch.optim.Optimizer] = []
    taken: set[int] = set()
    for optimizer in optimizers:
        own = set(map(id, amp.updated(optimizer)))
        if not own.isdisjoint(clipped) and own.isdisjoint(taken):
            together.append(optimizer)
            taken |= own
    return together
