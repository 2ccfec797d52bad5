"""Event files on a local disk, read without TensorBoard's loaders, which sample and import TensorFlow if they can."""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tensorboard.compat.proto.event_pb2 import Event

from tb_gradclip.core.schema import Tag


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


def read_events(path: Path) -> Iterator[Event]:
    """Events of one file, in order. A truncated tail, as a killed process leaves it, ends the file quietly.

    Frame: uint64 length, uint32 checksum of it, data, uint32 checksum of the data. The checksums are not verified:
    TensorBoard does that in its own loaders.
    """
    with path.open("rb") as file:
        while len(header := file.read(12)) == 12:
            (length,) = struct.unpack_from("<Q", header)
            data = file.read(length)
            if len(data) < length:
                return
            file.seek(4, os.SEEK_CUR)
            yield Event.FromString(data)


def read_shards(files: list[Path]) -> dict[Tag, Shard]:
    """Every record of ours in these files, by tag."""
    shards: dict[Tag, Shard] = {}
    for path in files:
        for event in read_events(path):
            for value in event.summary.value:
                if tag := Tag.parse(value.tag):
                    shard = shards.setdefault(tag, Shard(value.metadata.plugin_data.content, []))
                    shard.frames.append(value.tensor.tensor_content)
    return shards
