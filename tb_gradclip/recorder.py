"""From measurements to records and alerts; the part every framework shares.

An adapter hands over what it took off the device, in order of step. The recorder keeps every step's row, folds
parameters into windows, watches for divergence, and writes. It never raises into training, with one exception: an
alert action the user asked for.
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.actions import OnAlert, action_of
from tb_gradclip.core import histogram_record, schema
from tb_gradclip.core.alert import Alert, encode_alerts
from tb_gradclip.core.charts.outline import ROWS_PER_OUTLINE, Outliner
from tb_gradclip.core.cost import Cost
from tb_gradclip.core.counted import HistogramCounts
from tb_gradclip.core.flight import Flight, FlightRecorder
from tb_gradclip.core.imported import Imported
from tb_gradclip.core.lint import LintMonitor
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.pending import PendingRows
from tb_gradclip.core.places import PlacedTroubleMonitor
from tb_gradclip.core.rows import Measurements, step_rows
from tb_gradclip.core.rules import Outcome, Rule
from tb_gradclip.core.schedule import HISTOGRAM_EVERY
from tb_gradclip.core.schema import RunRecord, Window
from tb_gradclip.core.standout import Standout
from tb_gradclip.core.trouble import TroubleMonitor
from tb_gradclip.core.windows import RunWindow, WindowFolder
from tb_gradclip.storage.write import RecordLog, Sink
from tb_gradclip.telling import tell

ROWS_PER_RECORD = 1024
SECONDS_PER_RECORD = 3.5
"""A `steps` record is written when it is full or this old, so that a killed process loses less than 5 seconds: steps
are collected every half second, and looked at as often. Of a step a second, four share a record."""

Method = TypeVar("Method", bound=Callable[..., None])


def _harmless(method: Method) -> Method:
    """Turn any failure of ours into one warning and silence: training is worth more than its record.

    In a forked child the lock may be held by a thread that is not there: nothing may wait for it.
    """

    @functools.wraps(method)
    def guarded(self: Recorder, *args: Any) -> None:
        if self._broken or not self.is_ours:
            return
        try:
            with self._lock:
                method(self, *args)
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self._broken = True
            problem = f"{type(error).__name__}: {error}"
            tell(f"gradclip stopped recording: {problem}. Training is not affected.", stacklevel=2)

    return cast(Method, guarded)


class Recorder:
    """Writes one run.

    Args:
      sink: where events go.
      framework, library: who trains, e.g. "torch" and "torch 2.13.0".
      parameters: the tensors whose norms come with every step, in the order the model lists them.
      on_alert: what to do about an alert besides recording it; see `actions.action_of`.
      histogram_every: steps between histograms at first (they thin out as the run grows), beside which steps that stand
        out have one; 0 for none at all.
      start_step: number of the first optimizer step, for a run that is resumed.
      replicas, gradients: how many train together, and whose gradients are measured; see `schema.RunRecord`.
      imported: what the run is made from, if somebody else logged it; its steps need not be consecutive.

    Raises:
      ValueError: a setting is out of range.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        framework: str,
        library: str,
        parameters: Sequence[Parameter],
        on_alert: OnAlert = None,
        histogram_every: int = HISTOGRAM_EVERY,
        start_step: int = 0,
        replicas: int = 1,
        gradients: Literal["whole", "replica"] = "whole",
        imported: Imported | None = None,
    ) -> None:
        check_settings(on_alert, histogram_every, start_step)
        self.parameters = tuple(parameters)
        self._names = tuple(p.name for p in self.parameters)
        who = framework, library, self.parameters
        self._run = RunRecord(*who, Rule("none"), start_step, replicas, gradients, imported)
        self._on_alert, self.standout = action_of(on_alert), Standout(histogram_every)
        self._sink = sink
        self._log = RecordLog(sink, sink.attempt())
        self._lock = threading.RLock()
        self._broken = self._closed = False
        self._process = os.getpid()
        self._kinds: set[str] = set()
        self._pending, self._pending_since = PendingRows(), 0.0
        self._next_step = start_step
        self._cost = Cost()
        self._histograms: dict[int, HistogramCounts] = {}
        self._outliner = Outliner()
        self._windows = WindowFolder(len(self.parameters))
        self._flights = FlightRecorder(len(self.parameters))
        self._trouble = (TroubleMonitor if imported is None else PlacedTroubleMonitor)(self.parameters)
        self._lint = LintMonitor(self._names)
        self._unheard: deque[Alert] = deque()
        self.writes_at_once = True
        """Whether `add_steps` writes what is due; otherwise somebody calls `write_if_due` who can wait for a disk."""
        _live.add(self)

    @property
    def is_ours(self) -> bool:
        """Whether this is the process that made it. In one forked from that it does nothing."""
        return os.getpid() == self._process

    def abandon(self) -> None:
        """Record nothing more, and wait for nothing."""
        self._broken = True

    def histogram_due(self, step: int) -> bool:
        """Whether the adapter should count this step's gradients; of other steps `standout` says which, besides."""
        return self.standout.scheduled(step)

    @_harmless
    def add_histogram(self, counts: HistogramCounts) -> None:
        """Take the counts of a step; to be called before `add_steps` brings that step."""
        self._histograms[counts.step] = counts

    @_harmless
    def add_steps(self, measured: Measurements) -> None:
        """Take consecutive steps under one rule."""
        if not len(measured.steps):
            return
        rows, result = step_rows(measured)
        self._next_step = int(rows["step"][-1]) + 1
        if measured.rule.kind not in self._kinds:
            self._kinds.add(measured.rule.kind)
            run = replace(self._run, rule=measured.rule)
            self._log.write("run", schema.encode_run(run), int(rows["step"][0]), float(rows["wall_time"][0]))
        self._watch(measured, rows, result)
        self._write_histograms(measured)
        for window, overall in self._windows.add(rows, measured.norms_before, result):
            self._write_window(window, overall, float(rows["wall_time"][-1]))
        self._keep(rows)

    def add_finding(self, name: str, step: int, **details: object) -> None:
        """Take note of what only an adapter sees of the clipping for the next record; see `LintMonitor.notice`."""
        self._lint.notice(name, step, **details)

    def act(self) -> None:
        """Carry out the user's alert action for alerts that came up since the last call, on the caller's thread."""
        while self._unheard and self._on_alert is not None and self.is_ours:
            self._on_alert(self._unheard.popleft())

    @_harmless
    def add_own_time(self, seconds: float) -> None:
        """Take note of time that recording took; where nobody calls this it counts as unknown."""
        self._cost.add(seconds)

    @property
    def due(self) -> bool:
        """Whether it is time to write steps: there are the first of them, or a record full, or some that are old."""
        if self._broken or not len(self._pending):
            return False
        full = len(self._pending) >= ROWS_PER_RECORD
        first = self._pending.placed == 0  # a new run shows up in the dashboard as soon as it trains
        return full or first or time.monotonic() - self._pending_since >= SECONDS_PER_RECORD

    @_harmless
    def write_if_due(self) -> None:
        """Write steps, if it is time to."""
        if self.due:
            self._write_steps()

    @_harmless
    def flush(self) -> None:
        """Bring everything recorded so far into the file."""
        self._write_steps()
        self._sink.flush()  # also what no row follows yet

    def close(self) -> None:
        """Record what is still open and close the sink; closing twice is fine."""
        if not self._closed:
            self._finish()
            self._closed = True  # not before: interrupted, it is to be closed again
            _live.discard(self)

    @_harmless
    def _finish(self) -> None:
        self._write_steps()
        for window, overall in self._windows.close():
            self._write_window(window, overall, time.time())
        self._trouble.finish()
        # Later than any alert so far: one of TensorBoard's loaders drops what is at the step of a new record or after.
        self._write_alerts(self._trouble.over(), self._next_step, time.time())
        self._write_flights(self._flights.finish())
        self._sink.close()

    def _keep(self, rows: NDArray[np.void]) -> None:
        if not len(self._pending):
            self._pending_since = time.monotonic()
        self._pending.add(rows)
        if self.writes_at_once and self.due:
            self._write_steps()

    def _write_steps(self) -> None:
        self._pending.pack(ROWS_PER_RECORD, self._cost.due)
        if not self._pending.records:
            return
        for record in self._pending.records:
            first = record.rows[0]
            self._log.write("steps", schema.encode_steps(record), int(first["step"]), float(first["wall_time"]))
            if record.first_row == self._outliner.end_row:  # and not interrupted after it was outlined
                self._outliner.add(record.rows, record.own_seconds, record.elapsed_seconds)
            self._pending.written()
        if self._outliner.waiting >= ROWS_PER_OUTLINE:
            outline = self._outliner.finish()
            since = outline.lookback_row
            self._log.write("outlines", schema.encode_outline(outline), int(since["step"]), float(since["wall_time"]))
        self._sink.flush()

    def _watch(self, measured: Measurements, rows: NDArray[np.void], result: Outcome) -> None:
        alerts = self._trouble.observe(measured, rows, result)
        events = [alert.step for alert in alerts if alert.severity != "info"]
        self._write_flights(self._flights.observe(measured.steps, measured.norms_before, events))
        self.standout.observe(rows, alerts, self._histograms)
        counts = {step: histogram.counts for step, histogram in self._histograms.items()}
        alerts += self._lint.observe(measured, result, counts)
        alerts.sort(key=lambda alert: alert.step)
        if self._on_alert is not None:
            self._unheard += alerts
        # What is over comes after what was told, be it in the same batch: of two alerts the later one holds.
        self._write_alerts(alerts + self._trouble.over(), int(rows["step"][-1]), float(rows["wall_time"][-1]))

    def _write_alerts(self, alerts: list[Alert], step: int, wall_time: float) -> None:
        if alerts:
            self._log.write("alerts", encode_alerts(alerts), step, wall_time)

    def _write_histograms(self, measured: Measurements) -> None:
        for step in sorted(self._histograms.keys() & set(measured.steps.tolist())):
            histogram = self._histograms.pop(step).histogram(measured, self._names)
            self._log.write("histograms", histogram_record.encode(histogram), step, histogram.wall_time)
            self._outliner.add_histogram(step)
            self._log.write_distribution("before", histogram.before(), step, histogram.wall_time)
            self._log.write_distribution("after", histogram.after(), step, histogram.wall_time)

    def _write_flights(self, flights: list[Flight]) -> None:
        for flight in flights:
            self._log.write("flights", schema.encode_flight(flight), int(flight.steps[0]), time.time())

    def _write_window(self, window: Window, overall: RunWindow, wall_time: float) -> None:
        self._log.write("parameters", schema.encode_window(window), window.first_step, wall_time)
        self._log.write_scalars(vars(overall), window.last_step, wall_time)


def check_settings(on_alert: OnAlert, histogram_every: int, start_step: int) -> None:
    """Refuse settings that cannot work, before training starts."""
    action_of(on_alert)
    for name, value in (("histogram_every", histogram_every), ("start_step", start_step)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"`{name}` must be a whole number of steps, 0 or more, got {value!r}.")


_live: weakref.WeakSet[Recorder] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for recorder in list(_live):
        recorder.close()
