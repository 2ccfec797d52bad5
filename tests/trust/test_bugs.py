"""A bug of ours, anywhere: each function that recording calls fails once, in the middle of a PyTorch training."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import warnings
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import tb_gradclip
from tests.trust.trained import STEPS, WAYS, Training, outcome

SHARE = 12
"""Of so many functions one is tried in the short form."""

pytestmark = pytest.mark.usefixtures("one_thread")

OURS = Path(tb_gradclip.__file__).parent

GUARDS = {
    # What users call themselves, what stands in the place of the library's calls, and hooks of the optimizer: each is
    # no more than guarded blocks.
    "torch/writer.py": {"clip_grad_norm_", "clip_grad_value_", "clipping", "step"},
    "torch/watcher.py": {"log_loss", "clipping"},
    "torch/updates.py": {"add_loss", "_before_update", "_after_update", "_end_update", "_end_step"},
    "torch/measuring.py": {"_begun", "_one_number"},
    "torch/open_step.py": {"uncounted_if_it_fails"},
    "torch/patches.py": {"patched"},
    "torch/clip_calls.py": {"_around_norm", "_around_value", "__init__", "writer"},
    "collector.py": {"__enter__", "__exit__", "close", "_run"},
    # The clipping itself, and what the user wants to be raised.
    "torch/gradients.py": {"scale_"},
    "recorder.py": {"act"},
    "actions.py": {"act"},
    # What looks at what users pass.
    "torch/arguments.py": {"check_threshold", "read", "distinct"},
}


class BugError(Exception):
    """Raised where a bug would."""


class Tracer:
    """Sees every call of a function of ours on one of the threads, and raises at one of them.

    Args:
      on_thread: whether on the thread that records, else on that which trains.
      target, call: the function, and at which of its calls; None to count them.
      error: what to raise.
    """

    def __init__(
        self, on_thread: bool, target: CodeType | None = None, call: int = 1, error: type[BaseException] = BugError
    ) -> None:
        self.on_thread, self.target, self.call, self.error = on_thread, target, call, error
        self.calls: Counter[CodeType] = Counter()
        self.raised = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if self.raised or (threading.current_thread().name == "gradclip") != self.on_thread:
            return
        if self.target is None and not code.co_filename.startswith(str(OURS)):
            return
        self.calls[code] += 1
        if code is self.target and self.calls[code] == self.call:
            self.raised = True
            raise self.error("a bug")


def trained(way: str, logdir: Path, tracer: Tracer, tolerant: bool = False) -> tuple[list[bytes], list[str]]:
    """What comes of a training whose calls are traced, and what is warned of; everything is recorded at once."""
    settings: dict[str, Any] = {"histogram_every": 2} if tracer.on_thread else {"on_alert": [].append}
    before = sys.gettrace()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        threading.settrace(tracer)
        training = Training(way, logdir, **settings)
        sys.settrace(tracer)
        try:
            if tolerant:
                return _outcome_of_one_who_goes_on(training), []
            got = outcome(training, before=lambda _: time.sleep(0.002 * tracer.on_thread))
        finally:
            sys.settrace(before)
            threading.settrace(None)  # type: ignore[arg-type]
    return got, [str(warning.message) for warning in told if issubclass(warning.category, UserWarning)]


def _outcome_of_one_who_goes_on(training: Training) -> list[bytes]:
    """As someone does who presses Ctrl-C in a notebook, and has the training go on."""
    for _ in range(STEPS):
        with contextlib.suppress(KeyboardInterrupt):
            training.step()
    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt):
            training.recorder.close()
    return []


def named(code: CodeType) -> str:
    return f"{Path(code.co_filename).relative_to(OURS)}: {code.co_name}, line {code.co_firstlineno}"


def is_guard(code: CodeType) -> bool:
    return code.co_name in GUARDS.get(Path(code.co_filename).relative_to(OURS).as_posix(), set())


def functions(way: str, logdir: Path, on_thread: bool) -> dict[CodeType, int]:
    """Functions of ours that are called in a training, with the number of calls; a generator's end looks like one."""
    tracer = Tracer(on_thread)
    trained(way, logdir, tracer)
    return {code: calls for code, calls in tracer.calls.items() if code.co_name != "<genexpr>"}


@pytest.fixture(scope="module")
def bare() -> list[bytes]:
    return outcome(Training("bare"))


@pytest.fixture(autouse=True)
def fast_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that records comes all the time, and what it has goes out at once."""
    monkeypatch.setattr("tb_gradclip.collector.SECONDS_PER_ROUND", 0.001)
    monkeypatch.setattr("tb_gradclip.recorder.SECONDS_PER_RECORD", 0.0)


@pytest.mark.parametrize("on_thread", [False, True], ids=["training", "recording"])
@pytest.mark.parametrize("way", WAYS)
def test_a_bug_in_any_function_leaves_training_alone(
    way: str, on_thread: bool, bare: list[bytes], tmp_path: Path, long: bool
) -> None:
    found = functions(way, tmp_path / "all", on_thread)
    assert len(found) > (150 if on_thread else 200)
    wrong, raised = [], 0
    for number, (code, calls) in enumerate(found.items()):
        if is_guard(code) or (not long and number % SHARE):
            continue
        tracer = Tracer(on_thread, code, max(1, calls // 2))
        try:
            got, told = trained(way, tmp_path / str(number), tracer)
        except BugError:
            wrong.append(f"{named(code)} ended training")
            continue
        raised += tracer.raised
        if got != bare:
            wrong.append(f"{named(code)} changed it")
        if len(told) > 1 or not all("Training is not affected" in warning for warning in told):
            wrong.append(f"{named(code)}: {told}")
    assert wrong == []
    assert raised > (100 if long else 10)


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_in_any_function_spoils_no_log(way: str, tmp_path: Path, long: bool) -> None:
    found = functions(way, tmp_path / "all", on_thread=False)
    wrong = []
    for number, (code, calls) in enumerate(found.items()):
        if not long and number % SHARE:
            continue
        logdir = tmp_path / str(number)
        trained(way, logdir, Tracer(False, code, max(1, calls // 2), KeyboardInterrupt), tolerant=True)
        run = tb_gradclip.read(logdir)["."]
        steps = run.steps["step"].tolist()
        if len(steps) < STEPS - 2 or steps != sorted(set(steps)) or not run.complete:
            wrong.append(f"{named(code)}: {steps}")
    assert wrong == []
