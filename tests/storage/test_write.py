"""Event files, against TensorBoard's own arithmetic and in its own reader."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub.errors import OutOfRangeError
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New, masked_crc32c

from tb_gradclip.storage.events import read_events
from tb_gradclip.storage.write import EventFile, RecordLog, frame


@given(st.binary(max_size=3000))
def test_a_record_has_the_checksums_tensorboard_expects(data: bytes) -> None:
    record = frame(data)
    length, of_length = struct.unpack_from("<QI", record)
    (of_data,) = struct.unpack("<I", record[-4:])
    assert (length, record[12:-4]) == (len(data), data)
    assert (of_length, of_data) == (masked_crc32c(record[:8]), masked_crc32c(data))


def test_tensorboards_reader_takes_every_record(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    for size in (0, 1, 1000, 100_000):
        file.add(Summary(value=[Summary.Value(tag="x" * size)]), size, 1.0)
    file.close()
    (path,) = tmp_path.iterdir()
    reader = PyRecordReader_New(str(path))
    records = 0
    with pytest.raises(OutOfRangeError):  # the end; a wrong checksum is a DataLossError
        while True:
            reader.GetNext()
            records += 1
    assert records == 5


def test_a_tag_is_described_once(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    log = RecordLog(file, "0")
    for step in range(20):
        log.write("steps", b"", step, 1.0)
        log.write_scalars({"clip_rate": 0.5, "norm_before": 1.0}, step, 1.0)
    file.close()
    (path,) = tmp_path.iterdir()
    values = [value for event in read_events(path) for value in event.summary.value]
    described = [value.tag for value in values if value.HasField("metadata")]
    assert len(described) == len(set(described)) == len({value.tag for value in values}) == 5


def test_a_full_disk_warns_once(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    os.dup2(os.open("/dev/full", os.O_WRONLY), file._file.fileno())
    with pytest.warns(UserWarning, match="gradclip stopped recording: .*No space left.*not affected") as caught:
        for step in range(3):
            file.add(Summary(), step, 1.0)
            file.flush()
        file.close()
        file.close()
    assert len(caught) == 1
