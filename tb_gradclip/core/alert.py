"""What is said of a step: events and findings, each once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tb_gradclip.core import framing
from tb_gradclip.core.checked import decoder, finite, flag, one_of, optional, text, time, whole

ALERT_KINDS = (
    *("nonfinite", "divergence", "spike", "explosion", "vanishing", "zero_step", "regime", "plateau"),
    "lint",
)
"""Events, each raised by a monitor of `core.trouble`; and findings of `core.lint`."""


@dataclass(frozen=True)
class Alert:
    """Something happened at a step, or was noticed there.

    `kind` is one of `ALERT_KINDS`; `severity` is `error`, `warning` or `info`; `message` is one sentence. Only a `lint`
    alert has a `finding`, its name in `lint.FINDINGS`, and a `remedy`, one sentence as well. The others may have
    `departures`: parameters in the order in which they left their past, each with how many steps before `step` it did
    (see `trouble.TroubleMonitor`); `parameter` is the first of them. All but `regime` and `lint` are
    episodes: they last from `start` to before `end` (None while they do), and `recovered` or not; `divergence`, `spike`
    and `explosion` have their `peak` at `peak_step`. What is told while it lasts is recorded again when it is over: of
    two alerts of a kind at a step the later one holds.
    """

    step: int
    kind: str
    severity: str
    message: str
    parameter: str | None = None
    wall_time: float = 0.0
    finding: str | None = None
    remedy: str | None = None
    departures: tuple[tuple[str, int], ...] = ()
    start: int | None = None
    peak: float | None = None
    peak_step: int | None = None
    end: int | None = None
    recovered: bool = False

    def __str__(self) -> str:
        """The alert as one line."""
        did = {"nonfinite": "not finite", "vanishing": "to vanish"}.get(self.kind, "to rise")
        first = f" (first {did}: {self.parameter})" if self.parameter else ""
        remedy = f". {self.remedy}" if self.remedy else ""
        return f"step {self.step}: {self.kind}: {self.message}{first}{remedy}"


def encode_alerts(alerts: list[Alert]) -> bytes:
    """Frame of an `alerts` record."""
    return framing.pack({"alerts": [vars(alert) for alert in alerts]})


@decoder
def decode_alerts(frame: bytes) -> list[Alert]:
    """The alerts that `encode_alerts` framed."""
    header, _ = framing.unpack(frame)
    return [_alert(fields) for fields in header["alerts"]]


def _alert(fields: dict[str, Any]) -> Alert:
    known = {key: _CHECKS[key](value) for key, value in fields.items() if key in _CHECKS}
    return Alert(**known, departures=tuple((text(name), whole(lead)) for name, lead in fields.get("departures", ())))


_CHECKS: dict[str, Callable[[object], Any]] = {
    "step": whole,
    "kind": lambda value: one_of(value, ALERT_KINDS),
    "severity": lambda value: one_of(value, ("error", "warning", "info")),
    "message": text,
    "wall_time": time,
    "recovered": flag,
    **{name: functools.partial(optional, text) for name in ("parameter", "finding", "remedy")},
    **{name: functools.partial(optional, whole) for name in ("start", "peak_step", "end")},
    "peak": functools.partial(optional, finite),
}
"""What each field of an alert must be; the rest of the fields are those of a later version."""
