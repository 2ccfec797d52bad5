"""Runs out of a TensorBoard data provider, keeping what was read and reading only what is new."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from tensorboard.data.provider import DataProvider, RunTagFilter

from tb_gradclip.core.charts.lines import Lines
from tb_gradclip.core.schema import PLUGIN_NAME, Tag
from tb_gradclip.storage.events import Shard
from tb_gradclip.storage.read import Run, RunBuilder

ALL = 1_000_000_000
"""Providers must be told how many points to keep; a hint from the command line may be anything, 0 included."""

TAGS_PER_READ = (16, 200)
"""A provider looks at all it has at every call, so many tags must not take many calls; but a reply may have no more
than 256 MiB, and what it takes until it is decoded adds to the memory of the server."""

READS = 50
"""About as many calls as a refresh should make."""

FRESH_SECONDS = 1.0
"""TensorBoard itself looks at the files only every few seconds."""

REST = 10
"""Listing costs in proportion to all that is loaded; it then rests ten times as long as it took."""


class Recorded(NamedTuple):
    """A run, and the lines that charts draw of it; `lines` are kept while the run only grows."""

    run: Run
    lines: Lines


class _Source:
    """What was read of one run so far.

    `seen`: for each tag the newest step and time, as listed when it was read.
    """

    def __init__(self, name: str) -> None:
        self.builder = RunBuilder(name)
        self.seen: dict[str, tuple[int, float]] = {}
        self._lines = Lines()
        self._edition = 0

    def recorded(self) -> Recorded | None:
        """The run as far as it was read; None before its first step."""
        run = self.builder.build()
        if self._edition != self.builder.edition:
            self._lines, self._edition = Lines(), self.builder.edition
        return None if run is None else Recorded(run, self._lines)


class ProviderRuns:
    """Runs of one experiment, refreshed from the provider when asked for; safe to share between threads.

    Args:
      provider: where records come from.
      kinds: the kinds of record that are wanted; the rest is not read.
    """

    def __init__(self, provider: DataProvider, kinds: Collection[str]) -> None:
        self._provider = provider
        self._kinds = frozenset(kinds)
        self._refreshing = threading.Lock()
        self._sources: dict[str, _Source] = {}
        self._known: dict[str, Recorded] | None = None
        self._next = -np.inf

    def runs(self, ctx: Any, experiment_id: str) -> Mapping[str, Recorded]:
        """Every run with data of ours, by name. Who comes while another refreshes gets what was known before."""
        if self._due() and self._refreshing.acquire(blocking=self._known is None):
            try:
                if self._due():
                    self._refresh(ctx, experiment_id)
            finally:
                self._refreshing.release()
        assert self._known is not None
        return self._known

    def _due(self) -> bool:
        return self._known is None or time.monotonic() >= self._next

    def _refresh(self, ctx: Any, experiment_id: str) -> None:
        start = time.monotonic()
        listing = self._provider.list_tensors(ctx, experiment_id=experiment_id, plugin_name=PLUGIN_NAME)
        took = time.monotonic() - start
        self._read(ctx, experiment_id, listing, self._changed(listing))
        recorded = {name: source.recorded() for name, source in sorted(self._sources.items())}
        self._known = {name: each for name, each in recorded.items() if each is not None}
        self._next = time.monotonic() + max(FRESH_SECONDS, REST * took)

    def _changed(self, listing: Any) -> list[tuple[str, Tag]]:
        """Runs and tags to read, each run's in the order in which they were written. Forgets runs that are gone."""
        for name in self._sources.keys() - listing.keys():
            del self._sources[name]
        changed = []
        for name, series in sorted(listing.items()):
            source = self._sources.get(name)
            if source is None or source.seen.keys() - series.keys():
                source = self._sources[name] = _Source(name)
            new = filter(None, (Tag.parse(tag) for tag, state in series.items() if source.seen.get(tag) != _age(state)))
            changed += [(name, tag) for tag in sorted(new) if tag.kind in self._kinds]
        return changed

    def _read(self, ctx: Any, experiment_id: str, listing: Any, changed: list[tuple[str, Tag]]) -> None:
        """Read some tags at a time, of several runs if need be."""
        size = int(np.clip(len(changed) // READS, *TAGS_PER_READ))
        for start in range(0, len(changed), size):
            part = changed[start : start + size]
            data = self._provider.read_tensors(
                ctx,
                experiment_id=experiment_id,
                plugin_name=PLUGIN_NAME,
                downsample=ALL,
                run_tag_filter=RunTagFilter(runs={run for run, _ in part}, tags={str(tag) for _, tag in part}),
            )
            for run, tag in part:
                source, name, series = self._sources[run], str(tag), listing[run][str(tag)]
                frames = [point.numpy.tobytes() for point in data.get(run, {}).get(name, ())]
                source.builder.add(tag, Shard(series.plugin_content, frames))
                source.seen[name] = _age(series)


def _age(series: Any) -> tuple[int, float]:
    """What tells a series that has grown from the one it was."""
    return series.max_step, series.max_wall_time
