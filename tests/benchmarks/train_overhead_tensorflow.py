"""What recording adds to a training step in TensorFlow and Keras, beside what a user would do instead.

    python -m tests.benchmarks.train_overhead_tensorflow [--mode graph xla keras keras-xla] [--rule value norm ...]

All contestants train copies of the same 20 layers of 256 x 256 by Adam in one process, in short turns of which several
make a round of 50 steps, so that a machine that speeds up or slows down does it for all. Printed is the median time of
a step over the rounds, and its ratio to the bare loop's within the same round: median and quartiles.

"floor: one more read" is the bare loop that also adds up each gradient: what cannot be undercut by anyone who looks at
gradients once more. Clipping by value needs four such reads outside XLA; the norm kinds share the library's own.

In mode keras a turn is an epoch of `fit`, and a whole round, because epochs start and end slowly. Each contestant's
`fit` has a thread of its own and waits for its turns.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Semaphore, Thread
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from tb_gradclip.keras import ClipCallback
from tb_gradclip.tensorflow import ClipWriter
from tests.benchmarks.contest import alternate, duration, parser, print_machine, print_table, spread

LAYERS, WIDTH, ROUND = 20, 256, 50
MODES = ("graph", "xla", "keras", "keras-xla")
LIMITS = {"value": 0.01, "norm": 0.1, "global_norm": 1.0}
ARGUMENTS = {"value": "clipvalue", "norm": "clipnorm", "global_norm": "global_clipnorm"}

BARE, FLOOR = "bare", "floor: one more read"
OURS: dict[str, dict[str, int]] = {"ours": {}, "ours, no histograms": {"histogram_every": 0}}
BOARD = {"tf.summary.histogram, 50 steps": 50, "tf.summary.histogram, every step": 1}
SLOW = "tf.summary.histogram, every step"


class Loop:
    """A training loop as a user writes it, and the way it clips and records."""

    ways = (BARE, FLOOR, *OURS, *BOARD)

    def __init__(self, way: str, rule: str, xla: bool, batch: int, logdir: Path) -> None:
        draw = tf.random.Generator.from_seed(1)
        self.layers = [tf.Variable(draw.normal([WIDTH, WIDTH], stddev=WIDTH**-0.5)) for _ in range(LAYERS)]
        self.x, self.y = draw.normal([batch, WIDTH]), draw.normal([batch, WIDTH])
        self.rule = rule
        self.optimizer = keras.optimizers.Adam(1e-4)
        self.optimizer.build(self.layers)
        self.writer = ClipWriter(logdir, self.layers, **OURS[way]) if way in OURS else None
        self.board = tf.summary.create_file_writer(str(logdir)) if way in BOARD else None
        self.every = BOARD.get(way, 0)
        self.sums = tf.Variable(tf.zeros([LAYERS])) if way == FLOOR else None
        self.done = 0
        self.plain = tf.function(self.step, jit_compile=xla)
        self.watched = tf.function(partial(self.step, with_gradients=True), jit_compile=xla)

    def step(self, with_gradients: bool = False) -> Any:
        """One step of training; what XLA compiles cannot write a summary, so it may return the gradients."""
        with tf.GradientTape() as tape:
            state = self.x
            for layer in self.layers:
                state = tf.tanh(state @ layer)
            loss = tf.reduce_mean(tf.square(state - self.y))
        grads = tape.gradient(loss, self.layers)
        clipped = self.clip(grads)
        self.optimizer.apply_gradients(zip(clipped, self.layers, strict=True))
        if self.sums is not None:
            self.sums.assign(tf.stack([tf.reduce_sum(g) for g in grads]))
        if self.writer is not None:
            self.writer.step(loss)
        return (grads, clipped) if with_gradients else loss

    def clip(self, grads: list[Any]) -> list[Any]:
        """The library's call, or the writer's."""
        limit = LIMITS[self.rule]
        by = self.writer or tf
        if self.rule == "global_norm":
            return by.clip_by_global_norm(grads, limit)[0]
        if self.writer is None:
            one = partial(tf.clip_by_norm, clip_norm=limit)
            clamp = partial(tf.clip_by_value, clip_value_min=-limit, clip_value_max=limit)
            return [(one if self.rule == "norm" else clamp)(g) for g in grads]
        return by.clip_by_norm(grads, limit) if self.rule == "norm" else by.clip_by_value(grads, -limit, limit)

    def train(self, steps: int) -> float:
        """Seconds a step takes."""
        start = time.perf_counter()
        for _ in range(steps):
            if self.board is not None and self.done % self.every == 0:
                self.summarize(*self.watched())
            else:
                self.plain()
            self.done += 1
        self.layers[0].numpy()
        return (time.perf_counter() - start) / steps

    def summarize(self, grads: list[Any], clipped: list[Any]) -> None:
        """Histograms before and after clipping."""
        with self.board.as_default(self.done):
            for place, (before, after) in enumerate(zip(grads, clipped, strict=True)):
                tf.summary.histogram(f"before/{place}", before)
                tf.summary.histogram(f"after/{place}", after)

    def close(self) -> None:
        """Write what is left."""
        for writer in (self.writer, self.board):
            if writer is not None:
                writer.close()


class Turns(keras.callbacks.Callback):
    """Lets a `fit` run one epoch each time it is told to, and times it."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.done = Semaphore(0), Semaphore(0)
        self.seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.go.acquire()
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds = time.perf_counter() - self.start
        self.done.release()


class Fit:
    """A Keras model in training, with the callback or without. An epoch is a turn."""

    ways = (BARE, *OURS)

    def __init__(self, way: str, rule: str, xla: bool, batch: int, logdir: Path) -> None:
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Dense(WIDTH, "tanh", use_bias=False) for _ in range(LAYERS)]
        self.model = keras.Sequential([keras.Input((WIDTH,)), *layers])
        optimizer = keras.optimizers.Adam(1e-4, **{ARGUMENTS[rule]: LIMITS[rule]})
        self.model.compile(optimizer, loss="mse", jit_compile=xla)
        self.batch = batch
        self.turns = Turns()
        self.callbacks = [*([ClipCallback(logdir, **OURS[way])] if way in OURS else []), self.turns]
        self.thread: Thread | None = None

    def train(self, steps: int) -> float:
        """Seconds a step takes; every turn is as long as the first."""
        if self.thread is None:
            self.thread = Thread(target=self.fit, args=(steps,), daemon=True)
            self.thread.start()
        self.turns.go.release()
        self.turns.done.acquire()
        return self.turns.seconds / steps

    def fit(self, steps: int) -> None:
        """Train for ever, epoch by epoch."""
        x = np.random.default_rng(1).normal(size=(steps * self.batch, WIDTH)).astype(np.float32)
        data = tf.data.Dataset.from_tensor_slices((x, x)).batch(self.batch).cache()
        self.model.fit(data, epochs=1_000_000, verbose=0, callbacks=self.callbacks)

    def close(self) -> None:
        """Nothing: the thread waits for a turn that does not come, and ends with the process."""


def contest(mode: str, rule: str, rounds: int, batch: int, turn: int) -> list[list[str]]:
    """Rows of the table of one rule."""
    make: Callable[..., Any] = Loop
    if mode.startswith("keras"):
        make, turn = Fit, ROUND
    with tempfile.TemporaryDirectory() as directory:
        entered = {
            way: make(way, rule, mode.endswith("xla"), batch, Path(directory) / str(place))
            for place, way in enumerate(make.ways)
        }
        # What happens at every step is seen in one; what happens at one in fifty needs fifty.
        turns = {way: partial(each.train, 1 if way == SLOW else turn) for way, each in entered.items()}
        for take in turns.values():
            take()
        times = {way: np.empty(rounds) for way in turns}
        for number in range(rounds):
            for way, parts in alternate(turns, ROUND // turn).items():
                times[way][number] = parts.mean()
        for each in entered.values():
            each.close()
        return [[f"{rule}: {way}", duration(np.median(t)), spread(t / times[BARE])] for way, t in times.items()]


def main() -> None:
    """Run the contests and print their tables."""
    arguments = parser(__doc__)
    arguments.add_argument("--mode", nargs="+", choices=MODES, default=MODES)
    arguments.add_argument("--rule", nargs="+", choices=LIMITS, default=LIMITS)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--batch", type=int, default=128)
    arguments.add_argument("--turn", type=int, default=10, help="steps of a turn, a divisor of 50")
    given = arguments.parse_args()
    print_machine()
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}")
    for mode in given.mode:
        rows = [row for rule in given.rule for row in contest(mode, rule, given.rounds, given.batch, given.turn)]
        title = f"Training, {mode}, {LAYERS} layers of {WIDTH} x {WIDTH}, batch {given.batch}, {ROUND} steps a round:"
        print_table(title, ("contestant", "a step", "ratio to bare (quartiles)"), rows)


if __name__ == "__main__":
    main()
