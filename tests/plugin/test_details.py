"""Windows and flights of runs that grow, are long or are resumed: what is read to answer, and what of it is kept."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.context import RequestContext

import tb_gradclip
from tb_gradclip.core.charts.room import Room
from tb_gradclip.core.flight import AFTER, BEFORE
from tb_gradclip.core.schema import Tag
from tb_gradclip.plugin import parameters
from tb_gradclip.plugin.answers import KINDS
from tb_gradclip.storage import details
from tb_gradclip.storage import provider as provider_module
from tb_gradclip.storage.outlined_source import OutlinedSource
from tb_gradclip.storage.provider import ProviderRuns
from tb_gradclip.storage.source import Recorded
from tests.logs import GrowingRun, write_small_records
from tests.plugin.wire import decode_flight, decode_windows
from tests.storage.test_provider import Watched

WHOLE = (-np.inf, np.inf)


class Reader:
    """The source of the routes, and what it reads."""

    def __init__(self, logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(provider_module, "FRESH_SECONDS", 0.0)
        monkeypatch.setattr(provider_module, "REST", 0)
        self.provider = Watched(logdir)
        self.runs = ProviderRuns(self.provider, KINDS)

    def recorded(self) -> Recorded:
        self.provider.reload()
        return self.runs.runs(RequestContext(), "")["run"]

    def read(self) -> list[str]:
        """Kinds of the tags read since the last call."""
        kinds = [tag.kind for tag in map(Tag.parse, self.provider.read) if tag]
        self.provider.read.clear()
        return kinds


def windows(recorded: Recorded, bounds: tuple[float, float] = WHOLE) -> dict[str, Any]:
    return decode_windows(parameters.windows_body(recorded, bounds, 400))


def test_windows_and_flights_are_read_only_when_asked_for_and_windows_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = GrowingRun(tmp_path / "run")
    run.grow(8000)
    reader = Reader(tmp_path, monkeypatch)
    reader.recorded()
    assert not {"parameters", "flights"} & set(reader.read())
    windows(reader.recorded(), (0, 100))
    assert reader.read() == ["parameters"]
    everything = windows(reader.recorded())
    assert set(reader.read()) == {"parameters"}
    np.testing.assert_array_equal(windows(reader.recorded())["norm"], everything["norm"])
    assert reader.read() == []
    run.grow(1000)
    assert windows(reader.recorded())["last_step"][-1] > 8900
    assert reader.read().count("parameters") <= 10
    decode_flight(parameters.flight_body(reader.recorded(), 7005))
    assert reader.read() == ["flights"]
    run.recorder.close()


def test_what_is_too_large_to_keep_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = GrowingRun(tmp_path / "run")
    run.grow(2000)
    reader = Reader(tmp_path, monkeypatch)
    kept = windows(reader.recorded())
    monkeypatch.setattr(details, "MOST_KEPT", 10_000)
    monkeypatch.setattr(details, "TAGS_AT_ONCE", 3)
    again = Reader(tmp_path, monkeypatch)
    reads = []
    for _ in range(3):
        np.testing.assert_array_equal(windows(again.recorded())["norm"], kept["norm"])
        reads.append(again.read().count("parameters"))
    assert reads[0] > reads[1] == reads[2] > 0
    run.recorder.close()


def test_what_is_kept_of_many_runs_is_that_of_those_looked_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "run"):
        run = GrowingRun(tmp_path / name)
        run.grow(2000)
        run.recorder.close()
    reader = Reader(tmp_path, monkeypatch)
    reader.recorded()
    runs, room = reader.runs.runs(RequestContext(), ""), Room()
    monkeypatch.setattr(details, "DETAILS", room)
    windows(runs["one"])
    room = Room(room._taken * 3 // 2)
    monkeypatch.setattr(details, "DETAILS", room)
    for name, is_read in (("one", True), ("one", False), ("run", True), ("run", False), ("one", True)):
        reader.read()
        windows(runs[name])
        assert (reader.read().count("parameters") > 0) == is_read, name
    assert len(room._sizes) == 1


def test_a_long_run_read_in_outline_has_the_same_windows_and_flights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small_records(monkeypatch)
    run = GrowingRun(tmp_path / "run")
    run.grow(20_000)
    run.recorder.close()
    reader = Reader(tmp_path, monkeypatch)
    recorded = reader.recorded()
    assert isinstance(reader.runs._sources["run"], OutlinedSource)
    whole = tb_gradclip.read(tmp_path)["run"]
    answer = windows(recorded, (0, 5000))
    inside = [window for window in whole.windows if window.first_step <= 5000]
    assert answer["first_step"].tolist() == [window.first_step for window in inside]
    np.testing.assert_array_equal(answer["clipped"].T, [window.rows["clipped"] for window in inside])
    assert windows(recorded)["steps"].sum() == 20_000
    flight = decode_flight(parameters.flight_body(recorded, 7005))
    assert flight["steps"].tolist() == list(range(7005 - BEFORE, 7005 + AFTER + 1))


def test_a_resumed_run_has_the_windows_and_flights_of_what_was_not_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = GrowingRun(tmp_path / "run")
    first.grow(7600)
    first.recorder.close()
    time.sleep(0.01)  # attempts are told apart by the millisecond they start in
    second = GrowingRun(tmp_path / "run", start=7020)
    second.steps = 7020
    reader = Reader(tmp_path, monkeypatch)
    assert windows(reader.recorded(), (6900, 9000))["last_step"][-1] == 7599
    second.grow(400)
    recorded = reader.recorded()
    answer = windows(recorded, (6900, 9000))
    edges = list(zip(answer["first_step"].tolist(), answer["last_step"].tolist(), strict=True))
    assert all(end + 1 == start for (_, end), (start, _) in pairwise(edges))
    assert 7019 in answer["last_step"]
    assert answer["last_step"][-1] < 7420
    flight = decode_flight(parameters.flight_body(recorded, 7007))
    assert flight["steps"].tolist() == list(range(7007 - BEFORE, 7020))
    second.recorder.close()
