"""What happens when an alert comes up, besides that it is recorded: what `on_alert` of every writer may be.

An action runs on the training thread, between two steps. Those of this module never hold it up: `Webhook` has a thread
of its own. What goes wrong in them is told once and training goes on; an exception of your own function ends training,
which may be what it is for.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from tb_gradclip.core.alert import ALERT_KINDS, Alert
from tb_gradclip.telling import tell

Action = Callable[[Alert], object] | Literal["log", "warn", "raise", "stop"]
Kinds = str | Iterable[str]
OnAlert = Action | Sequence[tuple[Kinds, Action]] | None

EPISODE = 50
"""Steps without an alert after which the next one is another episode, as for the monitors that raise them."""

_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}
_log = logging.getLogger("tb_gradclip")


class DivergenceError(RuntimeError):
    """Raised in the training loop by the action "raise"; `alert` says what happened."""

    def __init__(self, alert: Alert) -> None:
        super().__init__(str(alert))
        self.alert = alert


def action_of(
    on_alert: OnAlert, stop: Callable[[], object] | None = None, processes: int = 1
) -> Callable[[Alert], object] | None:
    """One function of an alert that does what `on_alert` asks for, or None if that is nothing.

    Args:
      on_alert: None, an action, or (kinds, action) pairs: every action is carried out whose kinds, one or several of
        `core.alert.ALERT_KINDS` or "all", include the alert's. An action is a function of the alert or

        - "log": a line of the logger `tb_gradclip`, at the level of the alert's severity;
        - "warn": a Python warning; where warnings are errors, a line on standard error, because "raise" ends training;
        - "raise": a `DivergenceError` in the training loop, once other actions are carried out, for an alert of
          severity `error` only;
        - "stop": a Python warning, and training ends as after its last step, for an alert of severity `error` only.
      stop: tells the framework's own training loop to end; None where there is no such loop.
      processes: how many train together.

    Raises:
      ValueError: `on_alert` is none of these, or "stop" where nothing can be told to stop, or not all of them.
    """
    if on_alert is None:
        return None
    pairs = on_alert if isinstance(on_alert, Sequence) and not isinstance(on_alert, str) else [("all", on_alert)]
    checked = [_checked(pair, stop, processes) for pair in pairs]
    checked.sort(key=lambda pair: pair[1] is _raise)  # what ends this comes last

    def act(alert: Alert) -> None:
        for kinds, function in checked:
            if alert.kind in kinds:
                function(alert)

    return act


class Checkpoint:
    """An action that saves the model once an episode: at its first alert, and then not until 50 steps went without.

    Findings about how clipping is set up (`lint`) and mere information are no episodes. A failure to save is a warning.

    Args:
      save: called with the alert; what it saves has the updates of all steps so far, the alert's included.

    Raises:
      TypeError: `save` cannot be called.

    >>> Checkpoint(lambda alert: torch.save(model.state_dict(), f"step-{alert.step}.pt"))     # doctest: +SKIP
    """

    def __init__(self, save: Callable[[Alert], object]) -> None:
        if not callable(save):
            raise TypeError(f"`save` must be a function of an alert, got {save!r}. Pass one that saves your model.")
        self._save = save
        self._last: int | None = None

    def __call__(self, alert: Alert) -> None:
        """Save, if the alert begins an episode."""
        if alert.kind == "lint" or alert.severity == "info":
            return
        last, self._last = self._last, alert.step
        if last is not None and 0 <= alert.step - last <= EPISODE:
            return
        try:
            self._save(alert)
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            tell(f"gradclip: the checkpoint of step {alert.step} failed: {error!r}.", stacklevel=2)


def _checked(
    pair: Any, stop: Callable[[], object] | None, processes: int
) -> tuple[frozenset[str], Callable[[Alert], object]]:
    """The kinds of a pair, and a function that is its action."""
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
        raise ValueError(f"`on_alert` must be an action or a list of (kinds, action) pairs, got {pair!r} in the list.")
    kinds, action = pair
    if action == "stop" and stop is not None and processes > 1:
        raise ValueError(
            f'`on_alert` must not be "stop" where several processes train, got {processes}: the others would wait for '
            'the one that stops. Pass "raise", with which the job fails.'
        )
    return _kinds(kinds), _function(action, stop)


def _kinds(kinds: Kinds) -> frozenset[str]:
    wanted = frozenset([kinds] if isinstance(kinds, str) else kinds)
    if wanted == {"all"}:
        return frozenset(ALERT_KINDS)
    if unknown := wanted - set(ALERT_KINDS):
        names = ", ".join(ALERT_KINDS)
        raise ValueError(f'`on_alert` must name kinds of alerts ("all" or {names}), got {sorted(unknown)}.')
    return wanted


def _function(action: Action, stop: Callable[[], object] | None) -> Callable[[Alert], object]:
    if callable(action):
        return action
    functions: dict[str, Callable[[Alert], object]] = {"log": _write_log, "warn": _warn, "raise": _raise}
    if stop is not None:
        functions["stop"] = functools.partial(_warn_and_stop, stop)
    if action not in functions:
        names = ", ".join(f'"{name}"' for name in functions)
        remedy = "raise, or set a flag in a function, to end a loop of yours" if action == "stop" else "pass print, say"
        raise ValueError(
            f"`on_alert` must be None, {names}, a function of one alert, or a list of (kinds, action) pairs, "
            f"got {action!r}: {remedy}."
        )
    return functions[action]


def _write_log(alert: Alert) -> None:
    _log.log(_LEVELS[alert.severity], "%s", alert)


def _warn(alert: Alert) -> None:
    tell(str(alert), stacklevel=6)


def _warn_and_stop(stop: Callable[[], object], alert: Alert) -> None:
    if alert.severity == "error":
        _warn(alert)
        stop()


def _raise(alert: Alert) -> None:
    if alert.severity == "error":
        raise DivergenceError(alert)
