"""Short trainings that fail because of one thing that was planted, each with a twin that differs in nothing else.

Three tasks (digits with a perceptron and Adam, sequences with a GRU and Adam, regression with a perceptron and SGD) on
the CPU, 400 steps of batches of 32 and seeds fixed. What was planted, and the step from which on, is known; whether it
showed in the loss is decided by a rule that looks at the twin and not at any detector, `events`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from sklearn.datasets import load_digits, make_regression
from torch import Tensor, nn

from tests.benchmarks.traces import Event, Trace

STEPS, BATCH = 400, 32
PLANTED = 200
SHOWS = 1.5
"""A failure shows where the median of `MEDIAN` losses is so many times that before it, and the twin's."""
MEDIAN, BEFORE = 9, 50

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Task:
    """What is trained: a model, its loss, and an optimizer."""

    data: Callable[[], Batch]
    model: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True)
class Fault:
    """What goes wrong, at steps from `first` up to `last`.

    `rate` and `scale` multiply learning rate and loss, `batch` changes the data, `model` what is trained, `half` makes
    the model and the data 16-bit in both twins.
    """

    task: str
    first: int = PLANTED
    last: int = STEPS
    rate: float = 1.0
    scale: float = 1.0
    batch: Callable[[Tensor, Tensor], Batch] | None = None
    model: Callable[[nn.Module], object] | None = None
    half: bool = False


class LastState(nn.Module):
    """Classes of sequences from the last state of a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(4, 24, batch_first=True), nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


@cache
def digits() -> Batch:
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)


@cache
def sequences() -> Batch:
    """Which of five frequencies a noisy wave has."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 1500)
    phase = (0.3 + 0.25 * y)[:, None, None] * np.arange(8)[None, :, None] + rng.uniform(0, 6, (1500, 1, 4))
    return torch.tensor(np.sin(phase) + rng.normal(0, 0.4, phase.shape), dtype=torch.float32), torch.tensor(y)


@cache
def regression() -> Batch:
    x, y = make_regression(1500, 10, n_informative=6, noise=10.0, random_state=0)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y / y.std(), dtype=torch.float32)[:, None]


def perceptron(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, outputs))


TASKS = {
    "digits": Task(
        digits, lambda: perceptron(64, 10), nn.functional.cross_entropy, lambda p: torch.optim.Adam(p, 2e-3, eps=1e-4)
    ),
    "sequences": Task(sequences, LastState, nn.functional.cross_entropy, lambda p: torch.optim.Adam(p, 5e-3, eps=1e-4)),
    "regression": Task(
        regression, lambda: perceptron(10, 1), nn.functional.mse_loss, lambda p: torch.optim.SGD(p, 0.01, momentum=0.9)
    ),
}


def larger(factor: float) -> Callable[[nn.Module], None]:
    """Multiplies the weights a model begins with."""

    def change(model: nn.Module) -> None:
        with torch.no_grad():
            for weights in model.parameters():
                weights.mul_(factor)

    return change


def shuffled(x: Tensor, y: Tensor) -> Batch:
    return x, y.roll(1, 0)  # batches are drawn at random, so each example gets the label of any other


def with_nan(x: Tensor, y: Tensor) -> Batch:
    return torch.where(torch.arange(x.numel()).view_as(x) == 7, math.nan, x), y


FAULTS: dict[str, Fault] = {
    "learning rate x 100, digits": Fault("digits", rate=100),
    "learning rate x 100, sequences": Fault("sequences", rate=100),
    "learning rate x 100, regression": Fault("regression", rate=100),
    "learning rate x 100 from the start, digits": Fault("digits", first=0, rate=100),
    "learning rate x 100 from the start, sequences": Fault("sequences", first=0, rate=100),
    "learning rate x 100 from the start, regression": Fault("regression", first=0, rate=100),
    "inputs to the power of 3, regression": Fault("regression", first=0, batch=lambda x, y: (x**3, y)),
    "inputs to the power of 5, regression": Fault("regression", first=0, batch=lambda x, y: (x**5, y)),
    "inputs to the power of 3 later, regression": Fault("regression", batch=lambda x, y: (x**3, y)),
    "inputs not normalised, digits": Fault("digits", batch=lambda x, y: (x * 16, y)),
    "fp16 overflow, digits": Fault("digits", scale=2.0**17, half=True),
    "fp16 overflow, sequences": Fault("sequences", scale=2.0**20, half=True),
    "poisoned batch x 1000, digits": Fault("digits", last=PLANTED + 1, batch=lambda x, y: (x * 1000, y)),
    "poisoned batch x 1000, regression": Fault("regression", last=PLANTED + 1, batch=lambda x, y: (x, y * 1000)),
    "poisoned batch with NaN, sequences": Fault("sequences", last=PLANTED + 1, batch=with_nan),
    "initial weights x 5, digits": Fault("digits", first=0, model=larger(5)),
    "initial weights x 5, regression": Fault("regression", first=0, model=larger(5)),
    "initial weights x 20, sequences": Fault("sequences", first=0, model=larger(20)),
    "label noise, digits": Fault("digits", batch=shuffled),
    "label noise, sequences": Fault("sequences", batch=shuffled),
    "label noise, regression": Fault("regression", batch=shuffled),
}


@contextmanager
def one_thread() -> Iterator[None]:
    """Batches this small take longest where threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
@one_thread()
def losses(fault: Fault, seed: int, steps: int = STEPS) -> list[float]:
    """Losses of one training; without anything in the fault but its task, of a healthy one."""
    torch.manual_seed(seed)
    task = TASKS[fault.task]
    model = task.model()
    if fault.model is not None:
        fault.model(model)
    x, y = task.data()
    if fault.half:
        model, x, y = model.half(), x.half(), y.half() if y.is_floating_point() else y
    optimizer = task.optimizer(model.parameters())
    rates = [group["lr"] for group in optimizer.param_groups]
    order = np.random.default_rng(seed)
    found = []
    for step in range(steps):
        chosen = torch.from_numpy(order.integers(0, len(x), BATCH))
        inputs, targets = x[chosen], y[chosen]
        now = fault.first <= step < fault.last
        if now and fault.batch is not None:
            inputs, targets = fault.batch(inputs, targets)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (fault.rate if now else 1.0)
        loss = task.loss(model(inputs).float(), targets.float() if targets.is_floating_point() else targets)
        scale = fault.scale if now else 1.0
        optimizer.zero_grad()
        (loss * scale).backward()
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.div_(scale)
        optimizer.step()
        found.append(loss.item())
    return found


def events(failed: list[float], healthy: list[float], planted: int) -> tuple[Event, ...]:
    """What of a failure planted at this step can be seen in the loss.

    NaN or infinity shows. A rise shows from the first step from which on the median of 9 losses, all finite, is more
    than 1.5 times the reference and 1.5 times the twin's, for 9 steps or until the loss is not finite. The reference
    is the median of the 50 losses before the failure; where that was there from the start, of those before the rise.
    If the last such step is well before the end the rise was a spike, otherwise it is a divergence.
    """
    found = []
    steps = len(failed)
    bad = next((t for t in range(planted, steps) if not math.isfinite(failed[t])), steps)
    medians = [float(np.median(failed[t : t + MEDIAN])) for t in range(bad - MEDIAN + 1)]
    above = [m > SHOWS * float(np.median(healthy[t : t + MEDIAN])) for t, m in enumerate(medians)]
    for start in range(max(planted, 1), len(medians)):
        before = planted or start
        limit = SHOWS * float(np.median(failed[max(0, before - BEFORE) : before]))
        high = [t for t in range(start, len(medians)) if above[t] and medians[t] > limit]
        if high[:MEDIAN] == list(range(start, min(start + MEDIAN, len(medians)))):
            back = bad == steps and high[-1] < steps - 4 * MEDIAN
            end = high[-1] + MEDIAN if back else steps
            found.append(Event("spike" if back else "divergence", planted, start, start, end))
            break
    if bad < steps:
        found.append(Event("nonfinite", planted, bad, bad, bad + 1))
    return tuple(found)


def alone(failed: list[float], planted: int) -> frozenset[int]:
    """Steps since the failure whose loss is 3 times the median of the 9 before, or those since the start."""
    usual = {t: float(np.median(failed[max(0, t - MEDIAN) : t])) for t in range(max(planted, 1), len(failed))}
    return frozenset(t for t, loss in usual.items() if failed[t] > 3 * loss)


@dataclass(frozen=True)
class Twins:
    """A training that failed, with what of it can be seen, and the healthy one."""

    failed: Trace
    healthy: Trace


def twins(name: str, seed: int, steps: int = STEPS) -> Twins:
    """The trainings of one fault, in well under a second each."""
    fault = FAULTS[name]
    failed, healthy = losses(fault, seed, steps), losses(Fault(fault.task, half=fault.half), seed, steps)
    seen = events(failed, healthy, fault.first)
    return Twins(Trace(name, failed, seen, alone(failed, fault.first)), Trace(f"healthy twin of {name}", healthy))
