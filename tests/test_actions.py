"""What alerts set off, and what happens when that goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tb_gradclip
from tb_gradclip.actions import EPISODE, Checkpoint, DivergenceError, action_of
from tb_gradclip.core.alert import ALERT_KINDS, Alert

SPIKE = Alert(7, "spike", "warning", "loss jumped from 1 to 9 for 1 step, then came back")
BROKE = Alert(9, "divergence", "error", "loss rose from 1 to 9 within 5 steps", "rnn")
LINT = Alert(9, "lint", "info", "the threshold is infinite", finding="threshold_infinite", remedy="Leave it out.")


def done_by(on_alert: Any, *alerts: Alert, **options: Any) -> None:
    act = action_of(on_alert, **options)
    assert act is not None
    for alert in alerts:
        act(alert)


def test_nothing_is_done_where_nothing_is_asked_for() -> None:
    assert action_of(None) is None


def test_a_line_is_logged_at_the_level_of_the_severity(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tb_gradclip")
    done_by("log", SPIKE, BROKE, LINT)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", str(SPIKE)),
        ("ERROR", str(BROKE)),
        ("INFO", str(LINT)),
    ]


def test_only_errors_are_raised_and_they_carry_the_alert() -> None:
    done_by("raise", SPIKE, LINT)
    with pytest.raises(DivergenceError, match="step 9: divergence: .*first to rise: rnn") as raised:
        done_by("raise", BROKE)
    assert raised.value.alert is BROKE
    assert tb_gradclip.DivergenceError is DivergenceError


def test_pairs_choose_alerts_by_kind_and_raise_last() -> None:
    heard: list[tuple[str, Alert]] = []

    def hear(name: str) -> Callable[[Alert], None]:
        return lambda alert: heard.append((name, alert))

    pairs = [("divergence", "raise"), (("spike", "divergence"), hear("two")), ("all", hear("all")), ([], hear("none"))]
    done_by(pairs, SPIKE, LINT)
    with pytest.raises(DivergenceError):
        done_by(pairs, BROKE)
    assert heard == [("two", SPIKE), ("all", SPIKE), ("all", LINT), ("two", BROKE), ("all", BROKE)]


def test_a_loop_that_can_be_stopped_is_stopped_by_errors_only() -> None:
    stopped: list[bool] = []
    done_by("stop", SPIKE, LINT, stop=lambda: stopped.append(True))
    assert stopped == []
    with pytest.warns(UserWarning, match="step 9: divergence"):
        done_by([("all", "stop")], BROKE, stop=lambda: stopped.append(True))
    assert stopped == [True]


def test_an_exception_of_a_function_of_the_user_ends_training() -> None:
    def end(alert: Alert) -> None:
        raise KeyError(alert.step)

    with pytest.raises(KeyError, match="7"):
        done_by(end, SPIKE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("shout", 'must be None, "log", "warn", "raise", a function .* got \'shout\': pass print, say'),
        ("stop", "got 'stop': raise, or set a flag"),
        (3, "got 3 in the list|got 3"),
        ([print], "a list of .kinds, action. pairs, got <built-in function print> in the list"),
        (["spike", "raise"], "pairs, got 'spike' in the list"),
        ([("spikes", "raise")], "must name kinds .*nonfinite, divergence, spike, .*lint.*got \\['spikes'\\]"),
        ([("spike", "shout")], "got 'shout'"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(tmp_path: Path, given: Any, message: str) -> None:
    import torch

    from tb_gradclip.torch import ClipWriter

    with pytest.raises(ValueError, match=message):
        ClipWriter(tmp_path, torch.nn.Linear(1, 1), on_alert=given)


def test_one_of_several_processes_does_not_stop_by_itself() -> None:
    with pytest.raises(ValueError, match="several processes train, got 2"):
        action_of([("all", "stop")], print, processes=2)
    assert action_of("stop", print) is not None


def test_a_checkpoint_is_saved_once_an_episode() -> None:
    saved: list[int] = []
    keep = Checkpoint(lambda alert: saved.append(alert.step))
    for step in (3, 4, 4 + EPISODE, 4 + 2 * EPISODE, 5 + 3 * EPISODE):
        keep(Alert(step, "nonfinite", "error", "loss is NaN"))
    keep(LINT)
    keep(Alert(400, "plateau", "info", "loss has not fallen"))
    assert saved == [3, 5 + 3 * EPISODE]
    keep(Alert(0, "spike", "warning", "of a run that began anew"))
    assert saved[-1] == 0


def test_a_checkpoint_that_fails_is_told_and_training_goes_on() -> None:
    def fail(alert: Alert) -> None:
        raise OSError("no space left")

    with pytest.warns(UserWarning, match="checkpoint of step 7 failed: OSError.'no space left'."):
        Checkpoint(fail)(SPIKE)
    with pytest.raises(TypeError, match="must be a function of an alert, got 'model.pt'"):
        Checkpoint("model.pt")  # type: ignore[arg-type]


def test_kinds_are_those_that_monitors_raise() -> None:
    assert {SPIKE.kind, BROKE.kind, LINT.kind} < set(ALERT_KINDS)


def test_keras_stops_as_after_its_last_epoch(tmp_path: Path) -> None:
    import keras
    import numpy as np

    from tb_gradclip.keras import ClipCallback

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), loss="mse")
    inputs = np.ones((400, 2), np.float32)
    inputs[120] = np.nan
    with pytest.warns(UserWarning, match="step 30: nonfinite"):
        model.fit(
            inputs,
            inputs[:, :1],
            batch_size=4,
            shuffle=False,
            verbose=0,
            callbacks=[ClipCallback(tmp_path, on_alert="stop")],
        )
    run = tb_gradclip.read(tmp_path)["."]
    assert 31 <= len(run.steps) < 100
    assert model.stop_training


@pytest.mark.filterwarnings("error")
def test_where_warnings_are_errors_they_are_lines_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    stopped: list[bool] = []

    def save(alert: Alert) -> None:
        raise OSError("no room for it")

    done_by(Checkpoint(save), BROKE)
    done_by("warn", SPIKE)
    done_by("stop", BROKE, stop=lambda: stopped.append(True))
    assert capsys.readouterr().err.splitlines() == [
        "gradclip: the checkpoint of step 9 failed: OSError('no room for it').",
        str(SPIKE),
        str(BROKE),
    ]
    assert stopped == [True]
