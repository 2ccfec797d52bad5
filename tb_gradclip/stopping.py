"""The alert action "stop", of loops that can be asked to end as they do by themselves."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from tb_gradclip.core.schema import Alert
from tb_gradclip.recorder import OnAlert

ACTIONS = ("warn", "raise", "stop")


def resolved(on_alert: OnAlert, stop: Callable[[], object], processes: int) -> OnAlert:
    """What a `Recorder` is to do: for "stop" warn of every alert, and call `stop` after one of severity `error`.

    Raises:
      ValueError: one of several processes would have to stop them all.
    """
    if on_alert != "stop":
        return on_alert
    if processes > 1:
        raise ValueError(
            f'`on_alert` must not be "stop" where several processes train, got {processes}: the others would wait for '
            'the one that stops. Pass "raise", with which the job fails.'
        )

    def warn_and_stop(alert: Alert) -> None:
        warnings.warn(str(alert), stacklevel=2)
        if alert.severity == "error":
            stop()

    return warn_and_stop
