"""What the health line of the dashboard says, for text: alerts and findings in few words, shares as people read them.

The dashboard has the same in `frontend/src/model/health.ts`, `format.ts` and `words.ts`. Both sides are tested with the
cases of `tests/fixtures/health_words.json`, so that a term means the same wherever it stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, NamedTuple

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.imported import Imported

KINDS = {
    "divergence": ("diverged", "divergences"),
    "nonfinite": ("non-finite", "non-finite"),
    "spike": ("spike", "spikes"),
    "explosion": ("norm exploded", "exploding norms"),
    "zero_step": ("zero step", "zero steps"),
    "vanishing": ("vanishing", "vanishing"),
    "regime": ("clip rate changed", "clip rate changes"),
    "plateau": ("plateau", "plateaus"),
}
"""Events in the order in which they matter: what each is called by itself, and several of it."""

MINUS, DASH, NARROW_SPACE = "\u2212", "\u2013", "\u202f"

_THREE_DIGITS = Context(prec=3, rounding=ROUND_HALF_UP)


class Chip(NamedTuple):
    """What sums up the alerts of a kind: words, the worst severity, or `ok`."""

    text: str
    severity: str


def chips(alerts: Sequence[Alert]) -> list[Chip]:
    """One for each kind of event that occurred: `diverged 612`, `12 spikes`; `none` otherwise."""
    found = []
    for kind, (_, plural) in KINDS.items():
        own = [alert for alert in alerts if alert.kind == kind]
        if own:
            one = f"{alert_label(own[0])} {integer(own[0].step)}"
            found.append(Chip(one if len(own) == 1 else f"{integer(len(own))} {plural}", worst(own)))
    return found or [Chip("none", "ok")]


def lint_chip(alerts: Sequence[Alert]) -> Chip:
    """What there is to say about how clipping is set up: the finding's name, or how many there are; `none`."""
    own = [alert for alert in alerts if alert.kind == "lint"]
    if not own:
        return Chip("none", "ok")
    text = (own[0].finding or "lint").replace("_", " ") if len(own) == 1 else f"{len(own)} findings"
    return Chip(text, worst(own))


def alert_label(alert: Alert) -> str:
    """What one alert says by itself."""
    if alert.kind not in ("nonfinite", "lint"):
        return KINDS[alert.kind][0] if alert.kind in KINDS else alert.kind
    if re.search(r"\bnan\b", alert.message, re.IGNORECASE):
        return "NaN"
    return "Inf" if re.search(r"\binf", alert.message, re.IGNORECASE) else "non-finite"


def worst(alerts: Sequence[Alert]) -> str:
    """The worst severity of these."""
    found = {alert.severity for alert in alerts}
    return "error" if "error" in found else "warning" if "warning" in found else "info"


def provenance(replicas: int, gradients: str, imported: Imported | None) -> str | None:
    """A note on whose gradients the norms are those of: where several replicas train, or nobody recorded them."""
    if imported is not None:
        return "imported"
    if gradients == "replica":
        return f"replica 1 of {replicas}"
    return f"{replicas} replicas" if replicas > 1 else None


def integer(value: int) -> str:
    """With thousands separated: 12,345."""
    return f"{MINUS * (value < 0)}{abs(value):,}"


def percent(share: float | None) -> str:
    """A share as a percentage; one that is almost nothing or everything never reads as 0 % or 100 %. – if not known."""
    if share is None or not math.isfinite(share):
        return DASH
    return f"{_digits(share)}{NARROW_SPACE}%"


def percent_range(low: float, high: float) -> str:
    """The bounds of an interval of shares: 86–97 %."""
    return f"{_digits(low)}{DASH}{_digits(high)}{NARROW_SPACE}%"


def _digits(share: float) -> str:
    sign, size = MINUS * (share < 0), abs(share) * 100
    if size == 0:
        return "0"
    if size < 0.1:
        return f"{sign}<0.1"
    if size < 1:
        return f"{sign}{Decimal(size).quantize(Decimal('0.1'), ROUND_HALF_UP)}"
    if 99 <= size < 100 - 1e-6:
        return f"{sign}{math.floor(size * 10) / 10:g}"
    return f"{sign}{Decimal(size).quantize(Decimal(1), ROUND_HALF_UP)}"


def number(value: float) -> str:
    """Three significant digits: 0.25, 12.3, 1,234, 1.2e-5, NaN, ∞."""
    if math.isnan(value):
        return "NaN"
    sign, size = MINUS * (value < 0), abs(value)
    if math.isinf(size):
        return f"{sign}∞"
    if size == 0:
        return "0"
    rounded = float(_THREE_DIGITS.create_decimal(Decimal(size)))
    if size >= 1e6 or size < 1e-3:
        digits, power = f"{rounded:.2e}".split("e")
        return f"{sign}{float(digits):g}e{int(power)}".replace("e-", f"e{MINUS}")
    if size >= 1000:
        return sign + integer(math.floor(size + 0.5))
    return f"{sign}{rounded:g}"


def health_words(run: dict[str, Any], alerts: Sequence[Alert]) -> dict[str, str]:
    """The cells of the health line of a run, of which `figures.figures` tells.

    `clip_rate` is that of the last 100 steps with its 95 % interval, `total` that of the run.
    """
    recent, whole = run["recent_clip_rate"], run["clip_rate"]
    band = f" {percent_range(recent['low'], recent['high'])}" if recent else ""
    return {
        "rule": run["rule"]["text"],
        "clip_rate": percent(recent["rate"] if recent else None) + band,
        "total": percent(whole["rate"] if whole else None),
        "throttle": percent(run["throttle"]),
        "alerts": ", ".join(chip.text for chip in chips(alerts)),
        "lint": lint_chip(alerts).text,
        "overhead": percent(run["overhead"]),
    }
