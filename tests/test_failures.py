"""The detectors on real trainings, healthy ones and some made to fail, and the benchmark that counts how they do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.benchmarks import failures
from tests.benchmarks.detectors import ours
from tests.benchmarks.divergence import score
from tests.benchmarks.traces import Event, Trace

HEALTHY = [
    (task, seed) for task, seeds in {"digits": 8, "regression": 8, "sequences": 4}.items() for seed in range(seeds)
]


@pytest.mark.parametrize(("task", "seed"), HEALTHY)
def test_nothing_fires_in_a_healthy_training(task: str, seed: int) -> None:
    detector = ours()
    losses = failures.losses(failures.Fault(task), 1000 + seed, 250)
    assert [kind for step, loss in enumerate(losses) for kind in detector(step, loss)] == []


@pytest.mark.parametrize(
    "name", ["learning rate x 100, digits", "poisoned batch x 1000, regression", "label noise, regression"]
)
def test_a_training_that_was_made_to_fail_is_found_and_its_twin_is_silent(name: str) -> None:
    pair = failures.twins(name, 7, 300)
    assert pair.failed.losses[: failures.PLANTED] == pair.healthy.losses[: failures.PLANTED]
    assert pair.failed.events
    assert all(score(pair.failed, ours()).found)
    assert score(pair.healthy, ours()).false == 0


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_a_learning_rate_too_high_from_the_first_step_is_found(seed: int) -> None:
    pair = failures.twins("learning rate x 100 from the start, sequences", seed, 150)
    assert pair.failed.events
    assert all(score(pair.failed, ours()).found)
    assert score(pair.healthy, ours()).false == 0


def test_an_event_is_found_once_and_everything_else_is_a_false_alarm() -> None:
    trace = Trace("made", [0.0] * 1000, (Event("spike", 100, 102, 103, 120), Event("divergence", 600, 600, 600, 1000)))
    said = {50: "spike", 105: "spike", 110: "divergence", 620: "spike", 630: "divergence", 900: "divergence"}
    result = score(trace, lambda step, _: [said[step]] if step in said else [])
    assert (result.found, result.false, result.delays) == ((True, True), 4, (3, 30))


def test_the_benchmark_prints_its_tables() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.divergence", "--traces", "1", "--steps", "1500", "--seeds", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "| ours " in done.stdout
    assert sum(line.startswith("|--") for line in done.stdout.splitlines()) == 5
