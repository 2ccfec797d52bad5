"""Whatever bytes are read, a decoder gives a record or says in a `ValueError` why not, and takes little memory."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tb_gradclip.core import framing, histogram_record, schema
from tb_gradclip.core.alert import decode_alerts
from tb_gradclip.core.rows import STEP_DTYPE
from tb_gradclip.core.schema import Tag
from tb_gradclip.storage.events import Shard, read_events
from tb_gradclip.storage.read import RunBuilder, UnreadableHistogramError
from tests.trust.damage import ATTEMPT, NAMES, bytes_changed, mutants, records, write_records
from tests.trust.fuzzing import CASES, MORE_CASES, little_memory, many

DECODERS: dict[str, Any] = {
    "run": schema.decode_run,
    "steps": schema.decode_steps,
    "outlines": schema.decode_outline,
    "parameters": schema.decode_window,
    "histograms": lambda frame: histogram_record.decode(frame, NAMES),
    "alerts": decode_alerts,
    "flights": schema.decode_flight,
}


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    with little_memory():
        yield


def check_used(run: Any) -> None:
    """What the dashboard and a notebook look at first."""
    assert (np.diff(run.steps["step"]) > 0).all()
    assert np.isfinite(run.steps["wall_time"]).all()
    assert isinstance(run.rule.text, str)
    for i in range(min(len(run.histograms), 3)):
        with contextlib.suppress(UnreadableHistogramError):
            run.histograms[i].before()
            run.histograms[i].after()
    assert all(len(window.rows) == len(run.parameters) for window in run.windows)


def test_a_changed_record_is_decoded_or_refused(long: bool) -> None:
    seen = {"decoded": 0, "refused": 0}

    @many(long, CASES, MORE_CASES)
    @given(mutants())
    def check(mutant: tuple[str, bytes]) -> None:
        kind, frame = mutant
        try:
            DECODERS[kind](frame)
        except ValueError:
            seen["refused"] += 1
        else:
            seen["decoded"] += 1

    check()
    assert sum(seen.values()) >= (MORE_CASES if long else CASES)
    assert min(seen.values()) > 10  # else the changes are too small, or too large, to find anything


def test_a_run_with_changed_records_is_what_can_be_read_of_it(long: bool) -> None:
    whole = records()

    @many(long, 60, 2000)
    @given(st.lists(mutants(), min_size=1, max_size=4))
    def check(found: list[tuple[str, bytes]]) -> None:
        builder = RunBuilder("run")
        for kind in schema.KINDS:
            frames = [whole[kind][0], *(frame for other, frame in found if other == kind), *whole[kind][1:3]]
            builder.add(Tag(kind, ATTEMPT, 0), Shard(schema.metadata_content(kind), frames))
        run = builder.build()
        assert run is not None
        check_used(run)
        assert all(len(problem) < 1000 for problem in run.problems)

    check()


def test_a_changed_event_file_is_read_as_far_as_it_goes(tmp_path: Path, long: bool) -> None:
    whole = records()
    write_records(tmp_path / "whole", [(kind, frame) for kind in schema.KINDS for frame in whole[kind][:2]])
    data = next((tmp_path / "whole").iterdir()).read_bytes()
    path = tmp_path / "events.out.tfevents.changed"

    @many(long, 60, 2000)
    @given(bytes_changed(data))
    def check(changed: bytes) -> None:
        path.write_bytes(changed)
        told: list[str] = []
        read = len(list(read_events(path, lambda place, why: told.append(why))))
        assert read + len(told) <= 2 + len(schema.KINDS) * 2
        assert told or read or len(changed) < 40  # which the first event alone has

    check()


@pytest.mark.parametrize("kind", ["steps", "flights", "histograms", "outlines"])
@pytest.mark.parametrize("count", [2**16, 2**31, 2**60, -1])
def test_a_header_that_claims_a_lot_costs_no_memory(kind: str, count: int) -> None:
    header, _ = framing.unpack(records()[kind][0])
    match kind:
        case "steps":
            header["rows"] = [0, count]
        case "histograms":
            header["blocks"] = {"counts": {"dtype": "<u8", "codes": count}}
        case _:
            header["rows"] = count
    frame = framing.pack(header, zlib.compress(bytes(10_000)))
    tracemalloc.start()
    with pytest.raises(ValueError, match="must"):
        DECODERS[kind](frame)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_a_body_that_expands_without_end_is_cut_off() -> None:
    header, _ = framing.unpack(records()["flights"][0])
    packing = zlib.compressobj(9)
    begin = packing.compress(b"") + packing.flush(zlib.Z_FULL_FLUSH)
    piece = packing.compress(bytes(1 << 20)) + packing.flush(zlib.Z_FULL_FLUSH)
    bomb = begin + piece * 4000  # 4 GB in 4 MB
    for rows in (1, 100, 2**53):
        with pytest.raises(ValueError, match="must hold"):
            schema.decode_flight(framing.pack({**header, "rows": rows}, bomb))


def test_a_length_of_an_event_that_no_file_has_ends_the_file(tmp_path: Path) -> None:
    from tb_gradclip.storage.write import masked_checksum

    path = tmp_path / "events.out.tfevents.1"
    for length in (2**40, 2**60, 2**64 - 1):
        size = struct.pack("<Q", length)
        path.write_bytes(size + struct.pack("<I", masked_checksum(size)) + b"data")
        assert list(read_events(path)) == []


def test_nan_in_every_column_is_read_where_a_column_may_have_it() -> None:
    rows = np.zeros(20, STEP_DTYPE)
    rows["step"] = np.arange(20)
    for name in ("loss", "threshold", "norm_before", "norm_after", "coefficient"):
        rows[name] = np.nan
    frame = schema.encode_steps(schema.StepsRecord(rows, 0))
    assert np.isnan(schema.decode_steps(frame).rows["norm_after"]).all()
    rows["wall_time"][3] = np.nan
    with pytest.raises(ValueError, match="times of a record must be seconds"):
        schema.decode_steps(schema.encode_steps(schema.StepsRecord(rows, 0)))
