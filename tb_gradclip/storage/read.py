"""Read side of the format: from records to runs.

`Run` is what notebooks, the command line and the dashboard see. `RunBuilder` makes one from shards and takes more as
training goes on; where the shards come from (a local file, TensorBoard's data provider) is not its business.
"""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core import schema
from tb_gradclip.core.histogram import GradientHistogram
from tb_gradclip.core.rows import STEP_DTYPE
from tb_gradclip.core.rules import Rule
from tb_gradclip.core.schema import Alert, Parameter, RunRecord, Tag, Window
from tb_gradclip.storage.events import Shard, event_files, read_shards

_UPGRADE = (
    "run {run!r} was recorded in version {theirs} of the gradclip format, this is version {ours}. "
    "Upgrade tb_gradclip to see it."
)


class Histograms(Sequence[GradientHistogram]):
    """Histograms of a run in order of step, decoded when asked for; `steps` lists where they are."""

    def __init__(self, frames: dict[int, bytes], parameters: tuple[str, ...]) -> None:
        self._frames = dict(sorted(frames.items()))
        self._parameters = parameters
        self.steps: NDArray[np.int64] = np.fromiter(self._frames, np.int64, len(self._frames))

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # the overloads of Sequence say no more
        """The histogram, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return schema.decode_histogram(self._frames[int(self.steps[index])], self._parameters)

    def at(self, step: int) -> GradientHistogram:
        """The last one at or before `step`, or the first of all. `IndexError` if there are none."""
        return self[max(int(np.searchsorted(self.steps, step, side="right")) - 1, 0)]


@dataclass(frozen=True, eq=False)
class Run:
    """One training run as recorded.

    `steps`: structured array, one row an optimizer step, columns `step`, `wall_time`, `loss`, `threshold`,
    `norm_before`, `norm_after`, `coefficient`, `clipped`, `nonfinite` (see `core.rows.STEP_DTYPE`). `rule`: how
    gradients are clipped, with the newest threshold. `windows`: statistics of every parameter over stretches of steps.
    `complete`: whether every recorded step is there; False means that a loader sampled some away.
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


@dataclass
class _Attempt:
    """What one writer's life left behind."""

    run: RunRecord | None = None
    steps: dict[int, NDArray[np.void]] = field(default_factory=dict)
    windows: dict[int, Window] = field(default_factory=dict)
    histograms: dict[int, bytes] = field(default_factory=dict)
    alerts: dict[tuple[int, str], Alert] = field(default_factory=dict)

    def add(self, kind: str, frame: bytes) -> None:
        if kind == "run":
            record = schema.decode_run(frame)
            # A step without a clip call records a rule of its own; it must not hide the one that clips.
            if self.run is None or record.rule.kind != "none":
                self.run = record
        elif kind == "steps":
            table = schema.decode_steps(frame)
            self.steps[table.first_row] = table.rows
        elif kind == "parameters":
            window = schema.decode_window(frame)
            self.windows[window.first_step] = window
        elif kind == "histograms":
            header, _ = schema.unpack(frame)
            self.histograms[header["step"]] = frame
        elif kind == "alerts":
            self.alerts.update({(alert.step, alert.kind): alert for alert in schema.decode_alerts(frame)})

    @property
    def first_step(self) -> int:
        return int(self.steps[min(self.steps)]["step"][0])

    @property
    def complete(self) -> bool:
        last = max(self.steps)
        return last + len(self.steps[last]) == sum(map(len, self.steps.values()))


class RunBuilder:
    """Gathers the records of one run, in any order and as often as they come, and makes a `Run` of them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._attempts: dict[str, _Attempt] = defaultdict(_Attempt)
        self._run: Run | None = None
        self._warned = False

    def add(self, tag: Tag, shard: Shard) -> None:
        """Take all records of a shard; taking a shard again, grown or not, does no harm.

        Records of a newer version of the format are skipped with one warning.
        """
        version = schema.content_version(shard.content)
        if version > schema.SCHEMA:
            if not self._warned:
                warnings.warn(_UPGRADE.format(run=self._name, theirs=version, ours=schema.SCHEMA), stacklevel=2)
            self._warned = True
            return
        self._run = None
        for frame in shard.frames:
            self._attempts[tag.attempt].add(tag.kind, frame)

    def build(self) -> Run | None:
        """The run as far as it is known; None before its first step."""
        if self._run is None:
            attempts = [a for _, a in sorted(self._attempts.items()) if a.run is not None and a.steps]
            self._run = self._merge(attempts) if attempts else None
        return self._run

    def _merge(self, attempts: list[_Attempt]) -> Run:
        """Later attempts replace what earlier ones recorded from their first step on."""
        newest = attempts[-1]
        assert newest.run is not None
        ends = [attempt.first_step for attempt in attempts[1:]] + [np.iinfo(np.int64).max]
        ends = np.minimum.accumulate(ends[::-1])[::-1].tolist()
        tables, windows, histograms, alerts = [], [], {}, []
        for attempt, end in zip(attempts, ends, strict=True):
            rows = np.concatenate([rows for _, rows in sorted(attempt.steps.items())])
            tables.append(rows[rows["step"] < end])
            alerts += [alert for alert in attempt.alerts.values() if alert.step < end]
            if attempt.run is not None and attempt.run.parameters == newest.run.parameters:
                windows += [window for first, window in sorted(attempt.windows.items()) if first < end]
                histograms.update({step: frame for step, frame in attempt.histograms.items() if step < end})
        steps = np.concatenate(tables) if tables else np.zeros(0, STEP_DTYPE)
        thresholds = steps["threshold"][~np.isnan(steps["threshold"])]
        rule = newest.run.rule
        return Run(
            name=self._name,
            framework=newest.run.framework,
            library=newest.run.library,
            rule=rule.at(float(thresholds[-1])) if len(thresholds) else rule,
            parameters=newest.run.parameters,
            steps=steps,
            alerts=sorted(alerts, key=lambda alert: alert.step),
            histograms=Histograms(histograms, tuple(p.name for p in newest.run.parameters)),
            windows=windows,
            complete=all(attempt.complete for attempt in attempts),
        )


def read(logdir: str | os.PathLike[str]) -> dict[str, Run]:
    """Read every run under a directory that gradclip recorded, by name ("." for `logdir` itself).

    Raises:
      FileNotFoundError: `logdir` does not exist.
    """
    runs: dict[str, Run] = {}
    for name, files in event_files(logdir).items():
        builder = RunBuilder(name)
        for tag, shard in read_shards(files).items():
            builder.add(tag, shard)
        if run := builder.build():
            runs[name] = run
    return runs
