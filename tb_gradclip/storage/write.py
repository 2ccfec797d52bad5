"""Write side of the format: records become summaries under sharded tags, summaries become events in a file.

TensorBoard's protos are used as they are; its `EventFileWriter` is not, because constructing one imports TensorFlow
wherever that is installed (seconds), its queue stalls training when full, and its checksum takes most of its time.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR, DATA_CLASS_TENSOR, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE, DT_FLOAT, DT_UINT8

from tb_gradclip.core.histogram import Distribution
from tb_gradclip.core.schema import PLUGIN_NAME, RECORDS_PER_SHARD, Tag, metadata_content
from tb_gradclip.storage import attempts
from tb_gradclip.storage.appended import AppendedFile
from tb_gradclip.telling import tell


class Sink(Protocol):
    """Somewhere events go: an event file of our own, or the writer a user already has."""

    def attempt(self) -> str:
        """Name of an attempt that begins now."""

    def add(self, summary: Summary, step: int, wall_time: float) -> None:
        """Take one summary."""

    def flush(self) -> None:
        """Return once everything added is in the file."""

    def close(self) -> None:
        """Flush and give up what this sink opened itself."""


class Nowhere:
    """Takes events and keeps none: for processes that leave the writing to another one."""

    def attempt(self) -> str:
        """A name like any other."""
        return attempts.attempt(None)

    def add(self, summary: Summary, step: int, wall_time: float) -> None:
        """Drop one summary."""

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class EventFile:
    """An event file of our own.

    Args:
      logdir: the run's directory; made if missing.

    Raises:
      OSError: the directory cannot be made or written. Later failures (a full disk, a file that was removed) warn once
        and drop what follows: training goes on.
    """

    def __init__(self, logdir: str | os.PathLike[str]) -> None:
        self._directory = directory = Path(logdir).absolute()
        name = f"events.out.tfevents.{attempts.begin(directory):.6f}.{socket.gethostname()}.{os.getpid()}.gradclip"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = AppendedFile(directory / name)
        except OSError as error:
            raise type(error)(
                f"`logdir` must be a directory that can be written, got {str(logdir)!r} ({error.strerror}). "
                "Choose another one or fix its permissions."
            ) from error
        self._broken = False
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self.flush()

    def attempt(self) -> str:
        """Name of an attempt later than all that the directory holds."""
        return attempts.attempt(self._directory)

    def add(self, summary: Summary, step: int, wall_time: float) -> None:
        """Write one summary; it may stay in memory until `flush`."""
        self._write(Event(wall_time=wall_time, step=step, summary=summary))

    def flush(self) -> None:
        """Hand everything added to the operating system."""
        with self._warning():
            if not self._broken:
                self._file.flush()

    def close(self) -> None:
        """Flush and close the file; closing twice is fine."""
        with self._warning():
            self._file.close()

    def _write(self, event: Event) -> None:
        with self._warning():
            if not self._broken:
                self._file.write(frame(event.SerializeToString()))

    @contextlib.contextmanager
    def _warning(self) -> Iterator[None]:
        """Turn a failing disk into one warning: training goes on."""
        try:
            yield
        except (OSError, ValueError) as error:
            if not self._broken:
                self._broken = True
                tell(f"gradclip stopped recording: {error}. Training is not affected.")


def frame(data: bytes) -> bytes:
    """A record of an event file: uint64 length, its checksum, the data, their checksum; little-endian."""
    length = struct.pack("<Q", len(data))
    return b"".join(
        (length, struct.pack("<I", masked_checksum(length)), data, struct.pack("<I", masked_checksum(data)))
    )


def masked_checksum(data: bytes) -> int:
    """CRC-32C as event files store it: rotated by 15 bits plus a constant. Source: TFRecord's `crc32c.h`."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class SharedFile:
    """The event file of a `SummaryWriter` the user already has: one with `file_writer` and `log_dir`, as PyTorch's.

    What comes once the user has closed it goes into a file of our own in its directory. TensorBoard reads on in the
    newest file, which that is, and has nothing to miss in the older one. A writer that is opened again has a newer file
    yet, and is shared again.

    Raises:
      OSError: the writer's disk fails, or the file of our own cannot be made. By `add`, `flush` and `close`.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._directory = str(writer.log_dir)
        self._rest: EventFile | None = None

    def attempt(self) -> str:
        """Name of an attempt later than all that the writer's directory holds."""
        return attempts.attempt(self._directory)

    def add(self, summary: Summary, step: int, wall_time: float) -> None:
        """Hand one summary over."""
        if not self._while_open(lambda file_writer: file_writer.add_summary(summary, step, wall_time)):
            if self._rest is None:
                self._rest = self._file_of_our_own()
            self._rest.add(summary, step, wall_time)

    def flush(self) -> None:
        """Flush the user's writer, or what goes in its place."""
        if not self._while_open(lambda file_writer: file_writer.flush()) and self._rest is not None:
            self._rest.flush()

    def close(self) -> None:
        """Flush; closing is the user's business, but for a file of our own."""
        self.flush()
        self._close_rest()

    def _while_open(self, use: Callable[[Any], object]) -> bool:
        """Whether the user's writer is open, and did this."""
        file_writer = self._writer.file_writer
        if file_writer is None:
            return False
        self._close_rest()
        try:
            use(file_writer)
        except OSError as error:
            if "closed" not in str(error):  # by the user's thread at this moment: TensorBoard's "Writer is closed"
                raise
            return False
        return True

    def _close_rest(self) -> None:
        rest, self._rest = self._rest, None
        if rest is not None:
            rest.close()

    def _file_of_our_own(self) -> EventFile:
        if "://" in self._directory:
            raise OSError(
                f"the SummaryWriter of {self._directory} was closed before the last steps were written. "
                "Close ClipWriter first."
            )
        return EventFile(self._directory)


class RecordLog:
    """Records under sharded tags, and the small copies for TensorBoard's own tabs.

    Each kind of record has its own series of shards, so no tag ever holds more than `RECORDS_PER_SHARD`.
    """

    def __init__(self, sink: Sink, attempt: str) -> None:
        self._sink = sink
        self._attempt = attempt
        self._written: dict[str, int] = defaultdict(int)
        self._described: set[str] = set()

    def write(self, kind: str, frame: bytes, step: int, wall_time: float) -> None:
        """Append one record of this kind.

        `step` orders it among its kind and must rise: TensorBoard's fast loader drops records at or after a new one's.
        """
        shard, place = divmod(self._written[kind], RECORDS_PER_SHARD)
        tensor = TensorProto(
            dtype=DT_UINT8,
            tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=len(frame))]),
            tensor_content=frame,
        )
        metadata = _metadata(PLUGIN_NAME, DATA_CLASS_TENSOR, metadata_content(kind)) if place == 0 else None
        value = Summary.Value(tag=str(Tag(kind, self._attempt, shard)), tensor=tensor, metadata=metadata)
        self._sink.add(Summary(value=[value]), step, wall_time)
        self._written[kind] += 1  # after it: Ctrl-C in between repeats what a tag is, and does not leave it out

    def write_scalars(self, values: Mapping[str, float], step: int, wall_time: float) -> None:
        """Points for the Scalars tab. Values that are not finite are dropped: one would blank TensorBoard's card."""
        with np.errstate(over="ignore"):
            finite = {name: value for name, value in values.items() if np.isfinite(np.float32(value))}
        points = [
            self._value(
                f"{PLUGIN_NAME}/{name}",
                TensorProto(dtype=DT_FLOAT, tensor_shape=TensorShapeProto(), float_val=[value]),
                _metadata("scalars", DATA_CLASS_SCALAR, b""),
            )
            for name, value in finite.items()
        ]
        if points:
            self._sink.add(Summary(value=points), step, wall_time)

    def write_distribution(self, name: str, values: Distribution, step: int, wall_time: float) -> None:
        """A histogram for the Histograms tab: finite values only, zeros as a bin of no width between the signs."""
        buckets = histogram_buckets(values)
        if len(buckets):
            tensor = TensorProto(
                dtype=DT_DOUBLE,
                tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in buckets.shape]),
                tensor_content=buckets.astype("<f8").tobytes(),
            )
            metadata = _metadata("histograms", DATA_CLASS_TENSOR, b"")
            value = self._value(f"{PLUGIN_NAME}/{name}", tensor, metadata)
            self._sink.add(Summary(value=[value]), step, wall_time)

    def _value(self, tag: str, tensor: TensorProto, metadata: SummaryMetadata) -> Summary.Value:
        """A value of a tag; TensorBoard wants to be told once what the tag is."""
        known = tag in self._described
        self._described.add(tag)
        return Summary.Value(tag=tag, tensor=tensor, metadata=None if known else metadata)


def histogram_buckets(values: Distribution) -> NDArray[np.float64]:
    """Finite values as TensorBoard's histogram tensor: rows of (low, high, count), shape [k, 3], ascending."""
    rows = np.stack((values.low, values.high, np.asarray(values.counts, float)), axis=1)
    if values.zero:
        middle = int((values.high <= 0).sum())
        rows = np.insert(rows, middle, (0.0, 0.0, values.zero), axis=0)
    return rows


def _metadata(plugin: str, data_class: int, content: bytes) -> SummaryMetadata:
    data = SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    return SummaryMetadata(plugin_data=data, data_class=data_class)
