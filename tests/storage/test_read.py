"""Reading back, from files as they really are: cut off, written by others, of a later version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.tensorflow_stub.errors import OutOfRangeError
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New
from tensorboard.util.tensor_util import make_tensor_proto

import tb_gradclip
from tb_gradclip.core.framing import pack, unpack
from tb_gradclip.core.rules import Rule
from tb_gradclip.core.schema import (
    Parameter,
    RunRecord,
    StepsRecord,
    Tag,
    encode_run,
    encode_steps,
    metadata_content,
)
from tb_gradclip.storage.events import Shard, event_files, read_events, read_shards
from tb_gradclip.storage.read import RunBuilder
from tb_gradclip.storage.write import EventFile, RecordLog
from tests.core.tables import table
from tests.test_recorder import measured, recorder


def write(logdir: Path, steps: int) -> Path:
    book = recorder(logdir)
    for first in range(0, steps, 10):
        book.add_steps(measured(first, [2.0] * 10))
        book.flush()
    book.close()
    (path,) = logdir.iterdir()
    return path


def test_a_file_cut_off_anywhere_gives_the_steps_before_the_cut(tmp_path: Path) -> None:
    whole = write(tmp_path, 100).read_bytes()
    (path,) = tmp_path.iterdir()
    seen = []
    for length in range(0, len(whole), 997):
        path.write_bytes(whole[:length])
        run = tb_gradclip.read(tmp_path).get(".")
        seen.append(0 if run is None else len(run.steps))
    assert seen == sorted(seen)
    assert 0 < seen[len(seen) // 2] < 100


def test_runs_are_named_by_their_directory(tmp_path: Path) -> None:
    for name in ("b", "a/deep"):
        write(tmp_path / name, 10)
    assert list(tb_gradclip.read(tmp_path)) == ["a/deep", "b"]


def test_a_directory_without_our_data_holds_no_runs(tmp_path: Path) -> None:
    sink = EventFile(tmp_path)
    sink.add(Summary(value=[Summary.Value(tag="loss", simple_value=1.0)]), 0, 1.0)
    sink.close()
    assert tb_gradclip.read(tmp_path) == {}


def test_a_directory_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="`logdir` must be a directory, got .*nowhere"):
        tb_gradclip.read(tmp_path / "nowhere")


def test_a_record_of_a_later_version_is_skipped_and_said_once(tmp_path: Path) -> None:
    sink = EventFile(tmp_path / "run")
    for shard in range(3):
        tensor = make_tensor_proto(np.frombuffer(pack({"new": True}), np.uint8))
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(content=b'{"schema": 2, "kind": "steps"}'))
        tag = str(Tag("steps", "0", shard))
        sink.add(Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)]), shard, 1.0)
    sink.close()
    with pytest.warns(UserWarning, match="run 'run': recorded in version 2 .* Upgrade tb_gradclip") as caught:
        assert tb_gradclip.read(tmp_path) == {}
    assert len(caught) == 1


def test_missing_records_make_a_run_incomplete(tmp_path: Path) -> None:
    write(tmp_path, 200)
    builder = RunBuilder("run")
    for tag, shard in read_shards(event_files(tmp_path)["."]).items():
        builder.add(tag, Shard(shard.content, shard.frames[::2] if tag.kind == "steps" else shard.frames))
    run = builder.build()
    assert run is not None
    assert not run.complete


def test_shards_in_any_order_and_more_than_once_make_the_same_run(tmp_path: Path) -> None:
    write(tmp_path, 200)
    shards = list(read_shards(event_files(tmp_path)["."]).items())
    builder = RunBuilder("run")
    for tag, shard in shards[::-1] + shards:
        builder.add(tag, shard)
    run = builder.build()
    assert run is not None
    assert run.complete
    assert run.steps.tobytes() == tb_gradclip.read(tmp_path)["."].steps.tobytes()


def frames(kind: str, *records: bytes) -> Shard:
    return Shard(metadata_content(kind), list(records))


RULE_SET = encode_run(RunRecord("torch", "torch 2", (Parameter("weight"),), Rule("global_norm", 1.0)))


def steps(first_row: int, own: float | None = None, elapsed: float | None = None) -> bytes:
    rows = table(10)
    rows["step"] = np.arange(first_row, first_row + 10)
    return encode_steps(StepsRecord(rows, first_row, own, elapsed))


def test_overhead_is_the_share_of_time_that_the_newest_writer_measured() -> None:
    builder = RunBuilder("run")
    for attempt in ("1", "2"):
        builder.add(Tag("run", attempt, 0), frames("run", RULE_SET))
    builder.add(Tag("steps", "1", 0), frames("steps", steps(0, own=5.0, elapsed=10.0)))
    run = builder.build()
    assert run is not None
    assert run.overhead == 0.5
    builder.add(Tag("steps", "2", 0), frames("steps", steps(0)))
    run = builder.build()
    assert run is not None
    assert run.overhead is None
    shard = frames("steps", steps(0), steps(10, 0.5, 10.0), steps(20, None, 10.0), steps(30, 0.1, 20.0))
    for _ in range(3):
        builder.add(Tag("steps", "2", 0), shard)
    run = builder.build()
    assert run is not None
    assert run.overhead == pytest.approx(0.6 / 30)


def test_overhead_of_no_time_is_not_known() -> None:
    builder = RunBuilder("run")
    builder.add(Tag("run", "1", 0), frames("run", RULE_SET))
    builder.add(Tag("steps", "1", 0), frames("steps", steps(0, own=0.0, elapsed=0.0)))
    run = builder.build()
    assert run is not None
    assert run.overhead is None


def test_a_record_that_was_taken_is_not_decoded_again() -> None:
    builder = RunBuilder("run")
    builder.add(Tag("run", "1", 0), frames("run", RULE_SET))
    builder.add(Tag("steps", "1", 0), frames("steps", steps(0)))
    header, _ = unpack(steps(0))
    builder.add(Tag("steps", "1", 0), frames("steps", pack(header, b"nobody looks here"), steps(10)))
    run = builder.build()
    assert run is not None
    assert run.steps["step"].tolist() == list(range(20))


def test_steps_without_their_run_record_wait_for_it() -> None:
    builder = RunBuilder("run")
    for _ in range(2):
        builder.add(Tag("steps", "1", 0), frames("steps", steps(10), steps(0)))
    assert builder.build() is None
    builder.add(Tag("run", "1", 0), frames("run", RULE_SET))
    run = builder.build()
    assert run is not None
    assert run.steps["step"].tolist() == list(range(20))


def test_tables_handed_out_earlier_stay_as_they_were() -> None:
    builder = RunBuilder("run")
    builder.add(Tag("run", "1", 0), frames("run", RULE_SET))
    handed = []
    for first_row in range(0, 500, 10):
        builder.add(Tag("steps", "1", first_row // 80), frames("steps", steps(first_row)))
        run = builder.build()
        assert run is not None
        handed.append((run, run.steps.tobytes()))
    assert all(run.steps.tobytes() == before for run, before in handed)
    assert builder.edition == 0


def test_the_event_file_is_one_tensorboard_reads(tmp_path: Path) -> None:
    path = write(tmp_path, 30)
    reader, kinds = PyRecordReader_New(str(path)), []
    with pytest.raises(OutOfRangeError):  # its way to say that the file ends; a wrong checksum is a DataLossError
        while True:
            reader.GetNext()
            kinds.append(Event.FromString(reader.record()).WhichOneof("what"))
    assert len(kinds) == len(list(read_events(path)))
    assert kinds[0] == "file_version"
    assert set(kinds[1:]) == {"summary"}


def test_scalars_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    sink = EventFile(tmp_path)
    log = RecordLog(sink, "0")
    for step, value in enumerate([1.0, np.nan, np.inf, 1e300, 2.0]):
        log.write_scalars({"norm_before": value}, step, 1.0)
    sink.close()
    (path,) = tmp_path.iterdir()
    steps = [event.step for event in read_events(path) if event.summary.value]
    assert steps == [0, 4]


def test_a_run_tells_what_other_thresholds_would_have_done(tmp_path: Path) -> None:
    write(tmp_path, 100)
    run = tb_gradclip.read(tmp_path)["."]
    norm = np.sqrt(2)
    answer = run.what_if([0.5, norm, 2.0])
    np.testing.assert_array_equal(answer.threshold, [0.5, norm, 2.0])
    np.testing.assert_array_equal(answer.clip_rate, [1.0, 0.0, 0.0])
    np.testing.assert_allclose(answer.throttle, [1 - 0.5 / norm, 0.0, 0.0], atol=1e-12)
    with pytest.raises(ValueError, match="`thresholds` must be 0 or more, got -2.0"):
        run.what_if(-2.0)
