"""Runs out of a TensorBoard data provider, keeping what was read and reading only what is new."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tensorboard.data.provider import DataProvider, RunTagFilter

from tb_gradclip.core.schema import PLUGIN_NAME, Tag
from tb_gradclip.storage.source import Listed, OutlinedSource, Recorded, Source, is_long

ALL = 1_000_000_000
"""Providers must be told how many points to keep; a hint from the command line may be anything, 0 included."""

TAGS_PER_READ = (64, 200)
"""A provider looks at all it has at every call, so many tags must not take many calls; but a reply may have no more
than 256 MiB, and what it takes until it is decoded adds to the memory of the server."""

READS = 50
"""About as many calls as a refresh should make."""

FRESH_SECONDS = 1.0
"""TensorBoard itself looks at the files only every few seconds."""

REST = 10
"""Listing costs in proportion to all that is loaded; it then rests ten times as long as it took."""


Found = tuple[str, Tag, list[bytes]]
"""A run, a tag of it, and the frames of its records."""

ReadTags = Callable[[Sequence[tuple[str, Tag]]], Iterable[Found]]


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
        self._sources: dict[str, Source] = {}
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
        answer = self._provider.list_tensors(ctx, experiment_id=experiment_id, plugin_name=PLUGIN_NAME)
        took = time.monotonic() - start
        listing = {name: _listed(series) for name, series in sorted(answer.items())}
        read = functools.partial(self._read, ctx, experiment_id)
        self._sources = {name: self._source(name, listed, read) for name, listed in listing.items()}
        self._take(listing, read)
        sampled = [
            n for n, source in self._sources.items() if isinstance(source, OutlinedSource) and not source.is_usable
        ]
        if sampled:
            self._sources |= {
                name: Source(name, self._kinds, functools.partial(_read_of, read, name), for_good=True)
                for name in sampled
            }
            self._take(listing, read)
        recorded = {name: source.recorded() for name, source in self._sources.items()}
        self._known = {name: each for name, each in recorded.items() if each is not None}
        self._next = time.monotonic() + max(FRESH_SECONDS, REST * took)

    def _source(self, name: str, listed: Mapping[Tag, Listed], read: ReadTags) -> Source:
        """The source of a run: the one there is, if it will do."""
        source = self._sources.get(name)
        if source is not None and not source.is_outdated(listed):
            return source
        read_own = functools.partial(_read_of, read, name)
        if not is_long(listed):
            return Source(name, self._kinds, read_own)
        return OutlinedSource(name, self._kinds, listed, read_own)

    def _take(self, listing: Mapping[str, Mapping[Tag, Listed]], read: ReadTags) -> None:
        """Give every source what it wants."""
        wanted = [(name, tag) for name, source in self._sources.items() for tag in source.wanted(listing[name])]
        for name, tag, frames in read(wanted):
            self._sources[name].take(tag, frames, listing[name][tag])

    def _read(self, ctx: Any, experiment_id: str, wanted: Sequence[tuple[str, Tag]]) -> Iterator[Found]:
        """Read some tags at a time, of several runs if need be."""
        size = int(np.clip(len(wanted) // READS, *TAGS_PER_READ))
        for start in range(0, len(wanted), size):
            part = wanted[start : start + size]
            data = self._provider.read_tensors(
                ctx,
                experiment_id=experiment_id,
                plugin_name=PLUGIN_NAME,
                downsample=ALL,
                run_tag_filter=RunTagFilter(runs={run for run, _ in part}, tags={str(tag) for _, tag in part}),
            )
            for run, tag in part:
                yield run, tag, [point.numpy.tobytes() for point in data.get(run, {}).get(str(tag), ())]


def _read_of(read: ReadTags, run: str, tags: Collection[Tag]) -> dict[Tag, list[bytes]]:
    """Tags of one run."""
    return {tag: frames for _, tag, frames in read([(run, tag) for tag in sorted(tags)])}


_parsed = functools.lru_cache(1 << 17)(Tag.parse)


def _listed(series: Mapping[str, Any]) -> dict[Tag, Listed]:
    """What is listed of tags of ours."""
    tags = ((_parsed(name), state) for name, state in series.items())
    return {tag: Listed(s.max_step, s.max_wall_time, s.plugin_content) for tag, s in tags if tag is not None}
