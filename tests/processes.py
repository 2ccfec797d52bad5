"""Two processes that train together. They live as long as the tests, and call what they are told to."""

from __future__ import annotations

import datetime
import functools
import importlib
import multiprocessing
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

PROCESSES = 2
SECONDS = 40
"""How long a process waits for another one. Then it gives up, and the test that made it wait fails."""


def together(function: Callable[..., Any], *args: Any) -> list[Any]:
    """Results of a function called in each of the processes. Its module must be importable anywhere."""
    # By name: a function would be pickled with what its module is here.
    call = (function.__module__, function.__name__, args)
    answers = [_process(rank).submit(_call, *call) for rank in range(PROCESSES)]
    return [answer.result(timeout=2 * SECONDS) for answer in answers]


def _call(module: str, name: str, args: tuple[Any, ...]) -> Any:
    return getattr(importlib.import_module(module), name)(*args)


@functools.cache
def _process(rank: int) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(
        1, mp_context=spawn, initializer=_prepare, initargs=(rank, f"file://{_meeting_point().name}/store")
    )


@functools.cache
def _meeting_point() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def _prepare(rank: int, meeting_point: str) -> None:
    import torch.distributed

    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=meeting_point,
        rank=rank,
        world_size=PROCESSES,
        timeout=datetime.timedelta(seconds=SECONDS),
    )
    warnings.filterwarnings("error", "gradclip")  # as in the tests' own process
