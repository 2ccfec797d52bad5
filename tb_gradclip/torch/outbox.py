"""Steps and what was measured at them, on their way from the device to the host.

A clip call leaves vectors of norms on the device, and a step puts them into an outbox. Another thread empties it: it
joins the vectors of several steps to one, brings that to the host and takes it apart again, into `Measurements`.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch

from tb_gradclip.core.counted import HistogramCounts
from tb_gradclip.core.histogram import CODES
from tb_gradclip.core.rows import Measurements
from tb_gradclip.torch.calls import Call, Numbers, joined
from tb_gradclip.torch.counts import Counting, Result


@dataclass
class Histogram:
    """Counts of one step's gradients in the making, each with the places of the parameters it is about."""

    before: list[tuple[list[int], Counting]] = field(default_factory=list)
    after: list[tuple[list[int], Counting]] = field(default_factory=list)
    cosine: torch.Tensor | None = None  # [1]

    @property
    def held(self) -> int:
        """Bytes of memory that wait with it."""
        return sum(counting.held for _, counting in (*self.before, *self.after))

    def drop(self, indices: list[int]) -> None:
        """Forget what was counted of these parameters."""
        gone = set(indices)
        self.before = [part for part in self.before if gone.isdisjoint(part[0])]
        self.after = [part for part in self.after if gone.isdisjoint(part[0])]
        self.cosine = None

    def tensors(self) -> list[torch.Tensor]:
        """Everything that has to reach the host, in a fixed order."""
        tensors = [tensor for _, counting in (*self.before, *self.after) for tensor in counting.tensors]
        return tensors if self.cosine is None else [*tensors, self.cosine]

    def finish(self, step: int, arrived: Iterator[torch.Tensor], parameters: int, by_value: bool) -> HistogramCounts:
        """The counts, off the front of `arrived`."""
        before, beyond = _merged(self.before, arrived, parameters)
        after = _merged(self.after, arrived, parameters)[0] if self.after else None
        cosine = math.nan if self.cosine is None else float(next(arrived))
        cut, known = beyond if by_value else None, cosine if math.isfinite(cosine) else None
        return HistogramCounts(step, before, after, cut, known)


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
    skipped: torch.Tensor | bool = False  # whether a loss scaler did; on the device, not 0 if so
    ready: list[torch.cuda.Event] = field(default_factory=list)  # behind its numbers in the queues of their devices

    def vectors(self) -> list[torch.Tensor]:
        """Everything that has to reach the host, in a fixed order."""
        vectors = [vector for call in self.calls for vector in call.vectors()]
        if isinstance(self.loss, torch.Tensor):
            vectors.append(self.loss.detach().reshape(1))
        if isinstance(self.skipped, torch.Tensor):
            vectors.append(self.skipped.reshape(1))
        return vectors

    @property
    def signature(self) -> tuple[object, ...]:
        """Steps that agree in this are read together."""
        on_device = isinstance(self.loss, torch.Tensor), isinstance(self.skipped, torch.Tensor)
        return self.loss is None, on_device, [call.signature for call in self.calls]


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
    if isinstance(first.skipped, torch.Tensor):
        skipped = columns.take(1)[0] != 0
    else:
        skipped = np.array([step.skipped for step in steps], bool)
    whole = calls[0] if len(calls) == 1 else joined(calls)
    return Measurements(
        rule=whole.rule.at(float(whole.thresholds[-1])),
        steps=np.array([step.step for step in steps], np.int64),
        wall_times=np.array([step.wall_time for step in steps]),
        losses=losses,
        thresholds=whole.thresholds,
        norm_before=whole.totals,
        norms_before=whole.norms,
        norms_after=whole.after,
        changed=whole.changed,
        factors=whole.factors,
        skipped=skipped,
    )
