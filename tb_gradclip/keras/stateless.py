"""Hooks for JAX, where a training step assigns to nothing: what changes goes in and comes out.

Strategy: the ring travels beside the state of the model, `(state, ring)` in the place of `state`, through whatever
Keras makes of the training step (compiled, several batches in a call). For the time of the optimizer's own stateless
call, the ring's variables are among the optimizer's, so that they pass through its conditionals like any of its own:
an update that is discarded, because gradients are still being accumulated or because one is not finite, takes its row
with it. Between batches neither model nor optimizer knows of them, so no checkpoint does.

A loss inside `jax.grad` may not leave it; what the model's metric `loss` is updated with is outside, and the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
from jax.extend.core import get_opaque_trace_state
from keras import ops

from tb_gradclip.keras.hooks import CLIP, Hooks
from tb_gradclip.keras.ring import StepRing, either


class StatelessHooks(Hooks):
    """The hooks of one `fit` on JAX."""

    def __init__(self, model: Any, variables: list[Any], ring: StepRing) -> None:
        super().__init__(model, variables, ring)
        self._values = [variable.value for variable in ring.variables]  # between batches
        self._inside: list[Any] = []  # the same while a batch is traced
        self._trace: Any = None
        self._loss: Any = None
        self._skipped: Any = False
        self._threaded = False
        self._train_function: Any = None

    def install(self) -> None:
        """Put the hooks in place."""
        self.ring.sync, self.ring.publish = self._sync, self._publish
        self.replace(self.model, "make_train_function", self._make_train_function)
        self.replace(self.model, "train_step", self.train_step)
        for metric in [metric for metric in self.model.metrics if metric.name == "loss"][:1]:
            self.replace(metric, "update_state", self._update_state)
        self.replace(self.outer, "stateless_apply", self._stateless_apply)
        self.replace(self.optimizer, "apply", self.apply)
        self.replace(self.optimizer, CLIP, self.clip)
        self.model.make_train_function(force=True)

    def train_step(self, original: Callable[..., Any], both: Any, data: Any) -> Any:
        """Train on a batch, with the state of the model and the ring in `both`."""
        state, before = both
        self._inside, self._trace, self._loss, self._skipped = before, get_opaque_trace_state(), None, False
        try:
            logs, state = original(state, data)
            if self._loss is not None:
                with self.warning():
                    self._inside = self._with_loss(before)
            return logs, (state, self._inside)
        finally:  # nothing of a trace may outlive it
            self._inside, self._trace, self._loss, self._skipped = [], None, None, False

    def record(self, grads: list[Any], clipped: list[Any], skipped: bool = False) -> None:
        """Write the row of an update, if the ring is within reach."""
        if self._threaded:
            super().record(grads, clipped, skipped)
        elif self._trace is not None:
            self.warn("its train_step must call optimizer.stateless_apply, not inside jit, grad or a conditional.")

    def _sync(self) -> None:
        for variable, value in zip(self.ring.variables, self._values, strict=True):
            variable.assign(value)

    def _publish(self) -> None:
        self._values = [variable.value for variable in self.ring.variables]

    def _make_train_function(self, original: Callable[..., Any], force: bool = False) -> None:
        original(force)
        step = self.model.train_function
        if step is self._train_function:
            return

        def train_function(state: Any, iterator: Any) -> Any:
            logs, (state, self._values) = step((state, self._values), iterator)
            return logs, state

        self._train_function = self.model.train_function = train_function

    def _follows(self) -> bool:
        """Whether what happens now belongs to the trace of the batch itself, so that the ring may come and go."""
        return self._trace is not None and self._trace == get_opaque_trace_state()

    def _update_state(self, original: Callable[..., Any], loss: Any, *args: Any, **kwargs: Any) -> Any:
        with self.warning():
            if self._follows():
                self._loss = loss
        return original(loss, *args, **kwargs)

    def _scope(self, values: list[Any], *others: tuple[Any, Any]) -> Any:
        return keras.StatelessScope([*zip(self.ring.variables, values, strict=True), *others])

    def _in(self, scope: Any) -> list[Any]:
        return [scope.get_current_value(variable) for variable in self.ring.variables]

    def _with_loss(self, before: list[Any]) -> list[Any]:
        with self._scope(self._inside) as scope:
            self.ring.put_loss(self._loss, before, self._skipped)
            return self._in(scope)

    def _stateless_apply(
        self, original: Callable[..., Any], optimizer_variables: Any, grads: Any, trainable_variables: Any
    ) -> Any:
        own: list[Any] = []
        with self.warning():
            if self._follows():
                own = self.ring.variables
        if not own:
            return original(optimizer_variables, grads, trainable_variables)
        known, grads, values = list(optimizer_variables), list(grads), self._inside
        with self._among_its_variables(own):
            trained, found = original([*known, *values], grads, trainable_variables)
        self._inside = found[len(known) :]
        if self.outer is not self.optimizer:
            with self.warning():
                self._choose(known, grads, values)
        return trained, found[: len(known)]

    @contextlib.contextmanager
    def _within_reach(self) -> Iterator[None]:
        self._threaded = True
        try:
            yield
        finally:
            self._threaded = False

    @contextlib.contextmanager
    def _among_its_variables(self, more: list[Any]) -> Iterator[None]:
        own = self.optimizer._variables
        vars(self.optimizer)["_variables"] = [*own, *more]
        try:
            with self._within_reach():
                yield
        finally:
            vars(self.optimizer)["_variables"] = own

    def _choose(self, known: list[Any], grads: list[Any], values: list[Any]) -> None:
        """Where a `LossScaleOptimizer` skipped the update, take the ring with a row of that."""

        def skipped() -> list[Any]:
            others = zip(self.outer.variables, known, strict=True)
            with self._scope(values, *others) as scope, self._within_reach():
                self.record_skipped(grads, self.variables)
                return self._in(scope)

        finite, updated = self.outer.check_finite(grads), self._inside
        self._inside = either(finite, lambda: updated, skipped)
        self._skipped = ops.logical_not(finite)
