"""Read side of the format: from records to runs.

`Run` is what notebooks, the command line and the dashboard see. `RunBuilder` makes one from shards and takes more as
training goes on; where the shards come from (a local file, TensorBoard's data provider) is not its business.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core import histogram_record, schema
from tb_gradclip.core.alert import Alert, decode_alerts
from tb_gradclip.core.flight import Flight
from tb_gradclip.core.histogram import GradientHistogram
from tb_gradclip.core.imported import Imported
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rules import Rule
from tb_gradclip.core.schema import RunRecord, StepsRecord, Tag, Window
from tb_gradclip.storage.derived import Derived
from tb_gradclip.storage.events import Shard
from tb_gradclip.storage.history import History
from tb_gradclip.storage.problems import Problems


class UnreadableHistogramError(ValueError):
    """A histogram whose record is not as the format has it."""


class FetchedFrames(Mapping[int, bytes]):
    """Frames of histograms by step, fetched one by one."""

    def __init__(self, steps: list[int], fetch: Callable[[int], bytes]) -> None:
        self._steps = dict.fromkeys(steps)
        self._fetch = fetch

    def __getitem__(self, step: int) -> bytes:
        """The frame of one of the steps."""
        return self._fetch(step)

    def __iter__(self) -> Iterator[int]:
        """All steps."""
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)


class Histograms(Sequence[GradientHistogram]):
    """Histograms of a run in order of step, decoded when asked for; `steps` lists where they are."""

    def __init__(self, frames: Mapping[int, bytes], parameters: tuple[str, ...]) -> None:
        self._frames = frames
        self._parameters = parameters
        self.steps: NDArray[np.int64] = np.sort(np.fromiter(frames, np.int64, len(frames)))

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # the overloads of Sequence say no more
        """The histogram, or a list of them for a slice. `UnreadableHistogramError` if its record is damaged."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        step = int(self.steps[index])
        frame = self._frames[step]
        try:
            return histogram_record.decode(frame, self._parameters)
        except ValueError as error:
            raise UnreadableHistogramError(f"the histogram of step {step} could not be read: {error}") from error

    def at(self, step: int) -> GradientHistogram:
        """The last one at or before `step`, or the first of all. `IndexError` if there are none."""
        return self[max(int(np.searchsorted(self.steps, step, side="right")) - 1, 0)]


@dataclass(frozen=True, eq=False)
class Run(Derived):
    """One training run as recorded.

    `steps`: structured array, one row an optimizer step, columns `step`, `wall_time`, `loss`, `threshold`,
    `norm_before`, `norm_after`, `coefficient`, `clipped`, `nonfinite`, `skipped` (see `core.rows.STEP_DTYPE`).
    `rule`: how gradients are clipped, with the newest threshold. `windows`: statistics of every parameter over
    stretches of steps. `flights`: norms of every parameter at every step around events. `complete`: whether every
    recorded step is there; False means that a loader sampled some away, or that some could not be read. `overhead`:
    share of the training time that recording took, as the newest writer measured it; None where it could not.
    `replicas`, `gradients`: how many train together, and whose gradients are measured; see `schema.RunRecord`.
    `imported`: what the run was made from, if somebody else logged it; None if it was recorded. `seams`: steps at which
    a later writer went on, after a restart say; what earlier ones recorded from there on it has replaced. `problems`:
    what could not be read, and why, a sentence each.
    """

    name: str
    framework: str
    library: str
    rule: Rule
    parameters: tuple[Parameter, ...]
    steps: NDArray[np.void]
    alerts: list[Alert]
    histograms: Histograms
    windows: list[Window]
    complete: bool
    overhead: float | None
    flights: list[Flight] = field(default_factory=list)
    replicas: int = 1
    gradients: Literal["whole", "replica"] = "whole"
    imported: Imported | None = None
    seams: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass
class _Attempt:
    """What one writer's life left behind, besides its steps."""

    run: RunRecord | None = None
    windows: dict[int, Window] = field(default_factory=dict)
    histograms: dict[int, bytes] = field(default_factory=dict)
    alerts: dict[tuple[int, str, str | None], Alert] = field(default_factory=dict)
    flights: dict[int, Flight] = field(default_factory=dict)
    early: dict[int, bytes] = field(default_factory=dict)
    """Frames of `steps` that came before the `run` record, by first row."""
    own_seconds: float = 0.0
    elapsed_seconds: float = 0.0

    def add(self, kind: str, frame: bytes) -> None:
        if kind == "run":
            record = schema.decode_run(frame)
            # A step without a clip call records a rule of its own; it must not hide the one that clips.
            if self.run is None or record.rule.kind != "none":
                self.run = record
        elif kind == "parameters":
            window = schema.decode_window(frame)
            self.windows[window.first_step] = window
        elif kind == "histograms":
            self.histograms[histogram_record.step_of(frame)] = frame
        elif kind == "alerts":
            self.alerts.update({(a.step, a.kind, a.finding): a for a in decode_alerts(frame)})
        elif kind == "flights":
            flight = schema.decode_flight(frame)
            self.flights[int(flight.steps[0])] = flight

    @property
    def overhead(self) -> float | None:
        return self.own_seconds / self.elapsed_seconds if self.elapsed_seconds > 0 else None


class RunBuilder:
    """Gathers the records of one run, in any order and as often as they come, and makes a `Run` of them.

    What cannot be read is left out and noted in `problems`, those that are given or new ones.
    """

    def __init__(self, name: str, problems: Problems | None = None) -> None:
        self.problems = Problems() if problems is None else problems
        self._name = name
        self._attempts: dict[str, _Attempt] = defaultdict(_Attempt)
        self._history = History()
        self._run: Run | None = None

    @property
    def edition(self) -> int:
        """A number that stays the same as long as `steps` of a new `Run` begins with the rows of the one before."""
        return self._history.edition

    @property
    def gapless(self) -> bool:
        """Whether `steps` misses no row between its first and its last."""
        return self._history.gapless

    def add(self, tag: Tag, shard: Shard) -> None:
        """Take all records of a shard; taking a shard again, grown or not, does no harm."""
        version = schema.content_version(shard.content)
        if version > schema.SCHEMA:
            self.problems.note_version(version)
            return
        self._run = None
        attempt = self._attempts[tag.attempt]
        if tag.kind == "steps":
            self._add_steps(tag.attempt, shard.frames)
            return
        for _ in self.problems.decoded(tag, functools.partial(attempt.add, tag.kind), shard.frames):
            pass
        if attempt.run is not None and attempt.early:
            frames, attempt.early = [frame for _, frame in sorted(attempt.early.items())], {}
            self._add_steps(tag.attempt, frames)

    def _add_steps(self, name: str, frames: list[bytes]) -> None:
        """Decode and keep what is new among these frames."""
        attempt = self._attempts[name]
        for record in self.problems.decoded(Tag("steps", name, 0), functools.partial(self._new_steps, name), frames):
            if record is None:
                continue
            self._history.add(name, record.first_row, record.rows)
            if record.own_seconds is not None and record.elapsed_seconds is not None:
                attempt.own_seconds += record.own_seconds
                attempt.elapsed_seconds += record.elapsed_seconds

    def _new_steps(self, name: str, frame: bytes) -> StepsRecord | None:
        """A record that is not held yet; None if it is, or if it must wait for the `run` record."""
        first_row, count = schema.place_of_steps(frame)
        if self._history.holds(name, first_row, count):
            return None
        if self._attempts[name].run is None:
            self._attempts[name].early[first_row] = frame
            return None
        return schema.decode_steps(frame)

    @property
    def spans(self) -> dict[str, int]:
        """Attempts that train the newest one's parameters, each with the step from which on later ones replace it."""
        ends = self._history.ends
        runs = {name: self._attempts[name].run for name in ends}
        newest = runs[max(ends)] if ends else None
        if newest is None:
            return {}
        return {name: end for name, end in ends.items() if (run := runs[name]) and run.parameters == newest.parameters}

    def renew(self) -> None:
        """Make another object next time, though nothing was added."""
        self._run = None

    def build(self) -> Run | None:
        """The run as far as it is known; None before its first step. The same object until something is added."""
        for name, attempt in self._attempts.items():
            if attempt.early:
                self.problems.note(("early", name), "attempt", "no `run` record says what was trained")
            else:
                self.problems.forget(("early", name))
        if self._run is None and self._history.attempts:
            self._run = self._built(self._history.rows, self._history.ends)
        return self._run

    def _built(self, steps: NDArray[np.void], ends: dict[str, int]) -> Run:
        """A run of these rows, and of what each attempt recorded before its end."""
        newest = self._attempts[max(ends)]
        assert newest.run is not None
        record = newest.run
        windows: list[Window] = []
        flights: list[Flight] = []
        histograms: dict[int, bytes] = {}
        alerts: list[Alert] = []
        spans = self.spans

        def fits(parameters: int) -> bool:
            return self.problems.fits(parameters, len(record.parameters))

        for name, end in sorted(ends.items()):
            attempt = self._attempts[name]
            found = {alert.finding for alert in alerts} - {None}  # and found again when the run went on
            alerts += [a for a in attempt.alerts.values() if a.step < end and a.finding not in found]
            if name in spans:
                windows += [w for first, w in sorted(attempt.windows.items()) if first < end and fits(len(w.rows))]
                flights += [f for first, f in sorted(attempt.flights.items()) if first < end and fits(f.norms.shape[1])]
                histograms.update({step: frame for step, frame in attempt.histograms.items() if step < end})
        return Run(
            name=self._name,
            framework=record.framework,
            library=record.library,
            rule=record.rule.at(self._history.threshold),
            parameters=record.parameters,
            steps=steps,
            alerts=sorted(alerts, key=lambda alert: alert.step),
            histograms=Histograms(histograms, tuple(p.name for p in record.parameters)),
            windows=windows,
            complete=self._history.complete and not any(map(self.problems.holds, ("`steps` record", "place"))),
            overhead=newest.overhead,
            flights=flights,
            replicas=record.replicas,
            gradients=record.gradients,
            imported=record.imported,
            seams=tuple(self._history.seams),
            problems=self.problems.sentences,
        )
