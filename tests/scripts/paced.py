"""Trainings at a given pace, each in a process of its own, that note in shared memory when they made each step.

Its argument is the framework. Reads lines of `WAY PACE START STEPS LOGDIR TIMES`, forks for each with the framework
loaded already, and prints its process id; a line `wait PID` waits for one. TIMES is a file of float64, two a step: when
step START began and when it ended, then the one after it, and so on. TIMES.beats is another: the times when a thread
that does nothing else could run, `BEAT` seconds apart unless the process is held up; the newest overwrite the oldest.
"""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

BEAT = 0.02


def paced(pace: float, steps: int, times: str) -> Iterator[int]:
    """So many numbers a second, each noted when it comes and when another is asked for."""
    made = np.memmap(times, np.float64, "r+").reshape(-1, 2)
    beginning = time.monotonic()
    for number in range(steps):
        time.sleep(max(0.0, beginning + number / pace - time.monotonic()))
        made[number, 0] = time.time()
        yield number
        made[number, 1] = time.time()


def beat(file: str) -> None:
    """Note again and again that a thread of this process could run."""
    beats = np.memmap(file, np.float64, "r+")
    for number in itertools.count():
        beats[number % len(beats)] = time.time()
        time.sleep(BEAT)


def train_torch(way: str, numbers: Iterator[int], start: int, logdir: str) -> Any:
    """Clip through a writer, or with PyTorch's own call while a watch is on; what records is left open."""
    model = torch.nn.Linear(3, 2)
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    if way == "writer":
        writer = ClipWriter(logdir, model, start_step=start)
        for number in numbers:
            writer.clip_grad_norm_(parameters, 1.0)
            writer.step(float(start + number))
        return writer
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    watcher = watch(model, optimizer, logdir, start_step=start)
    for number in numbers:
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        watcher.log_loss(float(start + number))
        optimizer.step()
    return watcher, optimizer


def train_tensorflow(way: str, numbers: Iterator[int], start: int, logdir: str) -> Any:
    """Clip through a writer, in eager steps or in a graph; it is left open."""
    if way == "keras":
        return train_keras(numbers, start, logdir)
    variables = [tf.Variable(tf.ones([3, 2])), tf.Variable(tf.ones([2]))]
    gradients = [tf.ones([3, 2]), tf.ones([2])]
    writer = TensorFlowWriter(logdir, variables, start_step=start)

    def step(loss: Any) -> None:
        writer.clip_by_global_norm(gradients, 1.0)
        writer.step(loss)

    run = tf.function(step) if way == "graph" else step
    for number in numbers:
        run(tf.constant(float(start + number)))
    return writer


def train_keras(numbers: Iterator[int], start: int, logdir: str) -> None:
    """A `fit` that the program leaves before its last batch."""

    class Paced(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if next(numbers, None) is None:
                sys.exit()

    def loss(y: Any, predicted: Any) -> Any:  # the number of the step, whose gradient is that of the prediction
        return y + (predicted - keras.ops.stop_gradient(predicted))

    # Not from a generator: TensorFlow can wait for it for ever while the interpreter ends.
    data = tf.data.Dataset.range(start, tf.int64.max).map(
        lambda number: (tf.ones([1, 3]), tf.reshape(tf.cast(number, tf.float32), [1, 1]))
    )

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01, clipnorm=0.5), loss=loss, jit_compile=False)
    callbacks = [Paced(), ClipCallback(logdir, start_step=start)]
    model.fit(data, steps_per_epoch=10**6, shuffle=False, verbose=0, callbacks=callbacks)


if __name__ == "__main__":
    if sys.argv[1] == "torch":
        import torch

        from tb_gradclip.torch import ClipWriter, watch

        train = train_torch
        torch.set_num_threads(1)
    else:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import keras
        import tensorflow as tf

        from tb_gradclip.keras import ClipCallback
        from tb_gradclip.tensorflow import ClipWriter as TensorFlowWriter

        train = train_tensorflow
    gc.freeze()
    for line in sys.stdin:
        if line.startswith("wait"):
            print(os.waitstatus_to_exitcode(os.waitpid(int(line.split()[1]), 0)[1]), flush=True)
            continue
        way, pace, start, steps, logdir, times = line.split()
        child = os.fork()
        if child == 0:
            break
        print(child, flush=True)
    else:
        sys.exit()
    threading.Thread(target=beat, args=[f"{times}.beats"], daemon=True).start()
    left_open = train(way, paced(float(pace), int(steps), times), int(start), logdir)
