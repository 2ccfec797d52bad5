"""Every `fit` of a script that knows nothing of it, with a `ClipCallback`: each model is a run, and appends to it."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from tb_gradclip.keras.callback import ClipCallback
from tb_gradclip.observation import Observation


def install(observation: Observation) -> None:
    """Give every `fit` a callback from now on, until the program ends, unless it has one of ours."""
    original = keras.Model.fit
    signature = inspect.signature(original)
    callbacks: weakref.WeakKeyDictionary[Any, _Callback] = weakref.WeakKeyDictionary()

    @functools.wraps(original)
    def fit(model: Any, *args: Any, **kwargs: Any) -> Any:
        own = None
        if observation.here:
            with observation.harmless():
                bound = signature.bind(model, *args, **kwargs)
                given = bound.arguments.get("callbacks")
                if not any(isinstance(callback, ClipCallback) for callback in _flat(given)):
                    own = callbacks.get(model) or _Callback(observation, observation.new_run(model.name))
                    callbacks[model] = own
                    bound.arguments["callbacks"] = own.beside(given, model)
        if own is None:
            return original(model, *args, **kwargs)
        try:
            return original(*bound.args, **bound.kwargs)
        finally:
            own.leave(given)

    keras.Model.fit = fit


class _Callback(ClipCallback):
    """A callback that nobody asked for, so that it may not refuse a model."""

    def __init__(self, observation: Observation, run: Path) -> None:
        super().__init__(run)
        self._observation, self._run = observation, run

    def beside(self, given: Any, model: Any) -> Any:
        """What `fit` gets in the place of the callbacks it is given."""
        if not isinstance(given, keras.callbacks.CallbackList):
            return [*_flat(given), self]
        self.set_model(model)
        given.callbacks.append(self)
        return given

    def leave(self, given: Any) -> None:
        """End what an exception may have left, and let go of the model."""
        with self._observation.harmless():
            self._finish()
            self.set_model(None)
            if isinstance(given, keras.callbacks.CallbackList):
                given.callbacks.remove(self)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Start recording, if that is possible."""
        with self._observation.harmless():
            try:
                super().on_train_begin(logs)
                self._observation.recorded(self._run)
            except BaseException:
                self._finish()
                raise


def _flat(callbacks: Any) -> list[Any]:
    """Callbacks as a list, however `fit` was given them."""
    if callbacks is None:
        return []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return list(keras.tree.flatten(callbacks))
