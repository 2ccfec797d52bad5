"""Ordinary scalars out of a TensorBoard data provider: which tags there are, and the points that it kept of a few.

Whoever asks for scalars does so beside records of ours, or where there are none: so nothing here raises. What cannot be
listed or read is missing, and the log says why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tensorboard.data.provider import DataProvider, RunTagFilter

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.charts.lines import Before, Lines
from tb_gradclip.core.computed import POINT_DTYPE, ComputedAlerts, in_order
from tb_gradclip.storage import provider as records

logger = logging.getLogger(__name__)

PLUGIN = "scalars"
"""Whose data TensorBoard's providers take scalars for, those of TensorFlow 1 and of Keras included."""

MOST_POINTS = 20_000
"""Points that are read of a curve: twenty times what TensorBoard keeps unless it is told otherwise. Who had it keep a
million would wait seconds for each curve."""

LEAST_KEPT = 256
"""Curves that are kept after nobody asked for them any more, so that one can look back and forth: 6 MB of them."""

State = tuple[int, float]
"""Newest step and time of a tag, which tell that it has grown."""

Key = tuple[str, str]
"""A run and a tag of it."""


class Curve:
    """Points of one scalar as they grow, the alerts computed from them, and the lines that charts draw."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.points: NDArray[np.void] = np.empty(0, POINT_DTYPE)
        self._computed = ComputedAlerts()
        self._lines: tuple[float, Lines] | None = None

    def take(self, points: NDArray[np.void]) -> Curve:
        """The curve with these points, in order of step: this one if they only continue it, else a new one.

        TensorBoard drops points of a long scalar at random as new ones come, and then nothing computed still holds.
        """
        known = len(self.points)
        if points[:known].tobytes() != self.points.tobytes():
            return Curve(self.tag).take(points)
        self._computed.extend(points[known:])
        self.points = points
        return self

    @property
    def alerts(self) -> list[Alert]:
        """Alerts along the curve, in order of step."""
        return self._computed.alerts

    def alerts_beside(self, recorded: list[Alert]) -> list[Alert]:
        """Those of them that the run's own do not tell already."""
        return self._computed.beside(recorded)

    def lines(self, origin: float) -> Lines:
        """Lines whose relative axis counts from this time (seconds since 1970; NaN for the first point's)."""
        if self._lines is None or not np.array_equal(self._lines[0], origin, equal_nan=True):
            self._lines = origin, Lines(Before(first_time=origin))
        return self._lines[1]


class _Read(NamedTuple):
    state: State
    curve: Curve


class ProviderScalars:
    """Scalars of one experiment, listed and read anew when they may have grown; safe to share between threads.

    Args:
      provider: where they come from.
    """

    def __init__(self, provider: DataProvider) -> None:
        self._provider = provider
        self._listing, self._reading = threading.Lock(), threading.Lock()
        self._known: Mapping[str, Mapping[str, State]] | None = None
        self._next = -np.inf
        self._curves: dict[Key, _Read] = {}

    def tags(self, ctx: Any, experiment_id: str) -> Mapping[str, Mapping[str, State]]:
        """Tags of every run that has scalars. Who comes while another lists them gets what was known before."""
        if self._due() and self._listing.acquire(blocking=self._known is None):
            try:
                if self._due():
                    self._list(ctx, experiment_id)
            finally:
                self._listing.release()
        return self._known or {}

    def _due(self) -> bool:
        return self._known is None or time.monotonic() >= self._next

    def _list(self, ctx: Any, experiment_id: str) -> None:
        start = time.monotonic()
        try:
            self._known = self._listed(ctx, experiment_id)
        except Exception:
            logger.warning("gradclip could not list scalars", exc_info=True)
            self._known = self._known or {}
        took = time.monotonic() - start
        self._next = time.monotonic() + max(records.FRESH_SECONDS, records.REST * took)

    def _listed(self, ctx: Any, experiment_id: str) -> Mapping[str, Mapping[str, State]]:
        """The provider in Python lists scalars by going through all of their points; their last ones it just has."""
        where = {"experiment_id": experiment_id, "plugin_name": PLUGIN}
        try:
            last = self._provider.read_last_scalars(ctx, **where)
        except (TypeError, ValueError):  # one scalar that is none, say of two numbers, spoils them all
            listed = self._provider.list_scalars(ctx, **where)
            return {run: {tag: (s.max_step, s.max_wall_time) for tag, s in own.items()} for run, own in listed.items()}
        return {run: {tag: (point.step, point.wall_time) for tag, point in own.items()} for run, own in last.items()}

    def curves(self, ctx: Any, experiment_id: str, wanted: Mapping[Key, State]) -> Mapping[Key, Curve]:
        """Curves of tags as they were listed, but for those without a point; what has not grown is not read again."""
        with self._reading:
            self._read_new(wanted, ctx, experiment_id)
            found = {key: self._curves.pop(key) for key in wanted if key in self._curves}
            self._curves |= found  # those used last at the end
            for key in list(self._curves)[: -max(LEAST_KEPT, len(found))]:
                del self._curves[key]
        return {key: read.curve for key, read in found.items() if len(read.curve.points)}

    def _read_new(self, states: Mapping[Key, State], ctx: Any, experiment_id: str) -> None:
        """Read what is new or has grown, all runs of a tag at once."""
        runs = defaultdict(list)
        for (run, tag), state in states.items():
            known = self._curves.get((run, tag))
            if known is None or known.state != state:
                runs[tag].append(run)
        for tag, names in runs.items():
            for run, points in self._points(ctx, experiment_id, tag, names).items():
                known = self._curves.get((run, tag))
                curve = (Curve(tag) if known is None else known.curve).take(in_order(points))
                self._curves[run, tag] = _Read(states[run, tag], curve)

    def _points(self, ctx: Any, experiment_id: str, tag: str, runs: list[str]) -> dict[str, NDArray[np.void]]:
        """Points of a tag of these runs: none where values are not single numbers; no run that could not be read."""
        try:
            data = self._provider.read_scalars(
                ctx,
                experiment_id=experiment_id,
                plugin_name=PLUGIN,
                downsample=MOST_POINTS,
                run_tag_filter=RunTagFilter(runs=runs, tags=[tag]),
            )
            return {run: _table(data.get(run, {}).get(tag, ())) for run in runs}
        except (TypeError, ValueError):
            if len(runs) > 1:
                alone = [self._points(ctx, experiment_id, tag, [run]) for run in runs]
                return {run: points for each in alone for run, points in each.items()}
            logger.warning("gradclip takes scalar %r of run %r for no curve", tag, runs[0], exc_info=True)
            return {runs[0]: _table(())}
        except Exception:
            logger.warning("gradclip could not read scalar %r", tag, exc_info=True)
            return {}


def _table(points: Iterable[Any]) -> NDArray[np.void]:
    """A provider's points as a table."""
    return np.array([(point.step, point.wall_time, point.value) for point in points], POINT_DTYPE)
