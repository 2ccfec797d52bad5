"""Event files on a local disk, read without TensorBoard's loaders, which sample and import TensorFlow if they can."""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_UINT8

from tb_gradclip.core.schema import Tag
from tb_gradclip.storage.problems import Problems
from tb_gradclip.storage.write import masked_checksum


class Shard(NamedTuple):
    """Records of one tag: the plugin content of the first one, and the frames of all."""

    content: bytes
    frames: list[bytes]


def event_files(logdir: str | os.PathLike[str]) -> dict[str, list[Path]]:
    """Event files by run: the path of their directory relative to `logdir`, "." for `logdir` itself; oldest first.

    Raises:
      FileNotFoundError: `logdir` does not exist.
    """
    root = Path(logdir)
    if not root.is_dir():
        raise FileNotFoundError(f"`logdir` must be a directory, got {str(logdir)!r}. Pass the one given to ClipWriter.")
    runs: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(root.rglob("*tfevents*")):
        runs[path.parent.relative_to(root).as_posix()].append(path)
    return dict(sorted(runs.items()))


Report = Callable[[int, str], None]
"""Is told where in a file something cannot be read, and why."""


def _nobody(place: int, why: str) -> None:
    """Tell nobody."""


def read_events(path: Path, report: Report = _nobody) -> Iterator[Event]:
    """Events of one file, in order. A truncated tail, as a killed process leaves it, ends the file quietly.

    Frame: uint64 length, uint32 checksum of it, data, uint32 checksum of the data. An event whose data are not what
    they were is left out. Where a length is not, nothing tells where the next event begins: there the file ends.

    Args:
      path: of the file.
      report: is told of what is left out, and of a file that cannot be opened.
    """
    place = 0
    try:
        with path.open("rb") as file:
            while (data := _next_record(file)) is not None:
                if _checksum(file) != masked_checksum(data):
                    report(place, f"the event at byte {place} of {path.name} is damaged")
                elif event := _event(data):
                    yield event
                else:
                    report(place, f"what is at byte {place} of {path.name} is no event")
                place = file.tell()
    except ValueError:
        report(place, f"{path.name} is damaged at byte {place}, and what follows there is lost")
    except OSError as error:
        report(place, f"{path.name}: {error.strerror}")


def _next_record(file: BinaryIO) -> bytes | None:
    """Data of the next record; None at the end or in a cut-off tail. `ValueError` where no record can begin."""
    header = file.read(12)
    if len(header) < 12:
        return None
    (length, checksum) = struct.unpack("<QI", header)
    if checksum != masked_checksum(header[:8]):
        raise ValueError("a length must be as its checksum has it")
    if length + 4 > os.fstat(file.fileno()).st_size - file.tell():
        return None
    return file.read(length)


def _checksum(file: BinaryIO) -> int:
    return int.from_bytes(file.read(4), "little")


def _event(data: bytes) -> Event | None:
    try:
        return Event.FromString(data)
    except DecodeError:
        return None


def read_records(files: list[Path], problems: Problems) -> Iterator[tuple[Tag, bytes, bytes]]:
    """Tag, plugin content and frame of every record of ours in these files, in order.

    Only the first record of a tag has to have a content.

    Args:
      files: of one run.
      problems: takes note of what cannot be read.
    """
    for path in files:
        for event in read_events(path, noting(problems, path)):
            for value in event.summary.value:
                if tag := Tag.parse(value.tag):
                    yield tag, value.metadata.plugin_data.content, frame_of(value.tensor)


def read_shards(files: list[Path], problems: Problems | None = None) -> dict[Tag, Shard]:
    """The same, by tag."""
    shards: dict[Tag, Shard] = {}
    for tag, content, frame in read_records(files, Problems() if problems is None else problems):
        shards.setdefault(tag, Shard(content, [])).frames.append(frame)
    return shards


def noting(problems: Problems, path: Path) -> Report:
    """Has what cannot be read of a file noted."""
    return lambda place, why: problems.note((path, place), "place", why)


def frame_of(tensor: TensorProto) -> bytes:
    """Bytes of a record; none of a tensor that holds anything but bytes."""
    return bytes(tensor.tensor_content) if tensor.dtype == DT_UINT8 else b""
