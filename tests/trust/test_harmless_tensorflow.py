"""What goes wrong in recording leaves a TensorFlow or Keras training as it is, to the last bit, and is told once."""

from __future__ import annotations

import gc
import multiprocessing
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import tb_gradclip
from tb_gradclip.keras import ClipCallback
from tb_gradclip.tensorflow import ClipWriter
from tests.trust.disks import TROUBLES
from tests.trust.trained_keras import STEPS, fitted
from tests.trust.trained_tensorflow import trained


def outcome(way: str, logdir: Path | None, before: Callable[[int], object] = lambda _: None) -> list[bytes]:
    """Of one of the trainings, recorded if there is a directory, with alerts heard so that each step is written."""
    if way == "fit":
        return fitted(ClipCallback(logdir, on_alert=[].append, histogram_every=1) if logdir else None, before)
    return trained(
        lambda weights: ClipWriter(logdir, weights, on_alert=[].append, histogram_every=1) if logdir else None,
        before,
        graph=way == "graph",
    )


WAYS = ("eager", "graph", "fit")


@pytest.fixture(scope="module", params=WAYS)
def bare(request: pytest.FixtureRequest) -> tuple[str, list[bytes]]:
    """A way to train, and what comes of it when nothing is recorded."""
    return request.param, outcome(request.param, None)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_disk_that_fails_is_told_once(
    trouble: str, bare: tuple[str, list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tb_gradclip.recorder.SECONDS_PER_RECORD", 0.0)
    (way, expected), logdir = bare, tmp_path / "run"
    logdir.mkdir()
    with TROUBLES[trouble](logdir) as happen, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        got = outcome(way, logdir, lambda step: happen() if step == STEPS // 2 else None)
    assert got == expected
    (said,) = [str(warning.message) for warning in told if str(warning.message).startswith("gradclip")]
    assert said.startswith("gradclip stopped recording: ")
    assert said.endswith("Training is not affected.")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # that is what is tested
def test_processes_that_are_forked_know_nothing_of_the_writer(bare: tuple[str, list[bytes]], tmp_path: Path) -> None:
    way, expected = bare

    def fork(step: int) -> None:
        if step in (3, STEPS - 2):
            with multiprocessing.get_context("fork").Pool(2) as workers:
                assert workers.map(abs, range(-8, 0)) == list(range(8, 0, -1))
                workers.close()
                workers.join()
        if step == STEPS // 2:  # one that ends by itself, with all that is to be freed
            worker = multiprocessing.get_context("fork").Process(target=gc.collect)
            worker.start()
            worker.join()
            assert worker.exitcode == 0

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        got = outcome(way, tmp_path, fork)
    assert got == expected
    assert not [str(warning.message) for warning in told if "gradclip" in str(warning.message)]
    run = tb_gradclip.read(tmp_path)["."]
    assert run.complete
    assert run.steps["step"].tolist() == list(range(STEPS))


BUGS = {
    "eager": ["ring.DeviceRing.record", "ring.DeviceRing.count", "ring.DeviceRing.step", "ring.DeviceRing.drain"],
    "graph": ["ring.DeviceRing.record", "ring.DeviceRing.count", "ring.DeviceRing.step", "ring.DeviceRing.drain"],
    "fit": ["hooks.rule_of", "ring.StepRing.record", "ring.StepRing.take_loss", "ring.StepRing.fetch"],
}


@pytest.mark.parametrize("place", range(6))
def test_a_bug_is_told_once(
    place: int, bare: tuple[str, list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way, expected = bare
    package = "tb_gradclip.keras." if way == "fit" else "tb_gradclip.tensorflow."
    names = [*(package + name for name in BUGS[way]), "tb_gradclip.recorder.step_rows", "tb_gradclip.recorder.replace"]

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(names[place], fail)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        got = outcome(way, tmp_path)
    assert got == expected
    said = {str(warning.message) for warning in told if str(warning.message).startswith("gradclip")}
    assert 1 <= len(said) <= 2, said  # what measures and what collects meet some bugs both
    assert all("a bug" in line and "Training is not affected" in line for line in said)


@pytest.mark.parametrize("place", ["a disk", 0, 3])
def test_where_warnings_are_errors_it_is_told_once_on_standard_error(
    place: int | str,
    bare: tuple[str, list[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tb_gradclip.recorder.SECONDS_PER_RECORD", 0.0)
    way, expected = bare

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    with TROUBLES["limited"](tmp_path) as fill, warnings.catch_warnings():
        warnings.filterwarnings("error", "gradclip")
        if not isinstance(place, str):
            package = "tb_gradclip.keras." if way == "fit" else "tb_gradclip.tensorflow."
            monkeypatch.setattr(package + BUGS[way][place], fail)
        got = outcome(way, tmp_path, lambda step: fill() if place == "a disk" and step == STEPS // 2 else None)
    assert got == expected
    told = {line for line in capfd.readouterr().err.splitlines() if line.startswith("gradclip")}
    assert 1 <= len(told) <= 2, told  # what measures and what collects meet some bugs both
    assert all(line.endswith("Training is not affected.") for line in told)


ALWAYS = {
    "ring.StepRing.drain": False,
    "ring.StepRing.take_limit": False,
    "ring.StepRing.next_step": False,
    "hooks.Hooks.remove": False,
    "hooks.Hooks._places": True,
    "hooks.Hooks.record_skipped": True,
    "hooks.as_the_first_replica": True,
}
"""What may fail in a `fit` beside what is recorded of each batch, and whether only where the loss is scaled."""


@pytest.mark.parametrize("place", ALWAYS)
def test_what_always_fails_in_a_fit_is_told_once(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"scaled": ALWAYS[place], "jit_compile": False}
    expected = fitted(None, **settings)
    fails = _Failing()
    monkeypatch.setattr(f"tb_gradclip.keras.{place}", property(fails) if place.endswith("next_step") else fails)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        got = fitted(ClipCallback(tmp_path, on_alert=[].append, histogram_every=1), **settings)
    assert fails.calls
    assert got == expected
    (said,) = [str(warning.message) for warning in told if str(warning.message).startswith("gradclip")]
    assert "a bug" in said
    assert said.endswith("Training is not affected.")


class _Failing:
    """A function that fails."""

    calls = 0

    def __call__(self, *_: object) -> None:
        self.calls += 1
        raise RuntimeError("a bug")


def test_another_fit_goes_on_where_the_directory_cannot_be_written_any_more(tmp_path: Path) -> None:
    expected = fitted(None, fits=2)
    logdir, made = tmp_path / "run", []

    def before(batch: int) -> None:
        made.append(batch)
        if len(made) == STEPS:  # the last batch of the first fit: its file stays open
            shutil.move(logdir, tmp_path / "kept")
            logdir.touch()

    with pytest.warns(UserWarning, match="gradclip does not record this fit: .*Training is not affected") as told:
        assert fitted(ClipCallback(logdir), before, fits=2) == expected
    assert len([warning for warning in told if str(warning.message).startswith("gradclip")]) == 1
    assert len(tb_gradclip.read(tmp_path / "kept")["."].steps) == STEPS


PROGRAM = """
import os, signal, sys
from pathlib import Path
from tests.trust.test_harmless_tensorflow import STEPS, outcome
def end(step):
    if step == STEPS // 2:
        if sys.argv[2] == "exit": sys.exit(3)
        if sys.argv[2] == "error": raise LookupError("of the user's own")
        if sys.argv[2] == "interrupt": os.kill(os.getpid(), signal.SIGINT)
outcome(sys.argv[1], Path(sys.argv[3]), end)
"""


@pytest.mark.parametrize(
    ("way", "ending", "status"),
    [
        ("fit", "interrupt", -2),
        pytest.param("graph", "exit", 3, marks=pytest.mark.long),  # each takes as long as it takes to load TensorFlow
        pytest.param("eager", "error", 1, marks=pytest.mark.long),
    ],
)
def test_a_program_ends_as_it_would_have_and_loses_nothing(way: str, ending: str, status: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, way, ending, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert "gradclip" not in "".join(line for line in done.stderr.splitlines(True) if "Warning" in line)
    run = tb_gradclip.read(tmp_path / "run")["."]
    assert len(run.steps) == STEPS // 2
    assert run.complete
