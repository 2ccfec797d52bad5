"""The format on disk: what each record of the `gradclip` plugin holds.

Every record is a rank-1 uint8 tensor, the value of one summary, whose bytes are a *frame* (see `framing`): a JSON
header, then the body. A record's kind is in its tag and in its metadata:

    gradclip/<kind>/<attempt>/<shard>      {"schema": 1, "kind": "steps"}

An *attempt* is one writer's life: its start in milliseconds since 1970, eleven hexadecimal digits, so that a
resumed run appends and its newest rows win. A *shard* holds at most `RECORDS_PER_SHARD` records, because TensorBoard
keeps only a sample of longer series: 10 records a tag in the slower of its two loaders.

- `run`: framework, library, parameters (name, shape, dtype, gain), rule, start_step, replicas, gradients; imported, of
  a run that was made from somebody else's log (as `imported.Imported`). No body.
- `steps`: rows (place of the first one among the attempt's, how many), own_seconds, elapsed_seconds. Body: rows of
  `STEP_DTYPE` as `rows.without_guesses` leaves them, byte planes, zlib.
- `parameters`: first_step, last_step, steps, rows. Body: for each parameter a row of `WINDOW_DTYPE`.
- `histograms`: step, wall_time, rule, parameters, cosine if it was measured, and for each block its dtype and number of
  codes. Body: for each block the codes (uint16), if it has any, and its items as byte planes; all of it zlib.
- `outlines`: first_row, totals (as `Totals`), rows, histogram_steps, own_seconds, elapsed_seconds. Body: rows of
  `OUTLINE_DTYPE`, packed as those of `steps`. The record's own step is that of `lookback_row`.
- `alerts`: a list of `alert.Alert`, field by field. No body.
- `flights`: rows, parameters. Body: the steps (int64) and every parameter's norms (float32) as byte planes, zlib.

A reader that meets a schema newer than its own skips the record and says so once. Unknown header fields are ignored.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core import framing
from tb_gradclip.core.charts.outline import OUTLINE_DTYPE, Outline
from tb_gradclip.core.flight import NORM_DTYPE, Flight
from tb_gradclip.core.histogram import CODES, GradientHistogram
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


class Tag(NamedTuple):
    """The parts of a record's tag."""

    kind: str
    attempt: str
    shard: int

    def __str__(self) -> str:
        return f"{PLUGIN_NAME}/{self.kind}/{self.attempt}/{self.shard:06d}"

    @classmethod
    def parse(cls, tag: str) -> Tag | None:
        """The parts, or None for a tag that is not one of ours."""
        parts = tag.split("/")
        if len(parts) != 4 or parts[0] != PLUGIN_NAME or parts[1] not in KINDS or not parts[3].isdigit():
            return None
        return cls(parts[1], parts[2], int(parts[3]))


def attempt_name(start: float) -> str:
    """Name of the attempt that starts at this time (seconds since 1970); names sort as their times do."""
    return f"{int(start * 1000):011x}"


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
        return int(json.loads(content)["schema"])
    except (ValueError, KeyError, TypeError):
        return 0


def encode_run(run: RunRecord) -> bytes:
    """Frame of a `run` record."""
    parameters = [{**vars(p), "shape": list(p.shape)} for p in run.parameters]
    header = {**vars(run), "parameters": parameters, "rule": run.rule.to_json()}
    imported = header.pop("imported")
    return framing.pack(header if imported is None else {**header, "imported": vars(imported)})


def decode_run(frame: bytes) -> RunRecord:
    """The run that `encode_run` framed."""
    header, _ = framing.unpack(frame)
    parameters = tuple(
        Parameter(p["name"], tuple(p["shape"]), p.get("dtype", ""), p.get("gain")) for p in header["parameters"]
    )
    return RunRecord(
        header["framework"],
        header["library"],
        parameters,
        Rule.from_json(header["rule"]),
        header["start_step"],
        header.get("replicas", 1),
        header.get("gradients", "whole"),
        Imported.from_json(header.get("imported")),
    )


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


def decode_steps(frame: bytes) -> StepsRecord:
    """The record that `encode_steps` framed. `ValueError` for a body that is not as long as the header says."""
    header, body = framing.unpack(frame)
    first_row, count = header["rows"]
    return StepsRecord(
        framing.unpack_rows(body, count, STEP_DTYPE),
        first_row,
        header.get("own_seconds"),
        header.get("elapsed_seconds"),
    )


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


def decode_outline(frame: bytes) -> Outline:
    """The outline that `encode_outline` framed."""
    header, body = framing.unpack(frame)
    rows = framing.unpack_rows(body, header["rows"], OUTLINE_DTYPE)
    seconds = header["own_seconds"], header["elapsed_seconds"]
    return Outline(header["first_row"], Totals(*header["totals"]), rows, tuple(header["histogram_steps"]), *seconds)


def encode_window(window: Window) -> bytes:
    """Frame of a `parameters` record."""
    header = {"first_step": window.first_step, "last_step": window.last_step, "steps": window.steps}
    return framing.pack({**header, "rows": len(window.rows)}, window.rows.astype(WINDOW_DTYPE, copy=False).tobytes())


def decode_window(frame: bytes) -> Window:
    """The window that `encode_window` framed."""
    header, body = framing.unpack(frame)
    rows = np.frombuffer(body, WINDOW_DTYPE, header["rows"])
    return Window(header["first_step"], header["last_step"], header["steps"], rows)


def encode_histogram(histogram: GradientHistogram) -> bytes:
    """Frame of a `histograms` record. Only codes that occur are kept."""
    blocks: dict[str, Any] = {}
    body = b""
    for name in ("counts", "counts_after", "coefficients", "clipped"):
        block = getattr(histogram, name)
        if block is None:
            continue
        kept = {}
        if block.ndim == 2:
            codes = np.flatnonzero(histogram.total if name == "counts" else block.any(axis=0))
            kept = {"codes": len(codes)}
            body += codes.astype("<u2").tobytes()
            block = block[:, codes]
        dtype = "<f8" if name == "coefficients" else "<u4" if not block.size or block.max() < 2**32 else "<u8"
        blocks[name] = {"dtype": dtype, **kept}
        body += framing.planes(np.ascontiguousarray(block, dtype))
    header = {"step": histogram.step, "wall_time": histogram.wall_time, "rule": histogram.rule.to_json()}
    if histogram.cosine is not None:
        header["cosine"] = histogram.cosine
    return framing.pack({**header, "parameters": len(histogram.counts), "blocks": blocks}, zlib.compress(body, 1))


def decode_histogram(frame: bytes, parameters: tuple[str, ...]) -> GradientHistogram:
    """The histogram that `encode_histogram` framed; names of parameters come from the `run` record."""
    header, compressed = framing.unpack(frame)
    body, rows = zlib.decompress(compressed), header["parameters"]
    fields: dict[str, NDArray[Any]] = {}
    for name, block in header["blocks"].items():
        dtype, columns = np.dtype(block["dtype"]), block.get("codes", 1)
        codes, body = body[: 2 * columns], body[2 * columns :] if "codes" in block else body
        size = rows * columns * dtype.itemsize
        values, body = framing.from_planes(body[:size], dtype), body[size:]
        if "codes" in block:
            whole = np.zeros((rows, CODES), np.int64)
            whole[:, np.frombuffer(codes, "<u2")] = values.reshape(rows, columns)
            fields[name] = whole
        else:
            fields[name] = values.astype(np.float64 if name == "coefficients" else np.int64)
    rule = Rule.from_json(header["rule"])
    cosine = header.get("cosine")
    return GradientHistogram(header["step"], header["wall_time"], rule, parameters, **fields, cosine=cosine)


def encode_flight(flight: Flight) -> bytes:
    """Frame of a `flights` record."""
    header = {"rows": len(flight.steps), "parameters": flight.norms.shape[1]}
    body = framing.planes(flight.steps.astype("<i8")) + framing.planes(flight.norms.astype(NORM_DTYPE))
    return framing.pack(header, zlib.compress(body, 1))


def decode_flight(frame: bytes) -> Flight:
    """The flight that `encode_flight` framed."""
    header, compressed = framing.unpack(frame)
    body, rows = zlib.decompress(compressed), header["rows"]
    steps, norms = framing.from_planes(body[: 8 * rows], np.dtype("<i8")), body[8 * rows :]
    return Flight(steps, framing.from_planes(norms, NORM_DTYPE).reshape(rows, header["parameters"]))
