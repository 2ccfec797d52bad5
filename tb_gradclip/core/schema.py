"""The format on disk: what each record of the `gradclip` plugin holds.

Every record is a rank-1 uint8 tensor, the value of one summary, whose bytes are a *frame* (see `framing`): a JSON
header, then the body. A record's kind is in its tag and in its metadata:

    gradclip/<kind>/<attempt>/<shard>      {"schema": 1, "kind": "steps"}

An *attempt* is one writer's life: its start in milliseconds since 1970, eleven hexadecimal digits, so that a
resumed run appends and its newest rows win, and four more by chance, so that no two writers share one. Older logs lack
these four; attempts are compared as texts. A *shard* holds at most `RECORDS_PER_SHARD` records, because TensorBoard
keeps only a sample of longer series: 10 records a tag in the slower of its two loaders.

- `run`: framework, library, parameters (name, shape, dtype, gain), rule, start_step, replicas, gradients; imported, of
  a run that was made from somebody else's log (as `imported.Imported`). No body.
- `steps`: rows (place of the first one among the attempt's, how many), own_seconds, elapsed_seconds. Body: rows of
  `STEP_DTYPE` as `rows.without_guesses` leaves them, byte planes, zlib.
- `parameters`: first_step, last_step, steps, rows. Body: for each parameter a row of `WINDOW_DTYPE`.
- `histograms`: see `histogram_record`, which encodes them.
- `outlines`: first_row, totals (as `Totals`), rows, histogram_steps, own_seconds, elapsed_seconds. Body: rows of
  `OUTLINE_DTYPE`, packed as those of `steps`. The record's own step is that of `lookback_row`.
- `alerts`: a list of `alert.Alert`, field by field. No body.
- `flights`: rows, parameters. Body: the steps (int64) and every parameter's norms (float32) as byte planes, zlib.

A reader that meets a schema newer than its own skips the record and says so once. Unknown header fields are ignored.
Every decoder raises `ValueError` for bytes that are not as the format has them, whatever they are, and takes no more
memory than what they hold.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core import checked, framing
from tb_gradclip.core.charts.outline import EVERYWHERE, OUTLINE_DTYPE, Outline
from tb_gradclip.core.flight import NORM_DTYPE, Flight
from tb_gradclip.core.imported import Imported
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import STEP_DTYPE
from tb_gradclip.core.rules import Rule
from tb_gradclip.core.totals import Totals

PLUGIN_NAME = "gradclip"
SCHEMA = 1
KINDS = ("run", "steps", "outlines", "parameters", "histograms", "alerts", "flights")
RECORDS_PER_SHARD = 8
WINDOW_DTYPE = np.dtype(
    [
        ("norm_before_mean", "<f4"),
        ("norm_before_max", "<f4"),
        ("norm_after_mean", "<f4"),
        ("clipped", "<u4"),
        ("nonfinite", "<u4"),
    ]
)
"""One parameter over a window of steps: means and maximum are over its finite norms, NaN if there are none."""

_NUMBER = re.compile("[0-9]{6,15}")


class Tag(NamedTuple):
    """The parts of a record's tag."""

    kind: str
    attempt: str
    shard: int

    def __str__(self) -> str:
        return f"{PLUGIN_NAME}/{self.kind}/{self.attempt}/{self.shard:06d}"

    @classmethod
    def parse(cls, tag: str) -> Tag | None:
        """The parts, or None for a tag that is not one of ours, as we write it."""
        parts = tag.split("/")
        if len(parts) != 4 or parts[0] != PLUGIN_NAME or parts[1] not in KINDS or not _NUMBER.fullmatch(parts[3]):
            return None
        found = cls(parts[1], parts[2], int(parts[3]))
        return found if str(found) == tag else None


def attempt_name(start: float, chance: str = "") -> str:
    """Name of the attempt that starts at this time (seconds since 1970); names sort as their times do.

    `chance`: hexadecimal digits that tell apart those that start in the same millisecond.
    """
    return f"{round(start * 1000):011x}{chance}"


@dataclass(frozen=True)
class RunRecord:
    """What a run is: written once an attempt, and again when the kind of rule changes.

    `replicas`: how many processes or devices train the model together. `gradients` says which gradients norms are
    those of: `whole`, the ones the update is made with, put together of all replicas and shards; or `replica`, the
    first replica's own, which were clipped before they were put together. Either way they are accumulated over
    micro-batches and free of a loss scale. `imported`: what a run was made from that nobody recorded; it has one
    parameter that stands for all.
    """

    framework: str
    library: str
    parameters: tuple[Parameter, ...]
    rule: Rule
    start_step: int = 0
    replicas: int = 1
    gradients: Literal["whole", "replica"] = "whole"
    imported: Imported | None = None


@dataclass(frozen=True)
class Window:
    """Statistics of every parameter over the steps first_step .. last_step; `rows`: one of `WINDOW_DTYPE` each."""

    first_step: int
    last_step: int
    steps: int
    rows: NDArray[np.void]


def metadata_content(kind: str) -> bytes:
    """What goes into a summary's plugin data."""
    return json.dumps({"schema": SCHEMA, "kind": kind}).encode()


def content_version(content: bytes) -> int:
    """Schema version in a summary's plugin data; 0 where there is none to read."""
    try:
        return checked.whole(json.loads(content)["schema"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0


def encode_run(run: RunRecord) -> bytes:
    """Frame of a `run` record."""
    parameters = [{**vars(p), "shape": list(p.shape)} for p in run.parameters]
    header = {**vars(run), "parameters": parameters, "rule": run.rule.to_json()}
    imported = header.pop("imported")
    return framing.pack(header if imported is None else {**header, "imported": vars(imported)})


@checked.decoder
def decode_run(frame: bytes) -> RunRecord:
    """The run that `encode_run` framed."""
    header, _ = framing.unpack(frame)
    return RunRecord(
        checked.text(header["framework"]),
        checked.text(header["library"]),
        tuple(map(_parameter, header["parameters"])),
        Rule.from_json(header["rule"]),
        checked.whole(header["start_step"]),
        checked.whole(header.get("replicas", 1), 1),
        "replica" if checked.one_of(header.get("gradients", "whole"), ("whole", "replica")) == "replica" else "whole",
        Imported.from_json(header.get("imported")),
    )


def _parameter(fields: object) -> Parameter:
    fields = checked.mapping(fields)
    gain = checked.optional(checked.finite, fields.get("gain"))
    shape = tuple(map(checked.whole, fields["shape"]))
    return Parameter(checked.text(fields["name"]), shape, checked.text(fields.get("dtype", "")), gain)


@dataclass(frozen=True)
class StepsRecord:
    """Consecutive rows of the step table.

    `first_row` is the place of the first one among the attempt's rows, so that a reader can prove none is missing.
    `own_seconds`: time the writer itself took since the last such record, of `elapsed_seconds` altogether; None where
    it could not be measured, because a compiled graph does not show where its time goes.
    """

    rows: NDArray[np.void]
    first_row: int
    own_seconds: float | None = None
    elapsed_seconds: float | None = None


def encode_steps(record: StepsRecord) -> bytes:
    """Frame of a `steps` record.

    What rows have in common lies together in planes of bytes, and zlib brings 62 bytes a step down to about 14. A slow
    run has a record for every four steps, so that each byte of its header counts.
    """
    rows = record.rows.astype(STEP_DTYPE, copy=False)
    header: dict[str, Any] = {"rows": [record.first_row, len(rows)]}
    for name in ("own_seconds", "elapsed_seconds"):
        if (seconds := getattr(record, name)) is not None:
            header[name] = round(seconds, 6)
    return framing.pack(header, framing.pack_rows(rows))


@checked.decoder
def place_of_steps(frame: bytes) -> tuple[int, int]:
    """Of a `steps` record, the place of its first row and how many it has; the body is not looked at."""
    first_row, count = framing.unpack(frame)[0]["rows"]
    return checked.whole(first_row), checked.whole(count)


@checked.decoder
def decode_steps(frame: bytes) -> StepsRecord:
    """The record that `encode_steps` framed. `ValueError` for a body that is not as long as the header says."""
    header, body = framing.unpack(frame)
    first_row, count = map(checked.whole, header["rows"])
    own, elapsed = (checked.optional(checked.finite, header.get(f"{name}_seconds")) for name in ("own", "elapsed"))
    return StepsRecord(framing.unpack_rows(body, count, STEP_DTYPE), first_row, own, elapsed)


def encode_outline(outline: Outline) -> bytes:
    """Frame of an `outlines` record."""
    header = {
        "first_row": outline.first_row,
        "totals": list(outline.totals),
        "rows": len(outline.rows),
        "histogram_steps": list(outline.histogram_steps),
        "own_seconds": round(outline.own_seconds, 6),
        "elapsed_seconds": round(outline.elapsed_seconds, 6),
    }
    return framing.pack(header, framing.pack_rows(outline.rows))


@checked.decoder
def decode_outline(frame: bytes) -> Outline:
    """The outline that `encode_outline` framed."""
    header, body = framing.unpack(frame)
    first_row, totals = checked.whole(header["first_row"]), Totals(*map(checked.whole, header["totals"]))
    rows = framing.unpack_rows(body, checked.whole(header["rows"], 1), OUTLINE_DTYPE)
    places, times = rows["row"], rows["latest_time"]
    if max(totals) > totals.rows or len(rows) > totals.rows:
        raise ValueError(f"counts of an outline must be within its {totals.rows} rows, got {list(totals)}.")
    if (places[0], places[-1]) != (first_row, first_row + totals.rows - 1) or not (places[1:] > places[:-1]).all():
        raise ValueError(f"rows of an outline must ascend from its first to its last, got {places[0]} to {places[-1]}.")
    if (rows["stands_out"][[0, -1]] != EVERYWHERE).any() or not ((times >= 0) & (times < checked.LATEST)).all():
        raise ValueError("the first and the last row of an outline must stand out in every line, at some time.")
    seconds = checked.finite(header["own_seconds"]), checked.finite(header["elapsed_seconds"])
    return Outline(first_row, totals, rows, tuple(map(checked.whole, header["histogram_steps"])), *seconds)


def encode_window(window: Window) -> bytes:
    """Frame of a `parameters` record."""
    header = {"first_step": window.first_step, "last_step": window.last_step, "steps": window.steps}
    return framing.pack({**header, "rows": len(window.rows)}, window.rows.astype(WINDOW_DTYPE, copy=False).tobytes())


@checked.decoder
def decode_window(frame: bytes) -> Window:
    """The window that `encode_window` framed."""
    header, body = framing.unpack(frame)
    first, last = checked.whole(header["first_step"]), checked.whole(header["last_step"])
    if last < first or len(body) != checked.whole(header["rows"]) * WINDOW_DTYPE.itemsize:
        raise ValueError(f"a window must have whole rows and end after it begins, got {len(body)} bytes.")
    return Window(first, last, checked.whole(header["steps"], 1, last - first + 1), np.frombuffer(body, WINDOW_DTYPE))


def encode_flight(flight: Flight) -> bytes:
    """Frame of a `flights` record."""
    header = {"rows": len(flight.steps), "parameters": flight.norms.shape[1]}
    body = framing.planes(flight.steps.astype("<i8")) + framing.planes(flight.norms.astype(NORM_DTYPE))
    return framing.pack(header, zlib.compress(body, 1))


@checked.decoder
def decode_flight(frame: bytes) -> Flight:
    """The flight that `encode_flight` framed."""
    header, compressed = framing.unpack(frame)
    rows, parameters = checked.whole(header["rows"], 1), checked.whole(header["parameters"])
    body = framing.inflate(compressed, rows * (8 + NORM_DTYPE.itemsize * parameters), "a flight")
    steps = framing.from_planes(body[: 8 * rows], np.dtype("<i8"))
    if steps[0] < 0 or steps[-1] > checked.MOST or not (steps[1:] > steps[:-1]).all():
        raise ValueError(f"steps of a flight must ascend from 0 or more, got {steps[0]} to {steps[-1]}.")
    return Flight(steps, framing.from_planes(body[8 * rows :], NORM_DTYPE).reshape(rows, parameters))
