"""Findings on their way from whoever notices them to whoever reads the run."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tb_gradclip
from tb_gradclip.cli import main
from tb_gradclip.core.alert import Alert
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import EventFile
from tests.benchmarks.synthetic import Training, record
from tests.test_recorder import measured, recorder


def lint(logdir: Path) -> list[tuple[str | None, int]]:
    """Findings of a run, and where."""
    alerts = tb_gradclip.read(logdir)["."].alerts
    assert all((alert.kind == "lint") == (alert.finding is not None) for alert in alerts)
    return [(alert.finding, alert.step) for alert in alerts if alert.kind == "lint"]


def test_what_adapters_notice_is_recorded_once_each_whoever_says_it_however_often(tmp_path: Path) -> None:
    book = recorder(tmp_path)

    def notice() -> None:
        for step in range(200):
            book.add_finding("no_gradient", step)
            book.add_finding("counted_twice", step, names=["a", "b"])

    threads = [threading.Thread(target=notice) for _ in range(4)]
    for thread in threads:
        thread.start()
    for first in range(0, 60, 3):
        book.add_steps(measured(first, [2.0] * 3))
    for thread in threads:
        thread.join()
    book.add_steps(measured(60, [2.0]))
    book.close()
    assert sorted(name for name, _ in lint(tmp_path) if name) == ["counted_twice", "no_gradient"]
    (twice,) = [alert for alert in tb_gradclip.read(tmp_path)["."].alerts if alert.finding == "counted_twice"]
    assert twice.message.endswith("scaled twice: a, b")
    assert twice.wall_time == 1.7e9


def test_a_run_that_is_resumed_has_each_finding_once(tmp_path: Path) -> None:
    for start in (0, 5):
        book = recorder(tmp_path)
        book._log._attempt = f"{start:011x}"  # two writers may start within a millisecond
        book.add_finding("no_gradient", start)
        book.add_steps(measured(start, [2.0] * 5))
        book.add_steps(measured(start + 5, [2.0], kind="none", threshold=math.nan))
        book.close()
    assert lint(tmp_path) == [("no_gradient", 0), ("step_without_clip", 10)]


def listening(logdir: Path, on_alert: Any) -> Recorder:
    parameters = [Parameter("a"), Parameter("b")]
    return Recorder(EventFile(logdir), framework="test", library="test", parameters=parameters, on_alert=on_alert)


def test_a_finding_is_heard_and_warned_of_but_never_stops_training(tmp_path: Path) -> None:
    heard: list[Alert] = []
    for action in (heard.append, "raise", "warn"):
        book = listening(tmp_path, action)
        book.add_finding("scaled_gradients", 0)
        book.add_steps(measured(0, [2.0], threshold=0.0))
        if action == "warn":
            with pytest.warns(UserWarning, match="step 0: lint: .* loss scale .*Unscale"):
                book.act()
        else:
            book.act()
        book.close()
    assert [alert.finding for alert in heard] == ["scaled_gradients", "threshold_zero"]


def test_a_long_healthy_run_has_no_finding(tmp_path: Path) -> None:
    training = Training(8)
    book = training.recorder(EventFile(tmp_path), histogram_every=500)
    record(training, book, 20_000)
    book.close()
    assert lint(tmp_path) == []


def test_report_lists_findings_and_check_does_not_fail_on_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = recorder(tmp_path)
    book.add_steps(measured(0, [2.0], threshold=0.0))
    book.close()
    assert main(["report", str(tmp_path)]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith(".: step 0: lint: the threshold is 0, so clipping turns every gradient into 0. Pass a")
    assert main(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""


Clip = Callable[[Any, Any], object]


def by_hand(writer: Any, layer: Any) -> None:
    with writer.clipping():
        pass


TORCH_CLIPS: dict[str, Clip] = {
    "norm": lambda writer, layer: writer.clip_grad_norm_(layer.parameters(), 1.0),
    "by hand": by_hand,
}


@pytest.mark.parametrize("clip", TORCH_CLIPS.values(), ids=TORCH_CLIPS)
@pytest.mark.parametrize("early", [True, False])
def test_clipping_before_backward_is_found_in_torch(tmp_path: Path, clip: Clip, early: bool) -> None:
    import torch

    from tb_gradclip.torch import ClipWriter

    layer = torch.nn.Linear(3, 1)
    with ClipWriter(tmp_path, layer, start_step=4) as writer:
        for _ in range(30):
            layer.zero_grad()
            if early:
                clip(writer, layer)
            layer(torch.ones(2, 3)).sum().backward()
            if not early:
                clip(writer, layer)
            writer.step(1.0)
    assert lint(tmp_path) == ([("no_gradient", 4)] if early else [])


def test_clipping_zeros_is_found_in_torch(tmp_path: Path) -> None:
    import torch

    from tb_gradclip.torch import ClipWriter

    layer = torch.nn.Linear(3, 1)
    with ClipWriter(tmp_path, layer) as writer:
        for _ in range(30):
            layer.zero_grad(set_to_none=False)
            for parameter in layer.parameters():
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            writer.clip_grad_value_(layer.parameters(), 1.0)
            layer(torch.ones(2, 3)).sum().backward()
            writer.step(1.0)
    assert lint(tmp_path) == [("zero_gradients", 9)]


@pytest.mark.filterwarnings("ignore:gradclip")  # which says at once that one is given twice
@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0.weight 0.bias 1.weight 1.bias", []),
        ("0.weight 0.bias", ["not_covered: 1.weight, 1.bias"]),
        ("0.weight 0.bias 1.weight 1.bias 1.bias", ["counted_twice: 1.bias"]),
        ("", []),
    ],
)
def test_parameters_left_out_or_given_twice_are_found(
    tmp_path: Path, given: str, expected: list[str], watched: bool
) -> None:
    import torch

    from tb_gradclip.torch import ClipWriter, watch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 1), torch.nn.Linear(1, 1))
    model[2].requires_grad_(False)
    named = dict(model.named_parameters())
    parameters = [named[name] for name in given.split()]
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with watch(model, optimizer, tmp_path) if watched else ClipWriter(tmp_path, model) as writer:
        for _ in range(100):
            optimizer.zero_grad()
            model(torch.randn(2, 3)).square().sum().backward()
            if parameters:
                clip: Any = torch.nn.utils if watched else writer
                clip.clip_grad_norm_(parameters, 0.5)
            optimizer.step()
            if not watched:
                writer.step(1.0)
    alerts = [alert for alert in tb_gradclip.read(tmp_path)["."].alerts if alert.finding]
    assert [f"{alert.finding}: {alert.message.rpartition(': ')[2]}" for alert in alerts] == expected
    assert [alert.step for alert in alerts] == [24 if "not" in name else 0 for name in expected]


def test_what_the_optimizer_does_not_update_need_not_be_clipped(tmp_path: Path) -> None:
    import torch

    from tb_gradclip.torch import watch

    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model[1].parameters(), 0.01)
    with watch(model, optimizer, tmp_path):
        for _ in range(60):
            model.zero_grad()
            model(torch.randn(2, 3)).square().sum().backward()
            torch.nn.utils.clip_grad_norm_(model[1].parameters(), 0.5)
            optimizer.step()
    assert lint(tmp_path) == []


@pytest.mark.filterwarnings("ignore:gradclip")  # which says so at once
@pytest.mark.parametrize("unscaled", [True, False])
@pytest.mark.parametrize("fused", [True, False])
def test_clipping_scaled_gradients_is_found(tmp_path: Path, unscaled: bool, fused: bool) -> None:
    import torch

    from tb_gradclip.torch import ClipWriter

    layer = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(layer.parameters(), 0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    with ClipWriter(tmp_path, layer, start_step=7) as writer:
        for _ in range(5):
            optimizer.zero_grad()
            scaler.scale(layer(torch.ones(2, 3)).sum()).backward()
            if unscaled:
                scaler.unscale_(optimizer)
            writer.clip_grad_norm_(layer.parameters(), 1e6)
            scaler.step(optimizer)
            scaler.update()
            writer.step(1.0)
    assert lint(tmp_path) == ([] if unscaled else [("scaled_gradients", 7)])


@pytest.mark.parametrize("compiled", [False, True])
def test_clipping_a_list_of_none_is_found_in_tensorflow(tmp_path: Path, compiled: bool) -> None:
    import tensorflow as tf

    from tb_gradclip.tensorflow import ClipWriter

    for name, grads in (("none", [None, None]), ("some", [tf.ones([2]), None])):
        with ClipWriter(tmp_path / name, [tf.Variable([1.0, 2.0]), tf.Variable(0.0)], start_step=3) as writer:

            def train_step(writer: Any = writer, grads: Any = grads) -> None:
                writer.clip_by_norm(grads, 1.0)
                writer.step(1.0)

            call = tf.function(train_step) if compiled else train_step
            for _ in range(20):
                call()
    assert lint(tmp_path / "none") == [("no_gradient", 3)]
    assert lint(tmp_path / "some") == []


@pytest.mark.parametrize(("clipnorm", "expected"), [(0.0, [("clipping_off", 0)]), (None, []), (0.5, [])])
def test_a_clipnorm_of_zero_is_found_in_keras(
    tmp_path: Path, clipnorm: float | None, expected: list[tuple[str, int]]
) -> None:
    import keras

    from tb_gradclip.keras import ClipCallback

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01, clipnorm=clipnorm), loss="mse")
    model.fit(np.ones((16, 3)), np.ones((16, 1)), batch_size=4, verbose=0, callbacks=[ClipCallback(tmp_path)])
    assert lint(tmp_path) == expected
