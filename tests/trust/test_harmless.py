"""What goes wrong in recording leaves a PyTorch training as it is, to the last bit, and is told once."""

from __future__ import annotations

import copy
import io
import pickle
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import tb_gradclip
from tb_gradclip import Checkpoint, DivergenceError
from tests.trust.disks import TROUBLES
from tests.trust.told import assert_recording_stopped, caught
from tests.trust.trained import STEPS, WAYS, Training, outcome

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),  # that is what is tested
]


@pytest.fixture(scope="module")
def bare() -> list[bytes]:
    return outcome(Training("bare"))


@pytest.mark.parametrize("heard", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_disk_that_fails_is_told_once(
    trouble: str, way: str, heard: bool, bare: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tb_gradclip.recorder.SECONDS_PER_RECORD", 0.0)  # everything goes to the disk at once
    logdir = tmp_path / "run"
    logdir.mkdir()
    with TROUBLES[trouble](logdir) as happen, caught() as told:
        training = Training(way, logdir, on_alert=[].append if heard else None, histogram_every=1)
        got = outcome(training, before=lambda step: happen() if step == STEPS // 2 else None)
        training.recorder.close()
    assert got == bare
    assert_recording_stopped(told)


@pytest.fixture
def warnings_are_errors() -> Iterator[None]:
    """As with `python -W error::UserWarning`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def fail(*_: object, **__: object) -> None:
    raise LookupError("a bug")


FAILURES = {
    "a disk": None,
    "measuring": "tb_gradclip.torch.measuring.Measuring._finish_step",
    "collecting": "tb_gradclip.torch.outbox.Outbox._read",
    "recording": "tb_gradclip.recorder.step_rows",
}


@pytest.mark.usefixtures("warnings_are_errors")
@pytest.mark.parametrize("heard", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("failure", FAILURES)
def test_where_warnings_are_errors_it_is_told_once_on_standard_error(
    failure: str,
    way: str,
    heard: bool,
    bare: list[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tb_gradclip.recorder.SECONDS_PER_RECORD", 0.0)
    with TROUBLES["limited"](tmp_path) as fill:
        training = Training(way, tmp_path, on_alert=[].append if heard else None, histogram_every=1)
        place = FAILURES[failure]
        happen = fill if place is None else lambda: monkeypatch.setattr(place, fail)
        got = outcome(training, before=lambda step: happen() if step == STEPS // 2 else None)
        training.recorder.close()
    assert got == bare
    (told,) = capfd.readouterr().err.splitlines()
    assert told.startswith("gradclip ")
    assert told.endswith("Training is not affected.")


@pytest.mark.usefixtures("warnings_are_errors")
def test_where_warnings_are_errors_a_word_about_a_call_and_an_alert_stay_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    training = Spoilt("writer", tmp_path, on_alert=[("nonfinite", "warn")])
    weights = list(training.model.parameters())
    with training.recorder:
        for _ in range(STEPS):
            training.writer.clip_grad_norm_([*weights, *weights[:1]], 1.0)
            training.step()
    told = capfd.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == ["gradclip", "step 5"]
    assert len(tb_gradclip.read(tmp_path)["."].steps) == STEPS


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("disk", ["full", "limited"])
def test_what_was_written_before_the_disk_was_full_can_be_read(
    disk: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tb_gradclip.recorder.SECONDS_PER_RECORD", 0.0)
    logdir = tmp_path / "run"
    logdir.mkdir()
    with TROUBLES[disk](logdir) as happen, pytest.warns(UserWarning, match="stopped recording"):
        outcome(
            Training(way, logdir, on_alert=[].append, histogram_every=1),
            before=lambda step: happen() if step == 15 else None,
        )
        run = tb_gradclip.read(logdir)["."]
    assert 15 <= len(run.steps) < STEPS
    assert run.complete


@pytest.mark.parametrize("when", ["heard", "unheard", "flush", "close"])
@pytest.mark.parametrize("way", WAYS)
def test_a_disk_that_hangs_holds_up_neither_training_nor_its_end(
    way: str, when: str, bare: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tb_gradclip.collector.PATIENCE", 0.2)
    monkeypatch.setattr("tb_gradclip.collector.SECONDS_PER_ROUND", 0.01)
    hanging = _Hanging()
    monkeypatch.setattr("tb_gradclip.storage.appended.AppendedFile.flush", hanging.flush)
    with caught() as told:
        training = Training(way, tmp_path, on_alert=[].append if when == "heard" else None)
        training.recorder.flush()
        hanging.hangs = when in ("heard", "unheard")

        def before(step: int) -> None:
            if step == 1 and hanging.hangs:
                assert hanging.entered.wait(20)
            if step == STEPS - 1:
                hanging.hangs = True
                if when == "flush":
                    training.recorder.flush()

        got = outcome(training, before=before)
        training.recorder.flush()
        training.recorder.close()
    hung = not hanging.free.is_set()
    hanging.free.set()
    assert hung
    assert got == bare
    assert told == ["gradclip stopped recording: the log took nothing for 0 s. Training is not affected."]


class _Hanging:
    """A flush that ends when it is told to."""

    def __init__(self) -> None:
        self.hangs, self.entered, self.free = False, threading.Event(), threading.Event()

    def flush(self) -> None:
        if self.hangs:
            self.entered.set()
            if not self.free.wait(60):
                self.free.set()


@pytest.mark.parametrize("way", WAYS)
def test_a_bug_in_looking_at_a_parameter_that_is_given_twice_is_told_once(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("tb_gradclip.torch.lint.ClipLint.look_at_call", fail)
    seen = {}
    with caught() as told:
        for name in ("bare", way):
            training = Training(name, tmp_path)
            calls = torch.nn.utils if training.writer is None else training.writer
            with training.recorder:
                training.model(torch.ones(5)).sum().backward()
                calls.clip_grad_norm_([*training.model.parameters()] * 2, 0.1)
                seen[name] = [_saved([parameter.grad for parameter in training.model.parameters()])]
                seen[name] += [training.step() for _ in range(5)]
    assert seen[way] == seen["bare"]
    assert [warning.partition(":")[0] for warning in told if "was given twice" not in warning] == [
        "gradclip missed a step"
    ]


@pytest.mark.parametrize("way", WAYS)
def test_workers_of_a_data_loader_know_nothing_of_the_writer(way: str, bare: list[bytes], tmp_path: Path) -> None:
    with caught() as told:

        def load(step: int) -> None:
            if step in (3, 15):
                loader = torch.utils.data.DataLoader(range(8), num_workers=2, multiprocessing_context="fork")
                assert len(list(loader)) == 8

        got = outcome(Training(way, tmp_path), before=load)
    assert got == bare
    assert not [warning for warning in told if "gradclip" in warning]
    run = tb_gradclip.read(tmp_path)["."]
    assert run.complete
    assert run.steps["step"].tolist() == list(range(STEPS))


@pytest.mark.parametrize("way", WAYS)
def test_checkpoints_and_copies_are_those_of_a_training_that_is_not_recorded(way: str, tmp_path: Path) -> None:
    kept = {}
    for name in ("bare", way):
        training = Training(name, tmp_path)
        with training.recorder:
            for _ in range(5):
                training.step()
            kept[name] = [
                _saved(training.model),
                _saved(training.model.state_dict()),
                _saved(training.optimizer.state_dict()),
                _saved(pickle.loads(pickle.dumps(training.optimizer))),
                _saved(copy.deepcopy(training.model)),
            ]
            copies = copy.deepcopy((training.model, training.optimizer))
            loss = copies[0](torch.ones(5)).square().sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(copies[0].parameters(), 0.1)
            copies[1].step()
    assert [len(each) for each in kept["bare"]] == [len(each) for each in kept[way]]
    assert kept["bare"] == kept[way]
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 5


def _saved(thing: object) -> bytes:
    file = io.BytesIO()
    torch.save(thing, file)
    return file.getvalue()


def test_two_writers_on_one_directory_do_each_other_no_harm(bare: list[bytes], tmp_path: Path) -> None:
    with caught() as told:
        first, second = Training("writer", tmp_path), Training("watch", tmp_path)
        with second.recorder:
            got = outcome(first, before=lambda _: second.step())
    assert got == bare
    assert second.weights == bare[-1]
    assert told == []
    run = tb_gradclip.read(tmp_path)["."]
    assert run.complete
    assert run.steps["step"].tolist() == list(range(STEPS))
    assert len(list(tmp_path.iterdir())) == 2


class Spoilt(Training):
    """A training whose loss is not finite at its sixth step; it goes on from where it was."""

    def step(self) -> bytes:
        if self.made != 5:
            return super().step()
        before = copy.deepcopy(self.model.state_dict())
        with torch.no_grad():
            self.model[0].weight.mul_(np.inf)
        try:
            return super().step()
        finally:
            self.model.load_state_dict(before)
            state = self.optimizer.state
            state.clear()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("action", ["raise", "function"])
def test_an_alert_that_raises_does_so_once_and_nothing_is_lost(way: str, action: str, tmp_path: Path) -> None:
    def fail(alert: object) -> None:
        raise LookupError("of the user's own")

    expected = {"raise": DivergenceError, "function": LookupError}[action]
    raised, seen = [], {}
    for name in ("bare", way):
        settings = {} if name == "bare" else {"on_alert": "raise" if action == "raise" else [("nonfinite", fail)]}
        training = Spoilt(name, tmp_path, **settings)
        seen[name] = []
        with training.recorder:
            for _ in range(STEPS):
                try:
                    seen[name].append(training.step())
                except expected as error:
                    raised.append(error)
                    seen[name].append(b"")
                    training.made += name != "bare" and training.made == 5
        seen[name].append(training.weights)
    seen["bare"][5] = b""
    assert len(raised) == 1
    assert seen["bare"] == seen[way]
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["step"].tolist() == list(range(STEPS))
    assert [alert.kind for alert in run.alerts if alert.kind == "nonfinite"] == ["nonfinite"]


def test_a_checkpoint_that_fails_is_a_warning(tmp_path: Path) -> None:
    expected = outcome(Spoilt("bare"))

    def save(alert: object) -> None:
        raise OSError("no room for it")

    with caught() as told:
        got = outcome(Spoilt("writer", tmp_path, on_alert=Checkpoint(save)))
    assert got == expected
    assert [warning for warning in told if "gradclip" in warning] == [
        "gradclip: the checkpoint of step 5 failed: OSError('no room for it')."
    ]
