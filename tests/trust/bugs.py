"""Bugs of ours, put into each function that recording calls, one at a time, in the middle of any training."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import pytest

import tb_gradclip

OURS = Path(tb_gradclip.__file__).parent

Train = Callable[[Path | None, Callable[[], object], bool], list[bytes]]
"""A training: where to record it, or None; what to call once all is set up, from where on nothing of ours may raise;
whether what fails is on the thread that records. It returns the bits of all that came out."""

GUARDS = {
    # What users call themselves, what stands in the place of the library's calls, and hooks of the optimizer: each is
    # no more than guarded blocks.
    "torch/writer.py": {"clip_grad_norm_", "clip_grad_value_", "clipping", "step"},
    "torch/watcher.py": {"log_loss", "clipping"},
    "torch/updates.py": {
        *("add_loss", "_before_update", "_after_update", "_end_update", "_end_step", "_after_scaler_step", "_scaling"),
    },
    "torch/measuring.py": {"_begun", "_one_number"},
    "torch/open_step.py": {"uncounted_if_it_fails"},
    "torch/patches.py": {"patched"},
    "torch/clip_calls.py": {"_around_norm", "_around_value", "__init__", "writer"},
    "torch/amp.py": {"_around_unscale", "_around_step", "_concerned", "begun"},
    "lightning.py": {"on_before_backward", "on_train_end", "_end"},
    "transformers.py": {"heard", "on_step_begin", "on_pre_optimizer_step", "on_train_end", "_end"},
    "tensorflow/writer.py": {
        *("clip_by_value", "clip_by_norm", "clip_by_global_norm", "observe", "step", "_to_clip", "drained"),
        "_matching",  # what looks at what users pass
        "<listcomp>",  # the clipping itself
    },
    "tensorflow/measuring.py": {"_records"},
    "tensorflow/ring.py": {"_drain_and_tell"},
    "keras/callback.py": {"on_train_batch_end", "on_train_end", "_finish"},
    "keras/hooks.py": {
        *("replaced", "train_step", "apply", "clip", "record", "warning", "_compute_loss", "_scaled_apply"),
    },
    "keras/stateless.py": {
        *("train_step", "record", "train_function", "_update_state", "_stateless_apply"),
        *("_within_reach", "_among_its_variables"),
    },
    "harmless.py": {"_call"},
    "collector.py": {"__enter__", "__exit__", "close", "_run"},
    # The clipping itself, and what the user wants to be raised.
    "torch/gradients.py": {"scale_"},
    "recorder.py": {"act"},
    "actions.py": {"act"},
    # What looks at what users pass.
    "torch/arguments.py": {"check_threshold", "read", "distinct"},
    "tensorflow/arguments.py": {"scalar", "check_norm", "scalar_loss"},
    # Of the test's own.
    "../tests": {"train_step", "clipped"},
    "tensorflow/replicas.py": {"replicas_of"},
}


CONVERTED = "__autograph_generated_file"
"""In the names of files that AutoGraph makes of functions of ours, and of the test's, which it then calls tf__NAME."""


class BugError(Exception):
    """Raised where a bug would."""


class Function(NamedTuple):
    """A function of ours, in words that another process understands too."""

    file: str
    name: str
    line: int

    @classmethod
    def of(cls, code: CodeType) -> Function:
        if CONVERTED in code.co_filename:
            return cls(CONVERTED, code.co_name, code.co_firstlineno)
        return cls(Path(code.co_filename).relative_to(OURS).as_posix(), code.co_name, code.co_firstlineno)

    def __str__(self) -> str:
        return f"{self.file}: {self.name}, line {self.line}"

    def has(self, code: CodeType) -> bool:
        same = code.co_name == self.name and code.co_firstlineno == self.line
        return same and (code.co_filename == f"{OURS}/{self.file}" or CONVERTED == self.file in code.co_filename)

    @property
    def is_guard(self) -> bool:
        if self.file == CONVERTED:
            of = [names for file, names in GUARDS.items() if file.startswith(("tensorflow", "harmless", "../tests"))]
            return any(self.name == f"tf__{name}" for names in of for name in names)
        return self.name in GUARDS.get(self.file, set())


class Tracer:
    """Sees every call of a function of ours on one of the threads, and raises at one of them.

    Args:
      on_thread: whether on the thread that records, else on that which trains.
      target, call: the function, and at which of its calls; None to count them.
      error: what to raise.
    """

    def __init__(
        self, on_thread: bool, target: Function | None = None, call: int = 1, error: type[BaseException] = BugError
    ) -> None:
        self.on_thread, self.target, self.call, self.error = on_thread, target, call, error
        self.calls: Counter[CodeType] = Counter()
        self.raised = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if self.raised or (threading.current_thread().name == "gradclip") != self.on_thread:
            return
        if not (_is_ours(code) if self.target is None else self.target.has(code)):
            return
        self.calls[code] += 1
        if self.target is not None and self.calls[code] == self.call:
            self.raised = True
            raise self.error("a bug")


def _is_ours(code: CodeType) -> bool:
    converted = CONVERTED in code.co_filename and code.co_name.startswith("tf__")
    return converted or code.co_filename.startswith(str(OURS))


@contextlib.contextmanager
def traced(tracer: Tracer) -> Iterator[tuple[Callable[[], None], list[str]]]:
    """Trace the thread that records from its start, and the one that trains from when what this gives is called.

    When the block ends, what was warned of is in the list.
    """
    before, told = sys.gettrace(), []
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        # What there is goes out at once. The thread that records comes all the time, or where bugs are on the other
        # one never: how much it leaves to be done there would differ each time.
        alone = not tracer.on_thread and tracer.error is BugError
        patch.setattr("tb_gradclip.collector.SECONDS_PER_ROUND", 3600.0 if alone else 0.001)
        patch.setattr("tb_gradclip.recorder.SECONDS_PER_RECORD", 0.0)
        threading.settrace(tracer)
        try:
            yield lambda: sys.settrace(tracer), told
        finally:
            sys.settrace(before)
            threading.settrace(None)  # type: ignore[arg-type]
            told += [str(warning.message) for warning in found if issubclass(warning.category, UserWarning)]


def functions(train: Train, logdir: Path, on_thread: bool) -> dict[Function, int]:
    """Functions of ours that are called in a training, with the number of calls; a generator's end looks like one."""
    tracer = Tracer(on_thread)
    with traced(tracer) as (begun, _):
        train(logdir, begun, on_thread)
    return {Function.of(code): calls for code, calls in tracer.calls.items() if code.co_name != "<genexpr>"}


@dataclass
class Broken:
    """How many bugs struck, and what was wrong with the training then."""

    raised: int = 0
    wrong: list[str] = field(default_factory=list)


def break_each(train: Train, folder: Path, on_thread: bool, found: dict[Function, int]) -> Broken:
    """Train with a bug in each of these functions in turn, in the middle of its calls."""
    bare = train(None, lambda: None, on_thread)
    broken = Broken()
    for function, calls in found.items():
        tracer = Tracer(on_thread, function, max(1, calls // 2))
        try:
            with traced(tracer) as (begun, told):
                got = train(folder / str(function).replace("/", "."), begun, on_thread)
        except Exception as error:  # noqa: BLE001 - frameworks make another one of it
            broken.wrong.append(f"{function} ended training: {error!r}")
            continue
        broken.raised += tracer.raised
        if got != bare:
            broken.wrong.append(f"{function} changed it")
        if len(told) > 1 or not all("Training is not affected" in warning for warning in told):
            broken.wrong.append(f"{function}: {told}")
    return broken


class Plan(NamedTuple):
    """A training in plain data, for another process: module, name and first arguments of the function."""

    module: str
    name: str
    first: tuple[Any, ...] = ()

    @property
    def train(self) -> Train:
        return functools.partial(getattr(importlib.import_module(self.module), self.name), *self.first)


def functions_of(plan: Plan, logdir: str, on_thread: bool) -> dict[Function, int]:
    return functions(plan.train, Path(logdir), on_thread)


def break_each_of(plan: Plan, folder: str, on_thread: bool, found: dict[Function, int]) -> Broken:
    return break_each(plan.train, Path(folder), on_thread, found)
