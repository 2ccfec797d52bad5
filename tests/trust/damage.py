"""Records and logs as nobody should write them: what a damaged disk, a bug or an enemy leaves."""

from __future__ import annotations

import functools
import json
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_UINT8

from tb_gradclip.core import framing, schema
from tb_gradclip.core.charts.outline import OUTLINE_DTYPE, Outliner
from tb_gradclip.core.rows import STEP_DTYPE
from tb_gradclip.core.rules import TORCH_EPSILON, Rule
from tb_gradclip.core.schema import Tag
from tb_gradclip.storage.events import event_files, read_shards
from tb_gradclip.storage.write import frame
from tests.logs import PARAMETERS, START, write_run

ATTEMPT = "19b7a1c5c00"
NAMES = tuple(parameter.name for parameter in PARAMETERS)


@functools.cache
def records() -> dict[str, list[bytes]]:
    """Frames of every kind, as the recorder writes them."""
    with tempfile.TemporaryDirectory() as directory:
        write_run(Path(directory), 2500, Rule("global_norm", 1.0, epsilon=TORCH_EPSILON))
        write_run(Path(directory) / "by_value", 200, Rule.by_value(-0.01, 0.01))
        found: dict[str, list[bytes]] = {kind: [] for kind in schema.KINDS}
        for files in event_files(directory).values():
            for tag, shard in sorted(read_shards(files).items()):
                found[tag.kind] += shard.frames
    outliner = Outliner()
    for record in map(schema.decode_steps, found["steps"][:3]):
        outliner.add(record.rows, record.own_seconds, record.elapsed_seconds)
    found["outlines"].append(schema.encode_outline(outliner.finish()))
    assert all(found.values())
    return found


def summary(tag: str, data: bytes, *, content: bytes | None = None) -> Summary.Value:
    """The value of a record."""
    kind = tag.split("/")[1] if "/" in tag else ""
    plugin = SummaryMetadata.PluginData(
        plugin_name="gradclip", content=schema.metadata_content(kind) if content is None else content
    )
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=len(data))])
    tensor = TensorProto(dtype=DT_UINT8, tensor_shape=shape, tensor_content=data)
    metadata = SummaryMetadata(plugin_data=plugin, data_class=DATA_CLASS_TENSOR)
    return Summary.Value(tag=tag, tensor=tensor, metadata=metadata)


def write_events(directory: Path, values: list[tuple[int, Summary.Value]], name: str = "1") -> Path:
    """An event file with these values, each at a step, all at one time."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"events.out.tfevents.{name}"
    events = [Event(wall_time=START, file_version="brain.Event:2")]
    events += [Event(wall_time=START, step=step, summary=Summary(value=[value])) for step, value in values]
    path.write_bytes(b"".join(frame(event.SerializeToString()) for event in events))
    return path


def write_records(directory: Path, frames: list[tuple[str, bytes]]) -> None:
    """A run with these records, by kind, in shards as the recorder makes them."""
    counts: dict[str, int] = {}
    values = []
    for kind, data in frames:
        counts[kind] = counts.get(kind, -1) + 1
        tag = Tag(kind, ATTEMPT, counts[kind] // schema.RECORDS_PER_SHARD)
        values.append((counts[kind], summary(str(tag), data)))
    write_events(directory, values)


def _deep() -> str:
    return "[" * 100_000 + "]" * 100_000


NUMBERS = [
    "9" * 5000,
    str(2**60),
    str(2**63),
    str(2**64),
    "-1",
    "0",
    "1",
    "1e999",
    "-1e999",
    "NaN",
    "0.5",
    "1e18",
    "-0",
]
OTHERS = ["null", "true", "[]", "{}", '""', '"x"', '"\\ud800"', f'"{"x" * 10_000}"', "[1, 2]", '{"a": 1}', '"Infinity"']
json_values = st.sampled_from([*NUMBERS, *OTHERS, _deep()])
"""Values of JSON, as text: numbers no header should have, and everything else."""


@st.composite
def headers(draw: st.DrawFn, header: dict[str, Any]) -> bytes:
    """A header with some value in it replaced, taken away or doubled."""
    marks: dict[str, str] = {}
    new = json.loads(json.dumps(header))
    for i in range(draw(st.integers(1, 3))):
        place: Any = new
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], (dict, list)) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            if isinstance(place, list) or draw(st.integers(0, 4)):
                marks[f'"@{i}@"'], place[key] = draw(json_values), f"@{i}@"
            else:
                del place[key]
            break
    text = json.dumps(new)
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text.encode()


@st.composite
def bytes_changed(draw: st.DrawFn, data: bytes) -> bytes:
    """These bytes with a few of them others, or with some missing, or more."""
    new = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(new) - 1, 0)))
        match draw(st.integers(0, 3)):
            case 0 if new:
                new[place] ^= 1 << draw(st.integers(0, 7))
            case 1:
                del new[place:]
            case 2:
                new[place:place] = draw(st.binary(max_size=40))
            case _:
                del new[place : place + draw(st.integers(1, 40))]
    return bytes(new)


@st.composite
def rows(draw: st.DrawFn, kind: str, frame: bytes) -> bytes:
    """The body of a table with columns that are another number throughout, or in one row; whole, and packed again."""
    dtype = STEP_DTYPE if kind == "steps" else OUTLINE_DTYPE
    header, body = framing.unpack(frame)
    count = header["rows"][1] if kind == "steps" else header["rows"]
    table = framing.from_planes(zlib.decompress(body), dtype)
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(dtype.names))
        where = slice(None) if draw(st.booleans()) else draw(st.integers(0, count - 1))
        column = table[name].view(np.dtype(f"u{dtype[name].base.itemsize}")) if dtype[name].shape == () else table[name]
        special = [np.nan, np.inf, -np.inf, -1.0, 0.0, 1e308, 5e-324, START]
        if dtype[name].base.kind == "f" and draw(st.booleans()):
            table[name][where] = draw(st.sampled_from(special))
        else:
            column[where] = draw(st.integers(0, 2 ** (8 * min(column.itemsize, 4) - 1) - 1))
    return zlib.compress(framing.planes(table), 1)


@st.composite
def mutants(draw: st.DrawFn) -> tuple[str, bytes]:
    """A kind of record and a frame of it that was changed: anywhere, in its header, or in what its body unpacks to."""
    kind = draw(st.sampled_from(schema.KINDS))
    return kind, draw(changed(kind, draw(st.sampled_from(records()[kind]))))


@st.composite
def changed(draw: st.DrawFn, kind: str, whole: bytes) -> bytes:
    """A frame of this kind, changed."""
    header, body = framing.unpack(whole)
    match draw(st.integers(0, 4)):
        case 0:
            return draw(bytes_changed(whole))
        case 1 if body and kind in ("steps", "outlines"):
            text, body = json.dumps(header).encode(), draw(rows(kind, whole))
        case 2 if body:
            text = json.dumps(header).encode()
            if kind == "parameters":
                body = draw(bytes_changed(body))
            else:
                body = zlib.compress(draw(bytes_changed(zlib.decompress(body))), 1)
        case 3 if body:
            text, body = draw(headers(header)), zlib.compress(bytes(draw(st.sampled_from([0, 1, 10**4, 10**7]))), 9)
        case _:
            text = draw(headers(header))
    return struct.pack("<I", len(text)) + text + body
