"""What stands out is counted, or the step after it; healthy runs give almost nothing, and no run too much."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.rows import STEP_DTYPE
from tb_gradclip.core.schedule import histogram_due
from tb_gradclip.core.standout import ENOUGH, FIRST, GAP, NONFINITE, NOTHING, SCHEDULED_PER_EXTRA, Level, Standout

NAN, INFINITY = math.nan, math.inf


def rows(norms: Sequence[float], first: int = 0) -> np.ndarray:
    table = np.zeros(len(norms), STEP_DTYPE)
    table["step"], table["norm_before"] = np.arange(first, first + len(norms)), norms
    return table


def train(
    norms: Sequence[float],
    batch: int = 1,
    looks: bool = True,
    events: Sequence[Alert] = (),
    every: int = 50,
    skipped: Sequence[int] = (),
) -> list[int]:
    """Steps that are counted beside the schedule, of a run whose steps are recorded in batches; events come in time."""
    standout = Standout(every)
    table, extra = rows(norms), []
    table["skipped"][list(skipped)] = True
    for start in range(0, len(norms), batch):
        part = table[start : start + batch]
        counted = []
        for step, norm in zip(part["step"].tolist(), part["norm_before"].tolist(), strict=True):
            if standout.scheduled(step):
                counted.append(step)
            elif standout.due(step, norm if looks else 0.0):
                counted.append(step)
                extra.append(step)
        told = [event for event in events if start <= event.step < start + batch]
        standout.observe(part, told, counted)
    return extra


def noise(steps: int, deviation: float = 0.3, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, deviation, steps))


def by_hand(norms: Sequence[float]) -> float:
    """The limit as the docstring has it, from the norms that have a logarithm."""
    logs = [math.log(norm) for norm in norms if 0 < norm <= NONFINITE]
    if len(logs) < ENOUGH:
        return NONFINITE
    mean, deviation = logs[0], 0.2
    for n, x in enumerate(logs, start=1):
        rate, sigma = max(0.02, 1 / (n + 4)), max(math.sqrt(math.pi / 2) * deviation, 0.02)
        moved = np.clip(x - mean, -3 * sigma, 3 * sigma)
        mean, deviation = mean + rate * moved, deviation + rate * (abs(moved) - deviation)
    return min(math.exp(mean + max(6 * math.sqrt(math.pi / 2) * deviation, math.log(4))), NONFINITE)


@given(st.lists(st.floats(0, 2.0**100, width=32), max_size=200))
def test_the_limit_is_the_one_of_the_formula(norms: list[float]) -> None:
    level = Level(6, 4)
    for place, norm in enumerate(norms):
        assert level.learn(norm) == (norm > by_hand(norms[:place]) * (1 + 1e-9))
    assert level.limit == pytest.approx(by_hand(norms), rel=1e-6)


@pytest.mark.parametrize("size", [NAN, INFINITY, 5.0, 1e6])
@pytest.mark.parametrize("batch", [1, 7, 40])
def test_a_step_that_stands_out_is_counted_itself_whatever_the_batches(size: float, batch: int) -> None:
    norms = noise(400, 0.1)
    norms[[137, 333]] *= size
    assert train(norms, batch) == [137, 333]


def test_what_is_not_finite_stands_out_from_the_beginning_and_once() -> None:
    assert train([1.0, INFINITY, 1.0, 1.0]) == [1]
    assert train([1.0, *[NAN] * 300]) == [1]
    assert train([1.0, *[NAN] * 99, *[1.0] * 60, NAN, 1.0]) == [1, 160]


@pytest.mark.parametrize("batch", [1, 5, 9])
def test_where_nobody_looks_at_norms_the_step_after_it_is_recorded_is_counted(batch: int) -> None:
    norms = noise(400, 0.1)
    norms[137] *= 100
    (made_up,) = train(norms, batch, looks=False)
    assert made_up == (137 // batch + 1) * batch


def test_nothing_is_made_up_for_where_the_schedule_counts_the_step_or_the_next() -> None:
    for step in (149, 150):
        norms = noise(400, 0.1)
        norms[step] *= 100
        assert train(norms, looks=False) == []


@pytest.mark.parametrize("kind", ["nonfinite", "divergence", "spike", "explosion"])
def test_after_an_event_that_no_norm_shows_the_next_step_is_counted(kind: str) -> None:
    assert train(noise(400), events=[Alert(137, kind, "error", "")]) == [138]


@pytest.mark.parametrize("asked_first", [False, True])
def test_a_loss_that_stands_out_has_its_step_counted_or_the_next_if_that_is_decided(asked_first: bool) -> None:
    standout, extra = Standout(1000), []
    for step, loss in enumerate([1.0] * 40 + [3.0] + [1.0] * 10 + [3.0] * 30):
        if asked_first and standout.due(step, 1.0):
            extra.append(step)
        standout.heed(step, loss)
        if not asked_first and standout.due(step, 1.0):
            extra.append(step)
        table = rows([1.0], step)
        table["loss"] = loss
        standout.observe(table, [], set(extra))
    assert extra == [41 if asked_first else 40]  # the other is within 50 steps


def test_other_alerts_and_what_a_loss_scaler_skipped_make_no_histogram() -> None:
    quiet = [Alert(137, kind, "warning", "") for kind in ("lint", "regime", "plateau", "vanishing", "nonfinite")]
    assert train(noise(400), events=quiet) == []
    norms = noise(400)
    norms[137] = INFINITY
    assert train(norms, looks=False, skipped=[137]) == []


def test_an_episode_is_made_up_for_unless_its_first_step_or_the_one_before_was_counted() -> None:
    for jump, expected in ((136, [136]), (135, [135, 185])):
        norms = noise(400, 0.1)
        norms[jump] *= 100
        assert train(norms, events=[Alert(141, "divergence", "error", "", start=137)], every=1000) == expected


def test_without_histograms_nothing_is_counted() -> None:
    assert train([1.0, NAN] * 200, every=0, events=[Alert(137, "spike", "warning", "")]) == []
    assert Standout(0).limit == NOTHING


@given(
    norms=st.lists(st.sampled_from([1.0, 1.1, 1e3, 1e9, NAN, INFINITY, 0.0]), min_size=2000, max_size=2000),
    batch=st.integers(1, 200),
    looks=st.booleans(),
)
def test_extra_ones_keep_their_distance_and_their_number(norms: list[float], batch: int, looks: bool) -> None:
    extra = train(norms, batch, looks)
    scheduled = sum(map(histogram_due, range(len(norms))))
    assert all(np.diff(extra) >= GAP)
    assert len(extra) <= FIRST + scheduled // SCHEDULED_PER_EXTRA + math.ceil(batch / GAP)


def test_a_run_in_which_something_happens_all_the_time_has_a_quarter_more_histograms_and_32() -> None:
    norms = np.tile([*[1.0] * 59, 1e6], 2000)
    extra = train(norms, batch=64)
    scheduled = sum(map(histogram_due, range(len(norms))))
    most = FIRST + scheduled // SCHEDULED_PER_EXTRA
    assert most - 5 <= len(extra) <= most + 2
    assert extra[-1] > 0.9 * len(norms)


@pytest.mark.parametrize(
    ("name", "most"),
    [("normal 0.1", 0), ("normal 1", 0), ("falling", 0), ("correlated", 2), ("exponential", 0), ("t 8", 20)],
)
def test_healthy_runs_of_100_000_steps_have_almost_none(name: str, most: int) -> None:
    rng, steps = np.random.default_rng(0), 100_000
    normal = rng.normal(size=steps)
    correlated = np.empty(steps)
    state = 0.0
    for step, innovation in enumerate(normal):
        correlated[step] = state = 0.9 * state + math.sqrt(0.19) * innovation
    logs = {
        "normal 0.1": 0.1 * normal,
        "normal 1": normal,
        "falling": 0.3 * normal - np.linspace(0, 5, steps),
        "correlated": 0.5 * correlated,
        "exponential": np.log(rng.exponential(size=steps)),
        "t 8": 0.3 * rng.standard_t(8, steps),
    }
    assert len(train(np.exp(logs[name]), batch=128)) <= most
