"""A run in a terminal: the words of the dashboard's health line, and sparklines of its curves."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from tb_gradclip.commands.plain import inert, simple
from tb_gradclip.core import health
from tb_gradclip.core.rows import counted
from tb_gradclip.core.rules import Floats
from tb_gradclip.storage.figures import last_losses
from tb_gradclip.storage.read import Run

BARS = "▁▂▃▄▅▆▇█"
NOT_FINITE, NOTHING = "×", " "
HEADINGS = ("run", "rule", "steps", "last loss", "clip rate, last 100", "run total", "throttle", "alerts", "lint")


def cells(run: Run, told: dict[str, Any]) -> tuple[str, ...]:
    """One run as cells under `HEADINGS`, from `figures.figures`."""
    words = health.health_words(told, run.alerts)
    row: tuple[str, ...] = (run.name, rule_words(run), steps_words(run), last_loss_words(run))
    row += tuple(words[name] for name in ("clip_rate", "total", "throttle", "alerts", "lint"))
    return tuple(inert(simple(cell)) for cell in row)


def rule_words(run: Run) -> str:
    """The rule, and whose gradients it is about if that has to be said."""
    note = health.provenance(run.replicas, run.gradients, run.imported)
    return f"{run.rule.text} ({note})" if note else run.rule.text


def steps_words(run: Run) -> str:
    """How many steps were recorded."""
    return f"{health.integer(len(run.steps))}{'' if run.complete else ', some missing'}"


def last_loss_words(run: Run) -> str:
    """The mean of up to 50 finite losses at the end; – where there is none."""
    losses = last_losses(run)
    return health.number(float(losses.mean())) if len(losses) else health.DASH


class Line(NamedTuple):
    """A labelled line of a run: a sparkline, words, and how bad they are (a severity, `ok` or nothing)."""

    label: str
    spark: str
    words: str
    severity: str = ""


def lines(run: Run, told: dict[str, Any], width: int) -> list[Line]:
    """What there is to see of a run, with sparklines of this width."""
    words = {name: simple(text) for name, text in health.health_words(told, run.alerts).items()}
    found = [Line("loss", sparkline(run.steps["loss"], width), _loss(run)), _norm_line(run, width)]
    if run.rule.kind != "none":
        rate = f"{words['clip_rate']} of the last 100 steps, {words['total']} of the run"
        found += [
            Line("clip rate", sparkline(run.clip_rate().rate, width, (0, 1)), rate),
            Line("throttle", sparkline(run.throttle(), width, (0, 1)), f"{words['throttle']} of the last 100 steps"),
        ]
    events = [alert for alert in run.alerts if alert.kind in health.KINDS]
    found.append(Line("alerts", "", words["alerts"], health.worst(events) if events else "ok"))
    found.append(Line("lint", "", words["lint"], health.lint_chip(run.alerts).severity))
    if run.overhead is not None:
        found.append(Line("overhead", "", words["overhead"]))
    if run.imported is not None:
        found.append(Line("source", "", run.imported.text))
    return [line._replace(words=inert(simple(line.words))) for line in found]


def _loss(run: Run) -> str:
    losses = run.steps["loss"]
    first = losses[np.isfinite(losses)][:1]
    if not len(first):
        return "none is finite" if (~np.isnan(losses)).any() else "not recorded"
    return f"{health.number(float(first[0]))} → {last_loss_words(run)}"


def _norm_line(run: Run, width: int) -> Line:
    norms = np.where(counted(run.steps), run.steps["norm_before"], np.nan)
    spark = sparkline(run.steps["norm_before"], width, log=True)
    if not np.isfinite(norms).any():
        return Line("norm", spark, "none is finite")
    largest = int(np.nanargmax(norms))
    middle, most = (health.number(float(x)) for x in (np.nanmedian(norms), norms[largest]))
    at = health.integer(int(run.steps["step"][largest]))
    return Line("norm", spark, f"median {middle}, largest {most} at step {at}")


def sparkline(values: Floats, width: int, limits: tuple[float, float] | None = None, *, log: bool = False) -> str:
    """Values as bars, one for each of `width` equal parts of them, or for each value if there are fewer.

    A bar is the largest finite value of its part, between the smallest and the largest of all bars. × says that the
    part has no finite value but an infinite one, a blank that it has only NaN. Bars of one height are the lowest.

    Args:
      values: shape [n].
      width: 1 or more.
      limits: what the lowest and the highest bar stand for.
      log: whether heights are those of logarithms; values of 0 or less are then the lowest bar.
    """
    edges = np.linspace(0, len(values), min(width, len(values)) + 1).astype(int)
    parts = [values[a:b] for a, b in itertools.pairwise(edges)]
    heights = np.array([part[np.isfinite(part)].max(initial=-np.inf) for part in parts])
    known = heights > -np.inf
    if log:
        positive = heights[heights > 0]
        heights = np.log(np.maximum(heights, positive.min(initial=np.inf))) if len(positive) else heights * 0
    low, high = limits or (heights[known].min(initial=np.inf), heights[known].max(initial=-np.inf))
    scale = len(BARS) / (high - low) if high > low else 0.0
    return "".join(
        BARS[min(int(max(height - low, 0) * scale), len(BARS) - 1)]
        if there
        else NOT_FINITE
        if np.isinf(part).any()
        else NOTHING
        for height, part, there in zip(heights, parts, known, strict=True)
    )
