"""Limits that a run is held to: what each asks for, and what there is to say where a run does not keep to it.

A limit on something that is not known is not kept: a check that cannot look must not pass. Where the rule is `none` the
clip rate and the throttle are known, and 0.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.commands.arguments import count, number, share
from tb_gradclip.core.alert import ALERT_KINDS, Alert
from tb_gradclip.core.rates import windowed_throttle
from tb_gradclip.core.totals import Totals
from tb_gradclip.storage.figures import clip_rate, last_losses
from tb_gradclip.storage.read import Run


class Reason(NamedTuple):
    """Why a run does not pass: which limit, and what was found where."""

    run: str
    limit: str
    found: str

    def __str__(self) -> str:
        """The reason as one line."""
        return f"{self.run}: {self.limit}: {self.found}"


def fill(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options that set limits."""
    limits = parser.add_argument_group(
        "limits", "without any, and without --baseline: no alert of severity error: divergence, nonfinite, zero_step"
    )
    part: dict[str, Any] = {"type": share, "metavar": "X"}
    limits.add_argument("--max-clip-rate", **part, help="largest share of steps that are clipped, 0 to 1")
    limits.add_argument("--min-clip-rate", **part, help="smallest share of steps that are clipped")
    limits.add_argument("--max-throttle", **part, help="largest share of gradient length that clipping removes")
    limits.add_argument("--max-norm", type=number, metavar="X", help="largest gradient norm before clipping")
    limits.add_argument("--max-loss", type=number, metavar="X", help="largest loss at the end, mean of the last 50")
    limits.add_argument("--last", type=count, metavar="N", help="rates, throttle and norms of the last N steps only")
    limits.add_argument("--no-divergence", action="store_true", help="no loss that rises and stays")
    limits.add_argument("--no-nonfinite", action="store_true", help="no NaN or Inf, but for what a loss scaler skips")
    limits.add_argument("--no-spikes", action="store_true", help="no loss that jumps and comes back")
    limits.add_argument("--no-lint", action="store_true", help="no finding about how clipping is set up")
    limits.add_argument(
        "--no-alerts",
        type=_kinds,
        action="extend",
        default=[],
        metavar="KIND,...",
        help=f"no alert of these kinds, of any severity: {', '.join(ALERT_KINDS)}, or all",
    )


def any_set(options: argparse.Namespace) -> bool:
    """Whether any limit was given; `--last` alone is none."""
    named = ("max_clip_rate", "min_clip_rate", "max_throttle", "max_norm", "max_loss")
    switched = (options.no_divergence, options.no_nonfinite, options.no_spikes, options.no_lint, options.no_alerts)
    return any(getattr(options, name) is not None for name in named) or any(switched)


def reasons(run: Run, options: argparse.Namespace) -> Iterator[Reason]:
    """Every reason not to pass, in the order of the options."""
    for limit, found in (*_rates(run, options), *_sizes(run, options), *_events(run, options)):
        yield Reason(run.name, limit, found)


def broken(run: Run) -> Iterator[Reason]:
    """Alerts of severity `error`, as no `lint` has."""
    for alert in run.alerts:
        if alert.severity == "error":
            yield Reason(run.name, "no-error", str(alert))


def _rates(run: Run, options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    where = f" of the last {options.last} steps" if options.last else ""
    rows, clips = _rows(run, options), run.rule.kind != "none"
    found = clip_rate(Totals().plus(rows)) if clips else {"rate": 0.0}
    rate = found["rate"] if found else math.nan
    if options.max_clip_rate is not None and not rate <= options.max_clip_rate:
        yield "max-clip-rate", _told(rate, f"clip rate{where}", "more than", options.max_clip_rate)
    if options.min_clip_rate is not None and not rate >= options.min_clip_rate:
        yield "min-clip-rate", _told(rate, f"clip rate{where}", "less than", options.min_clip_rate)
    if options.max_throttle is not None:
        throttle = float(windowed_throttle(rows, len(rows))[-1]) if clips else 0.0
        if not throttle <= options.max_throttle:
            yield "max-throttle", _told(throttle, f"throttle{where}", "more than", options.max_throttle)


def _rows(run: Run, options: argparse.Namespace) -> NDArray[np.void]:
    """The steps that are looked at: the last so many, or all."""
    return run.steps[-options.last :] if options.last else run.steps


def _told(found: float, what: str, compared: str, limit: float) -> str:
    if math.isnan(found):
        return f"the {what} is not known: no step has a finite norm"
    return f"the {what} is {found:.4g}, {compared} {limit:g}"


def _sizes(run: Run, options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    if options.max_norm is not None:
        rows = _rows(run, options)
        rows = rows[~np.isnan(rows["norm_before"]) & ~rows["skipped"]]
        if not len(rows):
            yield "max-norm", "the norm is not known: no step has one"
        else:
            row = rows[rows["norm_before"].argmax()]
            norm, step = row["norm_before"], row["step"]
            if norm > options.max_norm:
                yield "max-norm", f"step {step}: the norm is {norm:.4g}, more than {options.max_norm:g}"
    if options.max_loss is not None:
        losses = last_losses(run)
        if not len(losses):
            yield "max-loss", "the last loss is not known: none of the last 50 is finite"
        elif losses.mean() > options.max_loss:
            step = run.steps["step"][-1]
            yield "max-loss", f"step {step}: the last loss is {losses.mean():.4g}, more than {options.max_loss:g}"


def _events(run: Run, options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    given: Collection[str] = ALERT_KINDS if "all" in options.no_alerts else options.no_alerts
    for alert in run.alerts:
        limit = _limit_of(alert, options) or ("no-alerts" if alert.kind in given else None)
        if limit:
            yield limit, str(alert)


def _limit_of(alert: Alert, options: argparse.Namespace) -> str | None:
    """The limit with a name of its own that an alert breaks."""
    switches = {
        "divergence": ("no-divergence", options.no_divergence),
        "nonfinite": ("no-nonfinite", options.no_nonfinite and alert.severity == "error"),
        "spike": ("no-spikes", options.no_spikes),
        "lint": ("no-lint", options.no_lint),
    }
    limit, on = switches.get(alert.kind, ("", False))
    return limit if on else None


def _kinds(text: str) -> list[str]:
    kinds = text.split(",")
    for kind in kinds:
        if kind not in (*ALERT_KINDS, "all"):
            raise argparse.ArgumentTypeError(f"must be kinds out of {', '.join(ALERT_KINDS)}, or all, got {kind!r}")
    return kinds
