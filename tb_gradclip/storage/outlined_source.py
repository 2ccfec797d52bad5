"""What is read of a long run: its outlines and its newest steps, and the rest when somebody looks there."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core import histogram_record, schema
from tb_gradclip.core.charts.outline import OUTLINE_DTYPE, STRETCH, Outline
from tb_gradclip.core.charts.outlined import OutlinedLines, Span
from tb_gradclip.core.charts.room import DETAILS, SHARED, Owner
from tb_gradclip.core.rows import STEP_DTYPE
from tb_gradclip.core.schema import StepsRecord, Tag
from tb_gradclip.core.structured import concatenated
from tb_gradclip.storage.details import Read, reaching
from tb_gradclip.storage.read import FetchedFrames, Histograms, Run
from tb_gradclip.storage.source import Listed, Recorded, Source, is_long

MOST_STRETCHES = 1 << 14
"""Of a run's outlines that are held, some 1.5 kB each: in longer ones, beyond four million steps."""

ROWS = "rows"

NOTHING_FETCHED: tuple[range, NDArray[np.void]] = range(0), np.empty(0, STEP_DTYPE)
"""Places of rows that were fetched last, and the rows: what one chart shows of a range, another shows too."""


class OutlinedSource(Source):
    """A long run of one attempt: its outlines, and from the newest outline's `lookback_row` on everything.

    Args:
      name: of the run.
      kinds: the kinds of record that are wanted, "outlines" always among them.
      listed: what the provider lists now.
      read: reads what was left out.
    """

    def __init__(self, name: str, kinds: Collection[str], listed: Mapping[Tag, Listed], read: Read) -> None:
        super().__init__(name, {*kinds, "outlines"}, read)
        self._since = _newest_outline(listed)
        earlier = [
            state.max_step for tag, state in listed.items() if tag.kind == "steps" and state.max_step <= self._since
        ]
        self._least = {"steps": max(earlier, default=0), "histograms": self._since}
        """Of shards that are wanted, the step that is listed: of their last record. Rows of one may go on for long."""
        self._outlines: dict[int, Outline] = {}
        self._stretch = STRETCH
        self._whole: OutlinedLines | None = None
        self._known: tuple[Run, Recorded] | None = None
        self._own = Owner()
        self._by_kind: tuple[Mapping[Tag, Listed], Mapping[str, list[tuple[Tag, int]]]] = {}, {}

    def _wants(self, tag: Tag, state: Listed) -> bool:
        if tag.kind == "outlines":
            return self._whole is None
        return super()._wants(tag, state) and state.max_step >= self._least.get(tag.kind, 0)

    def take(self, tag: Tag, frames: list[bytes], state: Listed) -> None:
        """Take what was read of a tag, as it was listed."""
        if tag.kind == "outlines":
            found = self.problems.decoded(tag, schema.decode_outline, frames)
            self._outlines.update({outline.first_row: outline for outline in map(self._held, found)})
            self._shorten()
        super().take(tag, frames, state)

    def _held(self, outline: Outline) -> Outline:
        """An outline in stretches as long as those of the others."""
        return outline.coarser(self._stretch) if self._stretch > STRETCH else outline

    def _shorten(self) -> None:
        """Hold outlines in stretches that are not too many."""
        rows = sum(outline.totals.rows for outline in self._outlines.values())
        while rows > MOST_STRETCHES * self._stretch:
            self._stretch *= 2
            self._outlines = {row: self._held(outline) for row, outline in self._outlines.items()}

    def is_outdated(self, listed: Mapping[Tag, Listed]) -> bool:
        """Whether a new source should take its place: also when a second attempt began."""
        return not is_long(listed) or super().is_outdated(listed)

    def _has_shorter_way(self, listed: Mapping[Tag, Listed]) -> bool:
        return _newest_outline(listed) > self._since

    def let_go(self) -> None:
        """Let go of what was made of it, which refers back to it: in TensorBoard's heap both would lie for long."""
        self._whole = self._known = None

    def usable(self) -> bool:
        """Whether outlines and newest steps, once read, make up the whole run: a loader may have left some out."""
        ends = [0, *(outline.end_row for outline in self._ordered)]
        run = self._builder.build()
        if run is None or len(ends) == 1 or ends[:-1] != [outline.first_row for outline in self._ordered]:
            return False
        return self._builder.gapless and bool(run.steps["step"][0] <= self._since)

    @property
    def _ordered(self) -> list[Outline]:
        return [self._outlines[row] for row in sorted(self._outlines)]

    def recorded(self) -> Recorded | None:
        """The run; its overhead is that of the steps in outline."""
        run = self._builder.build()
        if run is None:
            return None
        self._details.update(self._listed, self._builder.spans)
        if self._whole is None:
            self._whole = OutlinedLines(
                self._ordered, self._rows_between, stretch=self._stretch, fetch_outlines=self._outlines_between
            )
            last_only = {row: replace(each, rows=each.rows[-1:].copy()) for row, each in self._outlines.items()}
            self._outlines = last_only  # the lines have the others
        if self._known is None or self._known[0] is not run:
            elapsed = sum(outline.elapsed_seconds for outline in self._ordered)
            overhead = sum(outline.own_seconds for outline in self._ordered) / elapsed if elapsed > 0 else None
            steps = [step for outline in self._ordered for step in outline.histogram_steps]
            frames = FetchedFrames([*steps, *run.histograms.steps.tolist()], self._frame)
            histograms = Histograms(frames, tuple(parameter.name for parameter in run.parameters))
            run_shown = replace(
                run,
                histograms=histograms,
                complete=self._builder.gapless and not self.problems.holds("`steps` record"),
                overhead=overhead,
            )
            self._known = run, Recorded(run_shown, self._whole, self._details)
        return self._known[1]

    def _rows_between(self, span: Span) -> NDArray[np.void]:
        """Rows of a span, and more on either side: those of whole records."""
        known, rows = SHARED.get(self._own, ROWS) or NOTHING_FETCHED
        if span.first_row not in known or span.last_row not in known:
            tags = set(reaching(self._of_kind("steps"), span.first, span.last))
            decode = functools.partial(_decoded_if_within, span)
            read = self._read(tags)
            found = [record for tag, frames in read.items() for record in self.problems.decoded(tag, decode, frames)]
            records = [record for record in found if record is not None]
            rows = joined(records)
            if records and read.keys() >= tags:
                begin, end = min(r.first_row for r in records), max(r.first_row + len(r.rows) for r in records)
                SHARED.put(self._own, ROWS, (range(begin, end), rows), rows.nbytes)
        return rows

    def _outlines_between(self, first: int, last: int, stretch: int) -> NDArray[np.void]:
        """Rows of outlines from one step to another, and more on either side; none if the loader left one out."""
        frames = self._read(set(reaching(self._of_kind("outlines"), first, last)))
        found = {
            outline.first_row: outline.coarser(stretch)
            for tag, read in frames.items()
            for outline in self.problems.decoded(tag, schema.decode_outline, read)
        }
        outlines = [found[row] for row in sorted(found)]
        if any(one.end_row != other.first_row for one, other in pairwise(outlines)):
            return np.empty(0, OUTLINE_DTYPE)
        return concatenated([outline.rows for outline in outlines], OUTLINE_DTYPE)

    def _frame(self, step: int) -> bytes:
        """Frame of the histogram of a step. `KeyError` if the loader left it out."""
        shard = next((tag for tag, max_step in self._of_kind("histograms") if max_step >= step), None)
        frames = {} if shard is None else self._frames(shard)
        if step not in frames:
            raise KeyError(f"TensorBoard did not load the histogram of step {step}; see its --samples_per_plugin")
        return frames[step]

    def _frames(self, tag: Tag) -> Mapping[int, bytes]:
        """Frames of a shard of histograms by step."""
        state, frames = DETAILS.get(self._own, tag) or (None, {})
        listed = self._listed.get(tag)
        if state != listed:
            read = self._read([tag]).get(tag)
            frames = dict(self.problems.decoded(tag, _placed, read or ()))
            if read is not None:
                DETAILS.put(self._own, tag, (listed, frames), sum(map(len, frames.values())))
        return frames

    def _of_kind(self, kind: str) -> list[tuple[Tag, int]]:
        """Tags of a kind in the order in which they were written, with the step of their last record."""
        listed, by_kind = self._by_kind
        if listed is not self._listed:
            listed, by_kind = self._listed, {}
            for tag in sorted(listed):
                by_kind.setdefault(tag.kind, []).append((tag, listed[tag].max_step))
            self._by_kind = listed, by_kind
        return by_kind.get(kind, [])


def _decoded_if_within(span: Span, frame: bytes) -> StepsRecord | None:
    """A `steps` record with rows of a span; None without decoding what has none."""
    first_row, count = schema.place_of_steps(frame)
    if first_row > span.last_row or first_row + count <= span.first_row:
        return None
    return schema.decode_steps(frame)


def _placed(frame: bytes) -> tuple[int, bytes]:
    """The step of a histogram, and its frame."""
    return histogram_record.step_of(frame), frame


def joined(records: Iterable[StepsRecord]) -> NDArray[np.void]:
    """Rows of records of one attempt, in order. Steps ascend: of records that overlap, the later one holds."""
    pieces: list[NDArray[np.void]] = []
    for record in sorted(records, key=lambda record: record.first_row, reverse=True):
        rows = record.rows
        if pieces and len(rows) and rows["step"][-1] >= pieces[-1]["step"][0]:
            rows = rows[rows["step"] < pieces[-1]["step"][0]]
        if len(rows):
            pieces.append(rows)
    return concatenated(pieces[::-1], STEP_DTYPE)


def _newest_outline(listed: Mapping[Tag, Listed]) -> int:
    """The step from which on the newest outline needs the table."""
    return max(state.max_step for tag, state in listed.items() if tag.kind == "outlines")
