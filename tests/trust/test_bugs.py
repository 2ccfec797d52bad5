"""A bug of ours, anywhere: each function that recording calls fails once, in the middle of a training."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

import tb_gradclip
from tests.backends import HERE, on
from tests.trust.bugs import Broken, Function, Plan, Tracer, break_each_of, functions, functions_of, traced
from tests.trust.trained import STEPS, WAYS, Training

SHARE, FEW = 12, 80
"""Of so many functions one is tried in the short form: of PyTorch's, and of others that are slow to start."""

AT_A_TIME = 12
"""Functions that another process tries at one request, each of which has its time."""


def plan(name: str, *first: Any) -> Plan:
    return Plan(*f"tests.trust.{name}".rsplit(".", 1), first)


TORCH = {f"torch {way}": plan("trained.train", way) for way in WAYS}
OTHERS = {
    "lightning": plan("trained_trainers.train_lightning", "one", False),
    "transformers": plan("trained_trainers.train_transformers"),
    "tensorflow eager": plan("trained_tensorflow.train", {}),
    "tensorflow graph": plan("trained_tensorflow.train", {"graph": True, "converted": False}),
    "keras on tensorflow": plan("trained_keras.train", {"scaled": True, "jit_compile": False}),
}
RECORDING = ("transformers", "tensorflow eager")
"""Those of which the short form breaks the recording thread, too: it does much the same everywhere."""

LONG = {
    "lightning, scaled": plan("trained_trainers.train_lightning", "one", True),
    "lightning by hand": plan("trained_trainers.train_lightning", "two", False),
    "tensorflow graph, converted": plan("trained_tensorflow.train", {"graph": True}),
    "tensorflow xla": plan("trained_tensorflow.train", {"graph": True, "converted": False, "compiled": True}),
    "keras on tensorflow, plain": plan("trained_keras.train", {"jit_compile": False}),
    **{
        f"keras on {backend}{', plain' * (not scaled)}": plan(
            "trained_keras.train", {"scaled": scaled, "jit_compile": backend == "jax"}
        )
        for backend in ("torch", "jax")
        for scaled in (True, False)
    },
}

pytestmark = pytest.mark.usefixtures("one_thread", "fresh_accelerate")


@pytest.mark.parametrize("on_thread", [False, True], ids=["training", "recording"])
@pytest.mark.parametrize("way", WAYS)
def test_a_bug_in_any_function_leaves_training_alone(way: str, on_thread: bool, tmp_path: Path, long: bool) -> None:
    found, broken = break_some(TORCH[f"torch {way}"], HERE, tmp_path, on_thread, 1 if long else SHARE)
    assert len(found) > (150 if on_thread else 200)
    assert broken.wrong == []
    assert broken.raised > (100 if long else 10)


@pytest.mark.parametrize(
    ("training", "on_thread"),
    [
        *(pytest.param(name, False, id=f"{name}-training") for name in OTHERS),
        *(pytest.param(name, False, id=f"{name}-training", marks=pytest.mark.long) for name in LONG),
        *(
            pytest.param(name, True, id=f"{name}-recording", marks=[] if name in RECORDING else pytest.mark.long)
            for name in (*OTHERS, *LONG)
        ),
    ],
)
def test_nor_does_one_where_others_train(training: str, on_thread: bool, tmp_path: Path, long: bool) -> None:
    backend = next((name for name in ("torch", "jax") if f"keras on {name}" in training), HERE)
    found, broken = break_some({**OTHERS, **LONG}[training], backend, tmp_path, on_thread, 1 if long else FEW)
    assert len(found) > 100
    assert broken.wrong == []
    assert broken.raised > (50 if long else 0)


def break_some(
    training: Plan, backend: str, folder: Path, on_thread: bool, share: int
) -> tuple[dict[Function, int], Broken]:
    """All functions that recording calls, and what came of bugs in one of so many of them.

    Threads meet otherwise each time: a function that was called once may not be called again. Where no bug struck, it
    is the turn of the functions after these.
    """
    found: dict[Function, int] = {}
    for name in ("all", "again"):  # what one thread left to do for the other may be less than it ever is
        found |= on(backend, functions_of, training, str(folder / name), on_thread)
    broken, first = Broken(), 0
    while not broken.raised and first < share:
        chosen = [each for number, each in enumerate(found) if number % share == first and not each.is_guard]
        for start in range(0, len(chosen), AT_A_TIME):
            now = {function: found[function] for function in chosen[start : start + AT_A_TIME]}
            part = on(backend, break_each_of, training, str(folder), on_thread, now)
            broken = Broken(broken.raised + part.raised, broken.wrong + part.wrong)
        first += 1
    return found, broken


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_in_any_function_spoils_no_log(way: str, tmp_path: Path, long: bool) -> None:
    found = functions(TORCH[f"torch {way}"].train, tmp_path / "all", on_thread=False)
    wrong = []
    for number, (function, calls) in enumerate(found.items()):
        if not long and number % SHARE:
            continue
        logdir = tmp_path / str(number)
        with traced(Tracer(False, function, max(1, calls // 2), KeyboardInterrupt)) as (begun, _):
            training = Training(way, logdir, on_alert=[].append)
            begun()
            _go_on(training)
        run = tb_gradclip.read(logdir)["."]
        steps = run.steps["step"].tolist()
        if len(steps) < STEPS - 2 or steps != sorted(set(steps)) or not run.complete:
            wrong.append(f"{function}: {steps}")
    assert wrong == []


def _go_on(training: Training) -> None:
    """As someone does who presses Ctrl-C in a notebook, and has the training go on."""
    for _ in range(STEPS):
        with contextlib.suppress(KeyboardInterrupt):
            training.step()
    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt):
            training.recorder.close()
