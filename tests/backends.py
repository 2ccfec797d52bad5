"""Where else Keras runs: on other backends, and on two replicas.

Each place is a process of its own that lives as long as the tests: one process has but one backend, and as many devices
as it was given before it used the first.
"""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

HERE = "tensorflow"
"""What Keras runs on in the tests' own process."""
REPLICAS = "tensorflow, two devices"


def on(backend: str, function: Callable[..., Any], *args: Any) -> Any:
    """Result of a function, called where Keras has this backend. Its module must be importable anywhere."""
    # By name: a function would be pickled with what its module is here.
    call = (function.__module__, function.__name__, args)
    return _call(*call) if backend == HERE else _process(backend).submit(_call, *call).result(timeout=240)


def _call(module: str, name: str, args: tuple[Any, ...]) -> Any:
    return getattr(importlib.import_module(module), name)(*args)


@functools.cache
def _process(backend: str) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=spawn, initializer=_prepare, initargs=(backend,))


def _prepare(backend: str) -> None:
    os.environ["KERAS_BACKEND"] = backend.partition(",")[0]
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"  # JAX uses the first unless told otherwise
    warnings.filterwarnings("error", "gradclip")  # as in the tests' own process
    if backend == REPLICAS:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
        tf = importlib.import_module("tensorflow")
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
