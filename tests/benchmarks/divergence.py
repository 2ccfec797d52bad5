"""How well divergence and spikes of the loss are found, next to the rules others use.

    python -m tests.benchmarks.divergence [--traces 40] [--seeds 3]

Synthetic traces (`traces`) are of families the constants of `tb_gradclip.core.monitors.loss` were tuned on, with other
seeds, and of families they were not (held out; formerly held out are those whose figures were known by then). Real
ones (`failures`) are short trainings that were made to fail, each with a healthy twin.

An alert finds an event when it comes from where the event starts up to `TOLERANCE` steps after its end, and for a
divergence up to `TOLERANCE` steps after it has reached its height. Each event can be found once; every other alert is
a false alarm, a second one about the same event too. A spike is found by "spike" or "divergence", for while
it lasts nobody can know how it ends; a divergence only by "divergence"; NaN only by "nonfinite"; what a rival says
finds everything. "Divergence" between a failure that was planted and the NaN that came of it is neither right nor
wrong, and so is "spike", or what a rival says, about a step that is off alone. The delay is counted from the step at
which the event shows. Intervals are 95 % bootstrap intervals over traces.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tests.benchmarks.contest import duration, parser, print_machine, print_table, timed
from tests.benchmarks.detectors import DETECTORS, Detector
from tests.benchmarks.failures import FAULTS, twins
from tests.benchmarks.noises import FORMERLY_HELD_OUT, HELD_OUT, TUNING
from tests.benchmarks.traces import STEPS, Event, Trace, traces

TOLERANCE = {"spike": 10, "divergence": 100, "nonfinite": 0}
FINDS = {
    "spike": {"spike", "divergence", "any"},
    "divergence": {"divergence", "any"},
    "nonfinite": {"nonfinite", "any"},
}
SINGLE = 10
"""Steps after an outlier within which "spike" may be said of it."""

REPORT_SEED, REPORT_TRAINING = 20_000, 20
"""Seeds of traces and trainings below these are for tuning."""
RESAMPLES = 1000


@dataclass(frozen=True)
class Score:
    """What a detector did on one trace."""

    family: str
    steps: int
    kinds: tuple[str, ...]  # of all events
    found: tuple[bool, ...]  # whether each was
    false: int
    delays: tuple[int, ...]  # of the events found


def last_step(event: Event) -> int:
    """Until when an alert about it is in time."""
    begins = event.full if event.kind == "divergence" else event.end
    return begins + TOLERANCE[event.kind]


def score(trace: Trace, detector: Detector) -> Score:
    """Let a detector loose on a trace."""
    missing = list(trace.events)
    delays: list[int] = []
    false = 0
    for step, loss in enumerate(trace.losses):
        for kind in detector(step, loss):
            hit = next((e for e in missing if kind in FINDS[e.kind] and e.start <= step <= last_step(e)), None)
            if hit is not None:
                missing.remove(hit)
                delays.append(max(0, step - hit.shows))
            elif kind == "divergence" and any(e.kind == "nonfinite" and e.start <= step < e.shows for e in missing):
                continue
            elif kind not in ("spike", "any") or trace.outliers.isdisjoint(range(step - SINGLE, step + 1)):
                false += 1
    kinds = tuple(event.kind for event in trace.events)
    return Score(
        trace.family, len(trace.losses), kinds, tuple(e not in missing for e in trace.events), false, tuple(delays)
    )


def recall(scores: Sequence[Score], kind: str | None = None) -> float:
    """Share of all events, or of one kind, that were found; NaN without any."""
    found = [f for s in scores for k, f in zip(s.kinds, s.found, strict=True) if kind in (None, k)]
    return sum(found) / len(found) if found else math.nan


def precision(scores: Sequence[Score]) -> float:
    """Share of alerts that found an event; NaN without any."""
    found, false = sum(sum(s.found) for s in scores), sum(s.false for s in scores)
    return found / (found + false) if found + false else math.nan


def false_alarms(scores: Sequence[Score]) -> float:
    """False alarms in 10,000 steps."""
    return 1e4 * sum(s.false for s in scores) / sum(s.steps for s in scores)


def delay(scores: Sequence[Score], percent: float) -> float:
    """Steps from where an event shows to its alert, of the events found; NaN without any."""
    delays = [d for s in scores for d in s.delays]
    return float(np.percentile(delays, percent)) if delays else math.nan


FIGURES: dict[str, Callable[[Sequence[Score]], float]] = {
    "recall": recall,
    "of spikes": partial(recall, kind="spike"),
    "of divergences": partial(recall, kind="divergence"),
    "precision": precision,
    "false alarms in 10,000 steps": false_alarms,
    "delay, median": partial(delay, percent=50),
    "delay, 90 %": partial(delay, percent=90),
}


def interval(figure: Callable[[Sequence[Score]], float], scores: Sequence[Score]) -> str:
    """A figure, with the interval it has when traces are drawn again."""
    draws = np.random.default_rng(0).integers(0, len(scores), (RESAMPLES, len(scores)))
    values = np.array([figure([scores[i] for i in draw]) for draw in draws])
    if np.isnan(values).all():
        return "none"
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return f"{figure(scores):.3g} ({low:.3g} to {high:.3g})"


def rows(scores: Mapping[str, Sequence[Score]]) -> list[list[str]]:
    """Every figure of each group of scores."""
    return [[name, *(interval(figure, some) for figure in FIGURES.values())] for name, some in scores.items()]


def by_family(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """Scores of each family, in their order."""
    groups: dict[str, list[Score]] = {}
    for some in scores:
        groups.setdefault(some.family, []).append(some)
    return groups


def synthetic(count: int, steps: int) -> None:
    """Tables of all detectors on families held out, and of ours on each family."""
    held_out = list(traces(HELD_OUT, count, REPORT_SEED, steps))
    found = {name: [score(trace, detector()) for trace in held_out] for name, detector in DETECTORS.items()}
    events = Counter(event.kind for trace in held_out for event in trace.events)
    counted = ", ".join(f"{events[kind]} {kind}" for kind in FINDS)
    said = f"{len(held_out)} traces of {steps:,} steps, {counted}"
    print_table(f"Families held out, {said}:", ["detector", *FIGURES], rows(found))
    print_table("Ours, families held out:", ["family", *FIGURES], rows(by_family(found["ours"])))
    for title, families in (("formerly held out", FORMERLY_HELD_OUT), ("tuned on, other seeds", TUNING)):
        scores = [score(trace, DETECTORS["ours"]()) for trace in traces(families, count, REPORT_SEED, steps)]
        groups = {**by_family(scores), "all of them": scores}
        print_table(f"Ours, families {title}:", ["family", *FIGURES], rows(groups))


def real(seeds: int) -> None:
    """Tables of all detectors on trainings that were made to fail, and what ours said about each."""
    pairs = [twins(name, seed) for name in FAULTS for seed in range(REPORT_TRAINING, REPORT_TRAINING + seeds)]
    failed, healthy = [pair.failed for pair in pairs], [pair.healthy for pair in pairs]
    lines = []
    for name, detector in DETECTORS.items():
        bad, well = ([score(trace, detector()) for trace in some] for some in (failed, healthy))
        found = sum(sum(s.found) for s in bad)
        events = sum(len(s.found) for s in bad)
        silent = sum(s.false == 0 for s in well)
        false = sum(s.false for s in bad)
        late = f"{delay(bad, 50):.0f} / {delay(bad, 90):.0f}"
        lines.append([name, f"{found} of {events}", f"{silent} of {len(well)}", str(false), late])
    header = ["detector", "events found", "healthy twins silent", "false alarms in failures", "delay, median / 90 %"]
    print_table(f"{len(FAULTS)} failures, {seeds} seeds each:", header, lines)
    groups = by_family(score(trace, DETECTORS["ours"]()) for trace in failed)
    print_table(
        "Ours, each failure:", ["failure", "showed as", "found", "delays"], [told(*item) for item in groups.items()]
    )


def told(name: str, scores: Sequence[Score]) -> list[str]:
    """A row of what a failure showed as, with one seed after the other."""
    kinds = Counter(kind for s in scores for kind in s.kinds)
    showed = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "nothing"
    delays = ", ".join(str(d) for s in scores for d in s.delays)
    return [name, showed, f"{sum(sum(s.found) for s in scores)} of {kinds.total()}", delays]


def cost(steps: int) -> None:
    """A table of what a step takes."""
    losses = next(traces({"gaussian": TUNING["gaussian"]}, 1, REPORT_SEED, steps)).losses

    def run(detector: Callable[[], Detector]) -> None:
        observe = detector()
        for step, loss in enumerate(losses):
            observe(step, loss)

    times = {name: min(timed(partial(run, d), 1) for _ in range(5)) / steps for name, d in DETECTORS.items()}
    print_table("A step, the quickest of 5:", ["detector", "time"], [[name, duration(t)] for name, t in times.items()])


def main() -> None:
    """Print all tables."""
    arguments = parser(__doc__)
    arguments.add_argument("--traces", type=int, default=40, help="synthetic traces of each family")
    arguments.add_argument("--steps", type=int, default=STEPS, help="of each synthetic trace")
    arguments.add_argument("--seeds", type=int, default=3, help="trainings of each failure; 0 for none")
    options = arguments.parse_args()
    print_machine()
    synthetic(options.traces, options.steps)
    if options.seeds:
        real(options.seeds)
    cost(options.steps)


if __name__ == "__main__":
    main()
