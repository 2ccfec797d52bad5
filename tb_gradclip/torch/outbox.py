"""Steps and what was measured at them, on their way from the device to the host.

A clip call leaves vectors of norms on the device, and a step puts them into an outbox. Another thread empties it: it
joins the vectors of several steps to one, brings that to the host and takes it apart again, into `Measurements`.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from tb_gradclip.core.histogram import CODES
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import Floats, Rule, joint_norm, outcome
from tb_gradclip.recorder import HistogramCounts
from tb_gradclip.torch.counts import Counting, Result


@dataclass
class Call:
    """One clip call: the parameters it saw, and vectors of their norms."""

    rule: Rule
    indices: list[int]
    norms: torch.Tensor  # [k]
    total: torch.Tensor | None = None  # joint norm, where the library computed it
    after: torch.Tensor | None = None  # [k], where no formula gives it
    changed: torch.Tensor | None = None  # [k], where a norm would not show it

    def vectors(self) -> list[torch.Tensor]:
        """Everything that has to reach the host, in a fixed order."""
        given = (self.norms, self.total, self.after, self.changed)
        return [vector.reshape(-1) for vector in given if vector is not None]

    @property
    def signature(self) -> tuple[object, ...]:
        """Calls that agree in this are read together; thresholds may differ."""
        rule = self.rule
        bounds = (rule.low, rule.high) if rule.kind == "value" else ()
        given = [vector is not None for vector in (self.total, self.after, self.changed)]
        return rule.kind, bounds, rule.norm_type, given, self.indices

    def read(self, numbers: Numbers, thresholds: Floats, parameters: int) -> HostCall:
        """Take the numbers of T such calls off the front of `numbers`."""

        def take() -> Floats:
            whole = np.zeros((len(thresholds), parameters))
            whole[:, self.indices] = numbers.take(len(self.indices)).T
            return whole

        norms = take()
        totals = numbers.take(1)[0] if self.total is not None else joint_norm(norms, self.rule.norm_type)
        after = take() if self.after is not None else None
        changed = take() != 0 if self.changed is not None else None
        return HostCall(self.rule, thresholds, self.indices, norms, totals, after, changed)


@dataclass
class Numbers:
    """Numbers that arrived on the host, to be taken off the front of the first axis."""

    values: Floats
    taken: int = 0

    def take(self, count: int) -> Floats:
        """The next so many."""
        start, self.taken = self.taken, self.taken + count
        return self.values[start : self.taken]


@dataclass
class HostCall:
    """The same clip call at T steps, on the host; matrices have a column for each of the model's parameters."""

    rule: Rule
    thresholds: Floats
    indices: list[int]
    norms: Floats
    totals: Floats
    after: Floats | None
    changed: NDArray[np.bool_] | None


@dataclass
class Histogram:
    """Counts of one step's gradients in the making, each with the places of the parameters it is about."""

    before: list[tuple[list[int], Counting]] = field(default_factory=list)
    after: list[tuple[list[int], Counting]] = field(default_factory=list)

    @property
    def held(self) -> int:
        """Bytes of memory that wait with it."""
        return sum(counting.held for _, counting in (*self.before, *self.after))

    def tensors(self) -> list[torch.Tensor]:
        """Everything that has to reach the host, in a fixed order."""
        return [tensor for _, counting in (*self.before, *self.after) for tensor in counting.tensors]

    def finish(self, step: int, arrived: Iterator[torch.Tensor], parameters: int, by_value: bool) -> HistogramCounts:
        """The counts, off the front of `arrived`."""
        before, beyond = _merged(self.before, arrived, parameters)
        after = _merged(self.after, arrived, parameters)[0] if self.after else None
        return HistogramCounts(step, before, after, beyond if by_value else None)


def _merged(countings: list[tuple[list[int], Counting]], arrived: Iterator[torch.Tensor], parameters: int) -> Result:
    """Counts of all parameters. Of two counts of one parameter the first is of its raw gradient."""
    finished = [
        (indices, counting.finish([next(arrived) for _ in counting.tensors])) for indices, counting in countings
    ]
    if len(finished) == 1 and finished[0][0] == list(range(parameters)):
        return finished[0][1]
    counts, beyond = np.zeros((parameters, CODES), np.int64), np.zeros(parameters, np.int64)
    for indices, (found, cut) in reversed(finished):
        counts[indices], beyond[indices] = found, cut
    return counts, beyond


@dataclass
class Step:
    """One optimizer step: what the host knows of it, and the calls whose numbers are on the device."""

    step: int
    wall_time: float
    loss: torch.Tensor | float | None
    calls: list[Call]
    histogram: Histogram
    ready: list[torch.cuda.Event] = field(default_factory=list)  # behind its numbers in the queues of their devices

    def vectors(self) -> list[torch.Tensor]:
        """Everything that has to reach the host, in a fixed order."""
        vectors = [vector for call in self.calls for vector in call.vectors()]
        if isinstance(self.loss, torch.Tensor):
            vectors.append(self.loss.detach().reshape(1))
        return vectors

    @property
    def signature(self) -> tuple[object, ...]:
        """Steps that agree in this are read together."""
        return self.loss is None, isinstance(self.loss, torch.Tensor), [call.signature for call in self.calls]


class Outbox:
    """Steps on their way from the training thread to the one that records them.

    Args:
      parameters: number of tensors of the model.
      devices: where they are.
    """

    def __init__(self, parameters: int, devices: set[torch.device]) -> None:
        self._parameters = parameters
        self._steps: deque[Step] = deque()
        self._put = self._taken = 0
        cuda = [device for device in devices if device.type == "cuda"]
        self._streams = [torch.cuda.Stream(device) for device in cuda]  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def held(self) -> int:
        """Bytes of histograms in the box or just being taken out of it."""
        return self._put - self._taken

    def put(self, step: Step) -> None:
        """Add a step; waits for nothing."""
        for stream in self._streams:
            step.ready.append(torch.cuda.current_stream(stream.device).record_event())
        self._put += step.histogram.held
        self._steps.append(step)

    def fetch(self) -> Iterator[HistogramCounts | Measurements]:
        """Empty the box: what each step says, histograms before the steps they belong to. Waits for the device."""
        steps = [self._steps.popleft() for _ in range(len(self._steps))]
        try:
            if steps:
                yield from self._read(steps)
        finally:
            self._taken += sum(step.histogram.held for step in steps)

    def _read(self, steps: list[Step]) -> Iterator[HistogramCounts | Measurements]:
        numbers, tensors = self._arrived(steps)
        for step in steps:
            if step.histogram.before:
                by_value = any(call.rule.kind == "value" for call in step.calls)
                yield step.histogram.finish(step.step, tensors, self._parameters, by_value)
        for _, alike in groupby(steps, key=lambda step: step.signature):
            yield _measurements(list(alike), numbers, self._parameters)

    def _arrived(self, steps: list[Step]) -> tuple[Numbers, Iterator[torch.Tensor]]:
        """All vectors and all tensors of these steps, on the host; on a CUDA device on a stream of their own."""
        vectors = [vector for step in steps for vector in step.vectors()]
        tensors = [tensor for step in steps for tensor in step.histogram.tensors()]
        if not self._streams:
            return Numbers(_joint(vectors).cpu().double().numpy()), iter([tensor.cpu() for tensor in tensors])
        with contextlib.ExitStack() as current:
            for number, stream in enumerate(self._streams):
                current.enter_context(torch.cuda.stream(stream))
                for step in steps:
                    stream.wait_event(step.ready[number])
            host = [_pinned(tensor) for tensor in (_joint(vectors), *tensors)]
        for stream in self._streams:
            copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # sleeps instead of spinning
            stream.record_event(copied)
            copied.synchronize()
        return Numbers(host[0].double().numpy()), iter(host[1:])


def _joint(vectors: list[torch.Tensor]) -> torch.Tensor:
    if not vectors:
        return torch.zeros(0)
    devices = [vector.device for vector in vectors if vector.device.type != "cpu"]
    wide = torch.float64 if any(v.dtype == torch.float64 for v in vectors) else torch.float32
    where = devices[0] if devices else torch.device("cpu")
    return torch.cat([vector.to(device=where, dtype=wide, non_blocking=True) for vector in vectors])


def _pinned(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)


def _measurements(steps: list[Step], numbers: Numbers, parameters: int) -> Measurements:
    """What T steps of one signature say, taken off the front of `numbers`."""
    first = steps[0]
    width = sum(vector.numel() for vector in first.vectors())
    columns = Numbers(numbers.take(len(steps) * width).reshape(len(steps), width).T)
    calls = []
    for place, call in enumerate(first.calls):
        thresholds = np.array([step.calls[place].rule.threshold for step in steps])
        calls.append(call.read(columns, thresholds, parameters))
    losses = None
    if first.loss is not None:
        given = isinstance(first.loss, torch.Tensor)
        losses = columns.take(1)[0] if given else np.array([step.loss for step in steps], np.float64)
    joined = calls[0] if len(calls) == 1 else _joined(calls)
    return Measurements(
        rule=joined.rule.at(float(joined.thresholds[-1])),
        steps=np.array([step.step for step in steps], np.int64),
        wall_times=np.array([step.wall_time for step in steps]),
        losses=losses,
        thresholds=joined.thresholds,
        norm_before=joined.totals,
        norms_before=joined.norms,
        norms_after=joined.after,
        changed=joined.changed,
    )


def _joined(calls: list[HostCall]) -> HostCall:
    """The calls of a step as one: before the first of them and after the last, parameter by parameter."""
    shape = calls[0].norms.shape
    before, after = np.zeros(shape), np.zeros(shape)
    changed, seen = np.zeros(shape, bool), np.zeros(shape[1], bool)
    for call in calls:
        result = outcome(call.rule, call.thresholds, call.totals, call.norms, call.after, call.changed)
        fresh = [i for i in call.indices if not seen[i]]
        before[:, fresh] = call.norms[:, fresh]
        after[:, call.indices] = result.norms_after[:, call.indices]
        changed |= result.parameters_clipped
        seen[call.indices] = True
    return HostCall(Rule("custom"), np.full(shape[0], np.nan), [], before, joint_norm(before), after, changed)
