"""What recording asks of a training step in PyTorch: no wait for the device, and no more work for more tensors."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import tb_gradclip
from tb_gradclip.core.alert import Alert
from tb_gradclip.torch import ClipWriter, norms
from tb_gradclip.torch.arguments import places
from tests.test_collector import steps, wait_for

WAITING = {"_local_scalar_dense", "item", "is_nonzero", "nonzero", "equal", "unique2", "masked_select", "bincount"}
"""Operations whose result, or its size, has to be on the host before the program goes on."""


class Operations(TorchDispatchMode):
    """Counts every operation of this thread; the thread that records may wait for the device as long as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))

    @property
    def waiting(self) -> set[str]:
        return WAITING & self.seen.keys()


def model(
    tensors: int, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> list[tuple[str, torch.nn.Parameter]]:
    named = [(f"p{i}", torch.nn.Parameter(torch.zeros((3, 2), device=device, dtype=dtype))) for i in range(tensors)]
    for _, parameter in named:
        parameter.grad = torch.randn((3, 2), device=device).to(dtype)
    return named


def clip(writer: ClipWriter, rule: str, parameters: list[torch.nn.Parameter]) -> None:
    if rule == "value":
        writer.clip_grad_value_(parameters, 0.1)
    elif rule == "global_norm":
        writer.clip_grad_norm_(parameters, 0.1)
    elif rule == "global_norm, p = 1":
        writer.clip_grad_norm_(parameters, 0.1, 1.0)
    elif rule == "custom":
        with writer.clipping():
            torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], 0.5)


RULES = ("global_norm", "global_norm, p = 1", "value", "custom", "none")


DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@contextlib.contextmanager
def refusing_to_wait(device: str) -> Iterator[None]:
    """Let PyTorch itself raise where the program waits for the device, as far as it notices."""
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    yield
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rule", RULES)
def test_a_thousand_steps_never_wait_for_a_number(tmp_path: Path, rule: str, device: str) -> None:
    named = model(6, device)
    parameters = [parameter for _, parameter in named]
    loss = torch.tensor(2.0, device=device)
    with ClipWriter(tmp_path, named) as writer, Operations() as operations, refusing_to_wait(device):
        for _ in range(1000):
            clip(writer, rule, parameters)
            writer.step(loss)
    assert sum(operations.seen.values()) > 1000
    assert operations.waiting == set()
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 1000


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fused", [False, True])
def test_a_loss_scaler_is_not_waited_for_more_than_without_the_writer(tmp_path: Path, fused: bool, device: str) -> None:
    waits = []
    for watched in (False, True):
        named = model(6, device)
        writer = ClipWriter(tmp_path, named) if watched else None
        parameters = [parameter for _, parameter in named]
        optimizer = torch.optim.AdamW(parameters, fused=fused)
        scaler = torch.amp.GradScaler(device)
        loss = scaler.scale(torch.tensor(2.0, device=device))
        with Operations() as operations:
            for step in range(100):
                for parameter in parameters:
                    parameter.grad = torch.full_like(parameter, float("inf") if step % 7 == 0 else 1.0)
                if step % 2:
                    scaler.unscale_(optimizer)
                    clip(writer, "global_norm", parameters) if writer else None
                scaler.step(optimizer)
                scaler.update()
                writer.step(loss) if writer else None
        waits.append({name: operations.seen[name] for name in WAITING})
        if writer is not None:
            writer.close()
    assert waits[0] == waits[1]
    skipped = tb_gradclip.read(tmp_path)["."].steps["skipped"]
    assert skipped.nonzero()[0].tolist() == list(range(0, 100, 7))


def test_the_test_above_can_fail() -> None:
    with Operations() as operations:
        float(torch.ones(3).sum())
    assert operations.waiting


def train(writer: ClipWriter, rule: str, parameters: list[torch.nn.Parameter], steps: int) -> None:
    for _ in range(steps):
        clip(writer, rule, parameters)
        writer.step(2.0)
    writer.flush()


@pytest.mark.usefixtures("recorded_by_hand")
@pytest.mark.parametrize(
    ("dtype", "piece", "few", "many"),  # fewer are not worth being taken together, and many make the most stacks
    [
        (torch.float32, norms.PIECE, 10, 300),
        (torch.bfloat16, norms.PIECE, 10, 300),
        (torch.float32, 6 * norms.FEWEST, 6 * 2 * norms.MOST_STACKS, 6 * 6 * norms.MOST_STACKS),
    ],
)
@pytest.mark.parametrize("rule", RULES)
def test_operations_of_a_step_do_not_grow_in_number_with_the_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, dtype: torch.dtype, piece: int, few: int, many: int
) -> None:
    monkeypatch.setattr(norms, "PIECE", piece)
    counts = []
    for tensors in (few, many):
        named = model(tensors, dtype=dtype)
        parameters = [parameter for _, parameter in named]
        with ClipWriter(tmp_path / str(tensors), named, histogram_every=10) as writer:
            train(writer, rule, parameters, steps=10)  # the first histogram makes room for all that follow
            with Operations() as operations:
                for _ in range(3):
                    train(writer, rule, parameters, steps=10)
        counts.append(operations.seen)
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("limit", "steps", "held"), [("MOST_WAITING", 50, 1 << 20), ("MOST_HELD", 25, 1000)])
def test_nothing_is_dropped_when_recording_cannot_keep_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, steps: int, held: int
) -> None:
    monkeypatch.setattr(f"tb_gradclip.torch.writer.{limit}", 50 if limit == "MOST_WAITING" else 1000)
    for name in ("STEPS_PER_ROUND", "BYTES_PER_ROUND"):
        monkeypatch.setattr(f"tb_gradclip.torch.writer.{name}", 1 << 40)  # nobody wakes the thread
    with ClipWriter(tmp_path, model(2), histogram_every=1) as writer:
        for step in range(500):
            writer.step(float(step))
            assert len(writer._outbox) <= steps
            assert writer._outbox.held <= held
    assert tb_gradclip.read(tmp_path)["."].steps["loss"].tolist() == [float(step) for step in range(500)]


def test_a_training_that_outlives_its_writer_goes_on_without(tmp_path: Path) -> None:
    writer = ClipWriter(tmp_path, model(2))
    writer.step(1.0)
    writer.close()
    for _ in range(100):
        writer.step(1.0)
    writer.flush()
    assert len(writer._outbox) == 0
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 1


def test_a_writer_that_is_thrown_away_closes_its_file(tmp_path: Path) -> None:
    writer = ClipWriter(tmp_path, model(2))
    for _ in range(40):
        writer.step(1.0)
    del writer
    gc.collect()
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 40


def test_an_alert_on_the_thread_that_records_reaches_the_training_loop(tmp_path: Path) -> None:
    heard: list[Alert] = []
    writer = ClipWriter(tmp_path, model(2), on_alert=heard.append)
    writer._collect_every_step = False  # as on a GPU
    for step in range(101):
        writer.step(2.0 if step < 100 else float("nan"))

    def step_and_listen() -> bool:
        writer.step(float("nan"))
        return bool(heard)

    wait_for(step_and_listen)
    writer.close()
    assert [alert.step for alert in heard] == [100]


def test_an_alert_that_closing_brings_up_is_heard(tmp_path: Path) -> None:
    heard: list[Alert] = []
    writer = ClipWriter(tmp_path, model(2), on_alert=heard.append)
    writer._collect_every_step = False
    writer.step(float("nan"))
    writer.close()
    assert [alert.kind for alert in heard] == ["nonfinite"]


def test_the_time_recording_takes_is_measured(tmp_path: Path) -> None:
    with ClipWriter(tmp_path, model(4)) as writer:
        for _ in range(200):
            time.sleep(0.001)
            writer.step(1.0)
    overhead = tb_gradclip.read(tmp_path)["."].overhead
    assert overhead is not None
    assert 0 < overhead < 1


HANGS = """
import sys, time
import tb_gradclip.collector, tb_gradclip.recorder
from tests.test_torch_cost import ClipWriter, model
tb_gradclip.recorder.SECONDS_PER_RECORD = 0.2
writer = ClipWriter(sys.argv[1], model(2))
for step in range(20):
    writer.step(float(step))
print("hangs", flush=True)
time.sleep(60)
"""


def test_steps_before_one_that_hangs_survive_a_kill(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HANGS, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"hangs\n"
    wait_for(lambda: steps(tmp_path) == 20)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 20


@pytest.mark.parametrize("rule", ["global_norm", "value", "custom"])
def test_groups_that_take_turns_are_looked_up_once(tmp_path: Path, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[int] = []
    monkeypatch.setattr(
        "tb_gradclip.torch.gradients.places", lambda found, index: looked_up.append(1) or places(found, index)
    )
    named = model(20)
    parameters = [parameter for _, parameter in named]
    with ClipWriter(tmp_path, named, histogram_every=0) as writer:
        for _ in range(10):
            clip(writer, rule, parameters[:10])
            clip(writer, rule, parameters[10:])
            writer.step(1.0)
    assert len(looked_up) == (1 if rule == "custom" else 2)
