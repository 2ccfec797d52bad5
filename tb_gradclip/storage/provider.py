"""Runs out of a TensorBoard data provider, keeping what was read and reading only what is new.

One run that cannot be read, in whole or in part, costs no other one: what is missing is among the `problems`, and once
in the log.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from tensorboard import errors
from tensorboard.data.provider import DataProvider

from tb_gradclip.core.schema import PLUGIN_NAME, Tag
from tb_gradclip.storage.outlined_source import OutlinedSource
from tb_gradclip.storage.problems import MOST_WHY
from tb_gradclip.storage.source import Listed, Recorded, Source, is_long
from tb_gradclip.storage.tags import Found, Key, ReadTags, TagReader

logger = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
"""TensorBoard itself looks at the files only every few seconds."""

REST = 10
"""Listing costs in proportion to all that is loaded; it then rests ten times as long as it took."""

RETRY_SECONDS = 60.0
"""What could not be read is tried again after this, or when it has grown; what only some answers need, when somebody
asks for one of these after this."""

FAILED = "tag"

Answered = TypeVar("Answered")


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
        self._listing: Mapping[str, Mapping[Tag, Listed]] = {}
        self._sources: dict[str, Source] = {}
        self._known: dict[str, Recorded] | None = None
        self._failed: dict[Key, tuple[Listed | None, float]] = {}
        """Tags that could not be read: as they were listed, and when that was."""
        self._broken: dict[str, str] = {}
        """Why runs could not be put together."""
        self._unlisted: str | None = None
        """Why records could not be listed the last time, though they had been before."""
        self._told: set[str] = set()
        self._next = -np.inf

    @property
    def problems(self) -> dict[str, tuple[str, ...]]:
        """What could not be read, a sentence each, by the name of the run; of other runs nothing is missing."""
        sources, broken = self._sources, self._broken.copy()  # a refresh of another thread may change both meanwhile
        common = () if self._unlisted is None else (self._unlisted,)
        whole = {name: ((broken[name],) if name in broken else ()) + common for name in sources}
        found = {name: source.problems.sentences + whole[name] for name, source in sources.items()}
        return {name: sentences for name, sentences in found.items() if sentences}

    def runs(self, ctx: Any, experiment_id: str) -> Mapping[str, Recorded]:
        """Every run with data of ours, by name. Who comes while another refreshes gets what was known before.

        So does who comes while nothing can be listed; without any run from before, the provider's error is raised, and
        always where it is a refusal (`PublicError`).
        """
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
        listing = self._list(ctx, experiment_id)
        took = time.monotonic() - start
        if listing is not None:
            self._follow(listing, self._reader(ctx, experiment_id))
        self._next = time.monotonic() + max(FRESH_SECONDS, REST * took)

    def _list(self, ctx: Any, experiment_id: str) -> Mapping[str, Mapping[Tag, Listed]] | None:
        """What there is; None where the provider could not say so just now, and what is known still holds."""
        try:
            answer = self._provider.list_tensors(ctx, experiment_id=experiment_id, plugin_name=PLUGIN_NAME)
        except errors.PublicError:
            raise
        except Exception as error:
            if not self._known:
                raise
            if self._unlisted is None:
                logger.warning("gradclip could not list its records, and shows those of before", exc_info=True)
            why = f"{type(error).__name__}: {error}"[:MOST_WHY]
            self._unlisted = f"what is new since was not read, because TensorBoard could not list it, {why}"
            return None
        self._unlisted = None
        return {name: _listed(series) for name, series in sorted(answer.items())}

    def _follow(self, listing: Mapping[str, Mapping[Tag, Listed]], read: ReadTags) -> None:
        """Read what is new of what was listed."""
        before, self._listing = self._sources, listing
        self._sources = {name: self._source(name, listed, read) for name, listed in listing.items()}
        self._take(listing, read)
        sampled = [n for n, source in self._sources.items() if not self._safely(n, source.usable, otherwise=False)]
        if sampled:
            self._sources |= {name: self._whole(before.get(name), name, listing[name], read) for name in sampled}
            self._take(listing, read)
            for name in sampled:
                self._safely(name, self._sources[name].put_off, otherwise=None)
        self._renew(listing)
        recorded = {n: self._safely(n, source.recorded, otherwise=None) for n, source in self._sources.items()}
        self._known = {name: each for name, each in recorded.items() if each is not None}
        for name, source in before.items():
            if source is not self._sources.get(name):
                source.let_go()
        self._tell()

    def _safely(self, name: str, ask: Callable[[], Answered], otherwise: Answered) -> Answered:
        """What a source of a run answers; whatever it raises is that run's problem, and in the log once."""
        try:
            return ask()
        except Exception as error:
            if name not in self._broken:
                logger.exception("gradclip could not put run %r together", name)
            self._broken[name] = f"its records do not fit together, {type(error).__name__}: {error}"[:300]
            return otherwise

    def _tell(self) -> None:
        """A line in the log for each run of which something is missing, once."""
        new = {name: sentences for name, sentences in self.problems.items() if name not in self._told}
        self._told |= new.keys()
        for name, sentences in new.items():
            logger.warning("gradclip: run %r: %s", name, "; ".join(sentences))

    def _source(self, name: str, listed: Mapping[Tag, Listed], read: ReadTags) -> Source:
        """The source of a run: the one there is, if it will do."""
        source = self._sources.get(name)
        if source is not None and not self._safely(name, lambda: source.is_outdated(listed), otherwise=False):
            return source
        self._broken.pop(name, None)
        read_own = functools.partial(_read_of, read, name)
        if not is_long(listed):
            return Source(name, self._kinds, read_own)
        return OutlinedSource(name, self._kinds, listed, read_own)

    def _whole(self, source: Source | None, name: str, listed: Mapping[Tag, Listed], read: ReadTags) -> Source:
        """A source that reads the run whole: the one there was, if it did so and only tried the outlines now."""
        if source is None or isinstance(source, OutlinedSource) or source.has_lost(listed):
            return Source(name, self._kinds, functools.partial(_read_of, read, name))
        return source

    def _take(self, listing: Mapping[str, Mapping[Tag, Listed]], read: ReadTags) -> None:
        """Give every source what it wants, but for what could not be read just now."""
        since = time.monotonic() - RETRY_SECONDS
        failed = {key: state for key, (state, tried) in self._failed.copy().items() if tried > since}
        wanted = [
            (name, tag)
            for name, source in self._sources.items()
            for tag in source.wanted(listing[name])
            if failed.get((name, tag)) != listing[name][tag]
        ]
        for name, tag, frames in read(wanted):
            take = functools.partial(self._sources[name].take, tag, frames, listing[name][tag])
            self._safely(name, take, otherwise=None)

    def _renew(self, listing: Mapping[str, Mapping[Tag, Listed]]) -> None:
        """Have runs made anew of which somebody looked at what could not be read, a while ago.

        Answers without it are kept as long as the run is the same; who asks now reads it again.
        """
        since = time.monotonic() - RETRY_SECONDS
        for (name, tag), (_, tried) in self._failed.copy().items():
            is_gone = tag not in listing.get(name, {})
            if is_gone or tried <= since:
                self._failed.pop((name, tag), None)
                if not is_gone:
                    self._sources[name].renew()

    def _reader(self, ctx: Any, experiment_id: str) -> ReadTags:
        """Reads tags, and takes note of those that cannot be read, or can be read now."""
        read = TagReader(self._provider, ctx, experiment_id, self._note_failed).read

        def noting(wanted: Sequence[Key]) -> Iterator[Found]:
            for name, tag, frames in read(wanted):
                self._failed.pop((name, tag), None)
                if source := self._sources.get(name):
                    source.problems.forget((FAILED, tag))
                yield name, tag, frames

        return noting

    def _note_failed(self, key: Key, why: str) -> None:
        """Take note of a tag that could not be read."""
        name, tag = key
        self._failed[key] = self._listing.get(name, {}).get(tag), time.monotonic()
        if name in self._sources:
            self._sources[name].problems.note((FAILED, tag), FAILED, why)


def _read_of(read: ReadTags, run: str, tags: Collection[Tag]) -> dict[Tag, list[bytes]]:
    """Tags of one run."""
    return {tag: frames for _, tag, frames in read([(run, tag) for tag in sorted(tags)])}


_parsed = functools.lru_cache(1 << 17)(Tag.parse)


def _listed(series: Mapping[str, Any]) -> dict[Tag, Listed]:
    """What is listed of tags of ours."""
    tags = ((_parsed(name), state) for name, state in series.items())
    return {tag: Listed(s.max_step, s.max_wall_time, s.plugin_content) for tag, s in tags if tag is not None}
