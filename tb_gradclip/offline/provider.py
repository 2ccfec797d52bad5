"""Event files of one run as one of TensorBoard's data providers.

TensorBoard's own loader in Python imports TensorFlow if it can, which takes seconds and prints, and its other one is a
server. What is read here is what both of them keep: every record of ours and every scalar.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.data import provider as tb
from tensorboard.util import tensor_util

from tb_gradclip.core.schema import PLUGIN_NAME
from tb_gradclip.storage.events import frame_of, noting, read_events
from tb_gradclip.storage.problems import Problems

SCALARS = "scalars"


class RunProvider(tb.DataProvider):  # type: ignore[misc]  # TensorBoard ships no types
    """The records of ours and the scalars of one run. They are read at once, and kept.

    Values that are tagged as scalars and are none are left out.

    Args:
      name: of the run.
      files: its event files, the oldest first.
    """

    def __init__(self, name: str, files: Sequence[Path]) -> None:
        self._run = tb.Run(run_id=name, run_name=name, start_time=None)
        self._plugins: dict[str, str] = {}
        self._contents: dict[str, bytes] = {}
        self._records: dict[str, list[tb.TensorDatum]] = {}
        self._points: dict[str, array[float]] = {}
        self.problems = Problems()
        """Places of the files that could not be read. What is wrong with a record, who decodes it tells."""
        for path in files:
            for event in read_events(path, noting(self.problems, path)):
                for value in event.summary.value:
                    self._take(event, value)

    def _take(self, event: Event, value: Summary.Value) -> None:
        tag = value.tag
        if tag not in self._plugins:  # only the first value of a tag has to say what it is
            named = value.metadata.plugin_data.plugin_name
            self._plugins[tag] = SCALARS if value.HasField("simple_value") else named
            self._contents[tag] = value.metadata.plugin_data.content
        if self._plugins[tag] == PLUGIN_NAME:
            frame = np.frombuffer(frame_of(value.tensor), np.uint8)
            self._records.setdefault(tag, []).append(tb.TensorDatum(event.step, event.wall_time, frame))
        elif self._plugins[tag] == SCALARS and (number := _number(value)) is not None:
            self._points.setdefault(tag, array("d")).extend((event.step, event.wall_time, number))

    def list_runs(self, ctx: Any = None, **_: Any) -> list[tb.Run]:
        """The one there is."""
        return [self._run]

    def list_scalars(
        self, ctx: Any = None, *, plugin_name: str, run_tag_filter: Any = None, **_: Any
    ) -> dict[str, dict[str, tb.ScalarTimeSeries]]:
        """Scalars with their newest step and time."""
        return self._found(self._points if plugin_name == SCALARS else {}, run_tag_filter, self._scalar_series)

    def read_scalars(
        self, ctx: Any = None, *, plugin_name: str, downsample: int | None = None, run_tag_filter: Any = None, **_: Any
    ) -> dict[str, dict[str, list[tb.ScalarDatum]]]:
        """Points in order of step; of more than `downsample` as many, evenly, the last one among them."""

        def points(tag: str) -> list[tb.ScalarDatum]:
            rows = self._rows(tag)
            rows = rows[np.argsort(rows[:, 0], kind="stable")]
            if downsample is not None and len(rows) > downsample:
                rows = rows[np.linspace(len(rows) - 1, 0, downsample).astype(int)[::-1]]
            return [tb.ScalarDatum(int(step), time, value) for step, time, value in rows.tolist()]

        return self._found(self._points if plugin_name == SCALARS else {}, run_tag_filter, points)

    def read_last_scalars(
        self, ctx: Any = None, *, plugin_name: str, run_tag_filter: Any = None, **_: Any
    ) -> dict[str, dict[str, tb.ScalarDatum]]:
        """The newest point of each."""

        def last(tag: str) -> tb.ScalarDatum:
            step, time, value = self._rows(tag)[-1].tolist()
            return tb.ScalarDatum(int(step), time, value)

        return self._found(self._points if plugin_name == SCALARS else {}, run_tag_filter, last)

    def list_tensors(
        self, ctx: Any = None, *, plugin_name: str, run_tag_filter: Any = None, **_: Any
    ) -> dict[str, dict[str, tb.TensorTimeSeries]]:
        """Tags of ours with their newest step and time."""

        def series(tag: str) -> tb.TensorTimeSeries:
            records = self._records[tag]
            return tb.TensorTimeSeries(
                max_step=max(each.step for each in records),
                max_wall_time=max(each.wall_time for each in records),
                plugin_content=self._contents[tag],
                description="",
                display_name="",
            )

        return self._found(self._records if plugin_name == PLUGIN_NAME else {}, run_tag_filter, series)

    def read_tensors(
        self, ctx: Any = None, *, plugin_name: str, run_tag_filter: Any = None, **_: Any
    ) -> dict[str, dict[str, list[tb.TensorDatum]]]:
        """Every record: a tag has few, and no sample of them would do."""
        records = self._records if plugin_name == PLUGIN_NAME else {}
        return self._found(records, run_tag_filter, self._records.__getitem__)

    def list_blob_sequences(self, ctx: Any = None, **_: Any) -> dict[str, Any]:
        """None."""
        return {}

    def read_blob_sequences(self, ctx: Any = None, **_: Any) -> dict[str, Any]:
        """None."""
        return {}

    def read_blob(self, ctx: Any = None, *, blob_key: str) -> bytes:
        """Nobody has a key to one."""
        raise KeyError(blob_key)

    def _rows(self, tag: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Step, time and value of each point."""
        return np.frombuffer(self._points[tag]).reshape(-1, 3)

    def _scalar_series(self, tag: str) -> tb.ScalarTimeSeries:
        step, time, _ = self._rows(tag).max(axis=0)
        return tb.ScalarTimeSeries(
            max_step=int(step), max_wall_time=float(time), plugin_content=b"", description="", display_name=""
        )

    def _found(self, tags: Mapping[str, Any], wanted: Any, answer: Callable[[str], Any]) -> dict[str, Any]:
        """The answer for each of the tags that are wanted, under the name of the run."""
        name = self._run.run_name
        if wanted is not None and wanted.runs is not None and name not in wanted.runs:
            return {}
        asked = tags if wanted is None or wanted.tags is None else [tag for tag in tags if tag in wanted.tags]
        found = {tag: answer(tag) for tag in asked}
        return {name: found} if found else {}


def _number(value: Summary.Value) -> float | None:
    """The scalar; None where it is none."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    try:
        return float(tensor_util.make_ndarray(value.tensor).item())
    except (TypeError, ValueError):
        return None
