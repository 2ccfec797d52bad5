"""Models that are trained with `fit`; all but one know nothing of being recorded. Prints what came out."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import tempfile
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
if importlib.util.find_spec("keras") is None:  # looked for before it is imported, as TensorFlow does
    sys.exit("Keras is missing")

import keras
import numpy as np

from tb_gradclip.keras import ClipCallback

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(48, 5)).astype("float32")
y = x.sum(1, keepdims=True)


class Losses(keras.callbacks.Callback):
    def on_train_begin(self, logs: Any = None) -> None:
        self.seen: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append(float(logs["loss"]))


def made(name: str, **clipping: float) -> keras.Model:
    layers = [keras.Input((5,)), keras.layers.Dense(7, activation="tanh"), keras.layers.Dense(1)]
    model = keras.Sequential(layers, name=name)
    model.compile(keras.optimizers.Adam(0.01, **clipping), loss="mse")
    return model


def weights(model: keras.Model) -> str:
    arrays = [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in model.weights]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


norm, value, frozen = made("norm", clipnorm=0.5), made("value", clipvalue=0.1), made("frozen")
frozen.trainable = False
frozen.compile("sgd", loss="mse")
losses = Losses()
norm.fit(x, y, 48, 2, "auto", losses)
value.fit(
    x, y, batch_size=8, verbose=2, callbacks=keras.callbacks.CallbackList([losses], add_history=True, model=value)
)
norm.fit(x, y, batch_size=48, epochs=3, verbose=0, callbacks=[losses])
frozen.fit(x, y, verbose=0)
made("own", clipnorm=0.5).fit(x, y, verbose=0, callbacks=[ClipCallback(tempfile.mkdtemp())])
print(json.dumps({"losses": losses.seen, "weights": [weights(model) for model in (norm, value)]}))
