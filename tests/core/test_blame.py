"""Who is named first when one layer goes and others follow, and who is not."""

from __future__ import annotations

import numpy as np
import pytest

from tb_gradclip.core.blame import BLOCK, MOST, RATE, RECENT, Departure, ShareTracker, misfits
from tb_gradclip.core.parameter import Parameter

LAYERS = ("embedding", "rnn.weight", "rnn.bias", "head.weight", "head.bias")


def noise(rng: np.random.Generator, steps: int, layers: int) -> np.ndarray:
    """Norms of layers that differ in size by up to 30 times, with correlated lognormal noise and a common factor."""
    scales = np.exp(rng.uniform(0, 3.4, layers))
    own, common = np.zeros((steps, layers)), np.zeros(steps)
    for t in range(1, steps):
        own[t] = 0.5 * own[t - 1] + rng.normal(0, 0.1, layers)
        common[t] = 0.8 * common[t - 1] + rng.normal(0, 0.2)
    return scales * np.exp(own + common[:, None])


def failure(seed: int) -> tuple[np.ndarray, int, int, int]:
    """Norms of a net whose planted layer grows from a step on, its neighbours some steps later; the event's step."""
    rng = np.random.default_rng(seed)
    layers, start = int(rng.integers(4, 30)), int(rng.integers(300, 500))
    planted, lag, rate = int(rng.integers(layers)), int(rng.integers(2, 6)), rng.uniform(0.5, 1.5)
    norms = noise(rng, start + 12, layers)
    for layer in range(layers):
        began = start + lag * abs(layer - planted)
        grown = np.maximum(np.arange(len(norms)) - began + 1, 0)
        norms[:, layer] *= np.exp(rate * grown) * np.where(grown > 0, norms[:began].max() / norms[0, layer], 1.0) ** 0.5
    return norms, planted, start, len(norms) - 1


def told(norms: np.ndarray, names: tuple[str, ...], pieces: list[int] | None = None) -> list[Departure]:
    tracker, first = ShareTracker(names), 0
    for part in np.split(norms, np.cumsum(pieces)[:-1] if pieces else []):
        tracker.observe(np.arange(first, first + len(part)), part)
        first += len(part)
    return tracker.departures(len(norms) - 1)


def test_the_planted_layer_is_named_in_95_of_100_failures() -> None:
    right = leads = 0
    for seed in range(100):
        norms, planted, start, event = failure(seed)
        names = tuple(f"layer{i}" for i in range(norms.shape[1]))
        found = told(norms, names)
        right += bool(found) and found[0].parameter == names[planted]
        leads += bool(found) and abs(found[0].lead - (event - start)) <= 1
    assert right >= 95
    assert leads >= 90


def test_hardly_anybody_is_named_in_a_healthy_run() -> None:
    named = [told(noise(np.random.default_rng(seed), 400, 12), tuple("abcdefghijkl")) for seed in range(100)]
    assert sum(map(bool, named)) <= 2


@pytest.mark.parametrize("pieces", [[200], [1] * 200, [3, 90, 0, 107]])
def test_the_order_is_that_of_the_departures_however_the_steps_arrive(pieces: list[int]) -> None:
    rng = np.random.default_rng(0)
    norms = rng.uniform(0.8, 1.2, (200, 5)) * [5, 1, 2, 3, 2]
    norms[192:, 1] *= 40
    norms[195:, 4] *= 60
    norms[195:, 2] *= 60
    assert told(norms, LAYERS, pieces)[:3] == [("rnn.weight", 7), ("head.bias", 4), ("rnn.bias", 4)]


def test_what_is_known_of_the_past_does_not_depend_on_batches() -> None:
    rng = np.random.default_rng(1)
    norms = rng.uniform(0.5, 2.0, (300, 4))
    norms[7], norms[30] = np.nan, 0.0  # neither says anything about shares
    known = []
    for cuts in ([], [1, 2, 20, 41], list(range(1, 300))):
        tracker = ShareTracker(("a", "b", "c", "d"))
        for first, part in zip([0, *cuts], np.split(norms, cuts), strict=True):
            tracker.observe(np.arange(first, first + len(part)), part)
        assert tracker._mean is not None
        known.append((tracker._mean, tracker._deviation, tracker._usual))
    for one in known[1:]:
        for found, expected in zip(one, known[0], strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_past_is_a_running_mean_over_blocks_that_are_not_recent() -> None:
    rng = np.random.default_rng(2)
    norms = rng.uniform(0.5, 2.0, (RECENT + 5 * BLOCK, 3))
    tracker = ShareTracker(("a", "b", "c"))
    tracker.observe(np.arange(len(norms)), norms)
    shares = norms**2 / (norms**2).sum(axis=1)[:, None]
    logs = np.log(shares / (1 - shares))
    expected = logs[:BLOCK].mean(axis=0)
    for number in range(1, 5):
        block = logs[number * BLOCK : (number + 1) * BLOCK]
        expected = expected + max(RATE, 1 / (number + 1)) * (block.mean(axis=0) - expected)
    np.testing.assert_allclose(tracker._mean, expected, rtol=1e-12)


def test_of_parameters_that_are_not_finite_the_first_to_become_so_is_named_then_the_last_listed() -> None:
    norms = np.ones((20, 5))
    norms[17:, 3] = np.inf
    norms[18:, [0, 1]] = np.nan
    assert told(norms, LAYERS) == [("head.weight", 2), ("rnn.weight", 1), ("embedding", 1)]


def test_where_all_break_at_once_the_steps_before_decide() -> None:
    norms = np.random.default_rng(3).uniform(0.9, 1.1, (150, 5))
    norms[140:, 2] *= 100
    norms[149:] = np.nan
    assert told(norms, LAYERS)[0] == ("rnn.bias", 9)


def test_a_young_run_is_compared_with_its_own_beginning() -> None:
    norms = np.random.default_rng(4).uniform(0.9, 1.1, (40, 5))
    norms[36:, 0] *= 100
    assert told(norms, LAYERS)[0] == ("embedding", 3)
    assert told(norms[30:], LAYERS) == []


def test_nobody_is_named_where_nothing_stands_out() -> None:
    assert ShareTracker(LAYERS).departures(0) == []
    assert told(np.zeros((100, 5)), LAYERS) == []
    together = np.random.default_rng(5).uniform(0.9, 1.1, (200, 5))
    together[190:] *= 1000  # as under a learning rate that is too high for all
    assert told(together, LAYERS) == []


def test_weights_that_were_not_initialised_as_the_others_are_misfits() -> None:
    weights = [Parameter(f"w{i}", (4, 4), gain=gain) for i, gain in enumerate([0.5, 2.0, 600.0, 1.0, 60.0, 1.5])]
    biases = [Parameter("b", (4,)), Parameter("c", (4, 4), gain=None)]
    assert misfits([*weights, *biases]) == ["w2", "w4"]
    assert misfits(weights[:2] + biases) == misfits(weights[1:3]) == misfits([]) == []
    assert misfits([Parameter(f"w{i}", (4, 4), gain=0.0) for i in range(5)]) == []


def test_what_is_too_small_to_matter_is_not_named() -> None:
    norms = np.random.default_rng(6).uniform(0.9, 1.1, (200, 5))
    norms[:, 4] *= 1e-6
    norms[190:, 4] *= 1000
    assert told(norms, LAYERS) == []


def test_huge_norms_do_not_overflow_and_at_most_eight_are_told() -> None:
    norms = np.random.default_rng(7).uniform(0.9, 1.1, (200, 40)) * 1e200
    norms[190:, 20:] *= 100
    found = told(norms, tuple(f"p{i}" for i in range(40)))
    assert [departure.parameter for departure in found] == [f"p{i}" for i in range(39, 39 - MOST, -1)]
