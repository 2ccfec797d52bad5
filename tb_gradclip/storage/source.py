"""What is read of one run, and when: all of it, or of a long run what `outlined_source` says.

A source is told what TensorBoard's provider lists of its run, says which tags it wants, and is given them. What it left
out it reads when somebody looks there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from tb_gradclip.core import schema
from tb_gradclip.core.charts.lines import Lines
from tb_gradclip.core.charts.outlined import OutlinedLines
from tb_gradclip.core.schema import Tag
from tb_gradclip.storage.details import Details, Read
from tb_gradclip.storage.events import Shard
from tb_gradclip.storage.problems import Problems
from tb_gradclip.storage.read import Run, RunBuilder

LEAST_SHARDS = 3
"""Shards of outlines that make a run long: more than a quarter of a million steps. What is shorter is read faster than
anybody notices."""

MOST_ROWS = 1 << 19
"""Rows at hand from which on it is better to take to the outlines, or to newer ones."""


class Recorded(NamedTuple):
    """A run, and the lines that charts draw of it, which are kept while the run only grows.

    Of a long run `steps` are only the newest ones, and its histograms are read when they are looked at; so are the
    `details` of every run.
    """

    run: Run
    lines: Lines | OutlinedLines
    details: Details


class Listed(NamedTuple):
    """What a provider lists of a tag: the newest step and time, which tell that it has grown, and its content."""

    max_step: int
    max_wall_time: float
    content: bytes


class Source:
    """A run that is read whole.

    Args:
      name: of the run.
      kinds: the kinds of record that are wanted.
      read: reads tags of the run, once its details are looked at.
    """

    def __init__(self, name: str, kinds: Collection[str], read: Read) -> None:
        self._kinds, self._most_rows = kinds, MOST_ROWS
        self._builder = RunBuilder(name)
        self._read, self._details = read, Details(read, self.problems)
        self._listed: Mapping[Tag, Listed] = {}
        self._seen: dict[Tag, Listed] = {}
        self._lines = Lines()
        self._edition = 0

    @property
    def problems(self) -> Problems:
        """What could not be read so far."""
        return self._builder.problems

    def wanted(self, listed: Mapping[Tag, Listed]) -> list[Tag]:
        """Tags that are new or have grown, in the order in which they were written; but for what is left out."""
        self._listed = listed
        new = [tag for tag, state in listed.items() if self._seen.get(tag) != state]
        return sorted(tag for tag in new if self._wants(tag, listed[tag]))

    def _wants(self, tag: Tag, state: Listed) -> bool:
        return tag.kind in self._kinds

    def take(self, tag: Tag, frames: list[bytes], state: Listed) -> None:
        """Take what was read of a tag, as it was listed."""
        self._builder.add(tag, Shard(state.content, frames))
        self._seen[tag] = state

    def renew(self) -> None:
        """Have another `Run` of what was read, so that nothing holds that was made of the last one."""
        self._builder.renew()

    def is_outdated(self, listed: Mapping[Tag, Listed]) -> bool:
        """Whether a new source should take its place: what it has read is gone, or there is a shorter way by now."""
        return self.has_lost(listed) or (self._rows > self._most_rows and self._has_shorter_way(listed))

    def has_lost(self, listed: Mapping[Tag, Listed]) -> bool:
        """Whether what it has read is gone."""
        return bool(self._seen.keys() - listed.keys())

    def _has_shorter_way(self, listed: Mapping[Tag, Listed]) -> bool:
        return is_long(listed)

    @property
    def _rows(self) -> int:
        run = self._builder.build()
        return 0 if run is None else len(run.steps)

    def put_off(self) -> None:
        """The shorter way was no way: it is tried again no more often than a run in outline takes to newer outlines."""
        self._most_rows = self._rows + MOST_ROWS

    def let_go(self) -> None:
        """Another source took its place: whoever holds what was made of it may still look at that."""

    def usable(self) -> bool:
        """Whether what was read is what can be shown."""
        return True

    def recorded(self) -> Recorded | None:
        """The run as far as it was read; None before its first step."""
        run = self._builder.build()
        if self._edition != self._builder.edition:
            self._lines, self._edition = Lines(), self._builder.edition
        if run is None:
            return None
        self._details.update(self._listed, self._builder.spans)
        return Recorded(run, self._lines, self._details)


def is_long(listed: Mapping[Tag, Listed]) -> bool:
    """Whether a run can be read in outline, and is worth it: an outline knows nothing of other attempts."""
    outlines = [tag for tag in listed if tag.kind == "outlines"]
    if len(outlines) < LEAST_SHARDS or len({tag.attempt for tag in listed}) > 1:
        return False
    return all(schema.content_version(listed[tag].content) <= schema.SCHEMA for tag in outlines)
