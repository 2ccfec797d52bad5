"""What `check --baseline` compares of a run and an earlier one of the same training, and what it takes for the same.

- regime: the clip rate of the run as `rarely`, `at times`, `mostly` or `nearly always` (`monitors.regime`). It is
  another one if it lies in another part of [0, 1], Wilson's 95 % interval of it reaches into the baseline's part
  nowhere, and the two rates differ by more than 0.05: a rate near an edge is on either side of it by chance. A run that
  clips where the baseline does not, or the other way round, is another one.
- loss: the mean of the last 50 losses is higher than the baseline's by more than 5 % of its size (`--loss-tolerance`),
  and by more than two standard errors of the difference. A loss that is lower is none the worse.
- alerts: a kind of alert, or a finding, of severity `error` or `warning` that the baseline has none of. How many there
  are, and where, is not compared: of that chance has its share.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from tb_gradclip.commands.limits import Reason
from tb_gradclip.core.alert import Alert
from tb_gradclip.core.monitors.regime import WORDS, between, regime
from tb_gradclip.core.rules import Floats
from tb_gradclip.core.totals import Totals
from tb_gradclip.storage.figures import clip_rate, last_losses
from tb_gradclip.storage.read import Run

RATE_TOLERANCE = 0.05
LOSS_TOLERANCE = 0.05
STANDARD_ERRORS = 2.0


Pair = tuple[str, Run | None, Run | None]
"""A name, the run that has it now, and the one of the baseline."""


def pairs(runs: Mapping[str, Run], baseline: Mapping[str, Run]) -> Iterator[Pair]:
    """Runs of the same name, None where one lacks it; two runs that are alone are a pair whatever they are called."""
    if len(runs) == len(baseline) == 1:
        (name, run), (old,) = *runs.items(), tuple(baseline.values())
        yield name, run, old
        return
    for name in sorted({*runs, *baseline}):
        yield name, runs.get(name), baseline.get(name)


def reasons(run: Run, old: Run, loss_tolerance: float = LOSS_TOLERANCE) -> Iterator[Reason]:
    """Everything in which a run differs from the baseline."""
    if found := _regime(run, old):
        yield Reason(run.name, "baseline-regime", found)
    if found := _loss(run, old, loss_tolerance):
        yield Reason(run.name, "baseline-loss", found)
    for alert in _new_alerts(run, old):
        yield Reason(run.name, "baseline-alerts", f"{alert}, and the baseline has none of it")


def _regime(run: Run, old: Run) -> str | None:
    now, then = _rate(run), _rate(old)
    words, was = _words(run, now), _words(old, then)
    if words == was:
        return None
    if now and then:
        low, high = between(regime(then["rate"]))
        if abs(now["rate"] - then["rate"]) <= RATE_TOLERANCE or (now["high"] >= low and now["low"] <= high):
            return None
    return f"{words}, in the baseline {was}"


def _rate(run: Run) -> dict[str, float] | None:
    return None if run.rule.kind == "none" else clip_rate(Totals().plus(run.steps))


def _words(run: Run, rate: Mapping[str, float] | None) -> str:
    if run.rule.kind == "none":
        return "not clipped (rule none)"
    if rate is None:
        return "no step with a finite norm"
    return f"{WORDS[regime(rate['rate'])]} clipped (clip rate {rate['rate']:.3g})"


def _loss(run: Run, old: Run, tolerance: float) -> str | None:
    now, then = last_losses(run), last_losses(old)
    if not len(then):
        return None
    if not len(now):
        return f"none of the last 50 losses is finite, in the baseline their mean is {then.mean():.4g}"
    rise = float(now.mean() - then.mean())
    error = math.sqrt(_squared_error(now) + _squared_error(then))
    if rise <= tolerance * abs(float(then.mean())) or rise <= STANDARD_ERRORS * error:
        return None
    return f"the last loss is {now.mean():.4g}, in the baseline {then.mean():.4g}"


def _squared_error(losses: Floats) -> float:
    """Squared standard error of a mean; 0 for a single loss, of which nothing is known."""
    return float(losses.var(ddof=1) / len(losses)) if len(losses) > 1 else 0.0


def _new_alerts(run: Run, old: Run) -> Iterator[Alert]:
    """The first alert of each kind, or finding, that the baseline has none of."""
    known = {(alert.kind, alert.finding) for alert in old.alerts}
    for alert in run.alerts:
        if alert.severity != "info" and (alert.kind, alert.finding) not in known:
            known.add((alert.kind, alert.finding))
            yield alert
