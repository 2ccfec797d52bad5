"""Flights hold what was fed, around every event, and stay within their bounds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tb_gradclip.core import flight
from tb_gradclip.core.flight import AFTER, BEFORE, MOST_ROWS, Flight, FlightRecorder


def rows(count: int, parameters: int = 3, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    steps = np.arange(first, first + count)
    return steps, np.random.default_rng(0).gamma(2.0, 1.0, (count, parameters))


def fly(steps: np.ndarray, norms: np.ndarray, events: list[int], cuts: list[int], late: int = 0) -> list[Flight]:
    """Flights of a run that comes in batches; an event is told with the batch of the step `late` steps after it."""
    recorder, flights = FlightRecorder(norms.shape[1]), []
    edges = [0, *sorted(cuts), len(steps)]
    for start, end in pairwise(edges):
        told = [event for event in events if start <= min(event - steps[0] + late, len(steps) - 1) < end]
        flights += recorder.observe(steps[start:end], norms[start:end], told)
    return flights + recorder.finish()


def assert_fed(flights: list[Flight], steps: np.ndarray, norms: np.ndarray) -> None:
    for found in flights:
        place = found.steps[0] - steps[0]
        np.testing.assert_array_equal(found.steps, steps[place : place + len(found.steps)])
        np.testing.assert_array_equal(found.norms, norms[place : place + len(found.steps)].astype(np.float32))


@given(
    events=st.lists(st.integers(0, 999), max_size=20, unique=True).map(sorted),
    cuts=st.lists(st.integers(0, 1000), max_size=30),
    late=st.integers(0, flight.LATE),
    one_by_one=st.booleans(),
)
def test_every_step_around_an_event_is_in_one_flight_as_it_was_fed(
    events: list[int], cuts: list[int], late: int, one_by_one: bool
) -> None:
    steps, norms = rows(1000, first=7)
    events = [event + 7 for event in events]
    flights = fly(steps, norms, events, list(range(1000)) if one_by_one else cuts, late)
    assert_fed(flights, steps, norms)
    kept = np.concatenate([f.steps for f in flights]) if flights else np.empty(0, int)
    wanted = {s for e in events for s in range(max(e - BEFORE, 7), min(e + AFTER, 1006) + 1)}
    assert len(set(kept.tolist())) == len(kept)
    assert set(kept.tolist()) >= wanted
    assert all(len(f.steps) <= MOST_ROWS for f in flights)


def test_events_far_apart_have_flights_of_their_own_whatever_the_batches() -> None:
    steps, norms = rows(2000)
    for cuts in ([], [500, 1000], list(range(1, 2000))):
        flights = fly(steps, norms, [300, 1500], cuts)
        assert [(f.steps[0], f.steps[-1]) for f in flights] == [(236, 332), (1436, 1532)]


def test_memory_and_file_are_bounded_when_every_step_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flight, "MOST_BYTES", 64_000)  # more than eight flights take
    recorder, given_out, held = FlightRecorder(3), 0, 0
    for step in range(20_000):
        _, norms = rows(1)
        for found in recorder.observe(np.array([step]), norms, [step]):
            given_out += found.steps.nbytes + found.norms.nbytes
        held = max(held, sum(len(part.steps) for part in recorder._rows))
    assert 50_000 < given_out <= 64_000
    assert held <= 2 * MOST_ROWS + BEFORE + AFTER


def test_a_run_that_ends_soon_after_an_event_keeps_what_there_is() -> None:
    steps, norms = rows(100)
    (found,) = fly(steps, norms, [95], [])
    assert (found.steps[0], found.steps[-1]) == (31, 99)
    assert fly(steps, norms, [], [50]) == []


def test_norms_beyond_float32_are_infinite_and_not_a_number_stays() -> None:
    steps, norms = rows(10)
    norms[3] = [1e200, np.nan, np.inf]
    (found,) = fly(steps, norms, [3], [])
    np.testing.assert_array_equal(found.norms[3], [np.inf, np.nan, np.inf])


@pytest.mark.parametrize("parameters", [1, 20_000])
def test_eight_flights_are_kept_however_large_the_model_is(parameters: int) -> None:
    recorder, found = FlightRecorder(parameters), 0
    for first in range(0, 3000, 100):
        norms = np.ones((100, parameters))
        found += len(recorder.observe(np.arange(first, first + 100), norms, [first + 70] if first % 200 else []))
    assert found == (14 if parameters == 1 else 8)
