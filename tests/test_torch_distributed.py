"""Models that several processes train: recorded once, with norms of whole gradients, and nobody waits for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tb_gradclip
from tb_gradclip.torch import ClipWriter, watch
from tests import distributed_programs as programs
from tests.contract import Array, Expected
from tests.distributed_programs import BATCHES, WRAPS, Plan
from tests.processes import PROCESSES, together

PLANS = [
    *(Plan(wrap, by=by) for wrap in WRAPS if wrap != "two meshes" for by in ("writer", "watch")),
    *(Plan(wrap, rule, "writer") for wrap in ("DDP", "FSDP2") for rule in ("value", "custom", "none")),
    Plan("FSDP2, bf16 parameters", "value", "writer"),
    Plan("HSDP, replicated", "value", "writer"),
    Plan("HSDP, replicated", order=float("inf"), by="writer"),
    Plan("FSDP2", order=1.0, by="writer"),
    Plan("FSDP2", "value", "watch"),
    Plan("FSDP2", "none", "watch"),
    Plan("DDP", micro_batches=2, by="writer"),
    Plan("DDP", micro_batches=2, by="watch"),
    Plan("tensor parallel", "custom", "writer"),
    Plan("two meshes", "custom", "writer"),
]


def rates(plan: Plan) -> float:
    """How close a recorded number is to that of a whole batch: bf16 has three digits."""
    return 0.05 if "bf16" in plan.wrap else 1e-5


def alone(plan: Plan) -> list[tuple[list[Array], list[Array]]]:
    """Gradients before and after clipping of one process that trains on whole batches."""
    model = programs.network(plan.hidden)
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.05)
    steps = []
    for batch in programs.batches():
        optimizer.zero_grad()
        programs.loss_of(model, batch).backward()
        before = [parameter.grad.numpy().copy() for parameter in parameters]
        programs.clip(plan, programs.Library(), model)
        steps.append((before, [parameter.grad.numpy().copy() for parameter in parameters]))
        optimizer.step()
    return steps


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_processes_train_as_without_us_and_record_what_one_process_would(tmp_path: Path, plan: Plan) -> None:
    assert together(programs.compare, plan, tmp_path) == [True] * PROCESSES
    runs = tb_gradclip.read(tmp_path)
    assert list(runs) == ["."]
    run, steps = runs["."], alone(plan)
    assert len(list(tmp_path.glob("events*"))) == 1
    assert run.complete
    assert (run.replicas, run.gradients) == (PROCESSES, "whole")
    model = programs.network(plan.hidden)
    assert [p.name for p in run.parameters] == [name for name, _ in model.named_parameters()]
    assert [p.shape for p in run.parameters] == [tuple(p.shape) for p in model.parameters()]
    close = {"rtol": rates(plan), "atol": 0.0}
    order = plan.order if plan.rule == "global_norm" else 2.0
    before = [Expected.of("none", 0.0, step, order).norm_before for step, _ in steps]
    after = [Expected.of("none", 0.0, step, order).norm_before for _, step in steps]
    np.testing.assert_allclose(run.steps["norm_before"], before, **close)
    np.testing.assert_allclose(run.steps["norm_after"], after, **close)
    if plan.rule in ("global_norm", "value"):
        assert run.rule.kind == plan.rule
        assert run.steps["clipped"].sum() > 0
    means = np.mean([[np.linalg.norm(g.ravel(), order) for g in step] for step, _ in steps], axis=0)
    weights = np.array([window.steps for window in run.windows])
    found = np.array([window.rows["norm_before_mean"] for window in run.windows])
    np.testing.assert_allclose(weights @ found / BATCHES, means, **{**close, "rtol": 2 * rates(plan)})
    assert run.histograms.steps.tolist() == [0, 2, 4]
    for histogram in run.histograms:
        assert histogram.counts.sum(axis=1).tolist() == [p.numel() for p in model.parameters()]


@pytest.mark.parametrize("rule", ["global_norm", "value", "none"])
@pytest.mark.parametrize("by", ["writer", "watch"])
@pytest.mark.parametrize("wrap", ["DDP", "FSDP2"])
def test_a_first_process_that_stops_recording_leaves_nobody_waiting(
    tmp_path: Path, wrap: str, by: str, rule: str
) -> None:
    assert together(programs.compare, Plan(wrap, rule, by, closed=2), tmp_path) == [True] * PROCESSES
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 2


def test_a_disk_of_the_first_process_that_is_full_leaves_nobody_waiting(tmp_path: Path) -> None:
    assert together(programs.compare, Plan("FSDP2", "value", "writer", full=2), tmp_path) == [True] * PROCESSES
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 2


@pytest.mark.parametrize("rule", ["global_norm", "value"])
@pytest.mark.parametrize("wrap", ["DDP", "FSDP2"])
def test_a_batch_of_another_process_that_is_not_a_number_shows(tmp_path: Path, wrap: str, rule: str) -> None:
    assert together(programs.compare, Plan(wrap, rule, "writer", poisoned=3), tmp_path) == [True] * PROCESSES
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["nonfinite"].astype(bool).tolist() == [False] * 3 + [True] * 3
    assert np.isfinite(run.steps["loss"][3])  # which is the first process's own
    assert [(alert.kind, alert.step) for alert in run.alerts if alert.kind == "nonfinite"] == [("nonfinite", 3)]


def test_alerts_reach_the_first_process(tmp_path: Path) -> None:
    first, second = together(programs.heard, tmp_path)
    assert "nonfinite" in first
    assert second == []


@pytest.mark.parametrize("guise", ["DDP", "inside DDP", "pairs", "compiled DDP", "DDP of compiled"])
def test_the_first_process_alone_writes_with_the_names_of_the_model_itself(tmp_path: Path, guise: str) -> None:
    assert together(programs.names, guise, tmp_path) == [(1, 1), (0, 0)]
    run = tb_gradclip.read(tmp_path)["0"]
    assert [p.name for p in run.parameters] == [name for name, _ in programs.network().named_parameters()]
    assert run.replicas == PROCESSES


def test_a_model_that_nobody_shares_is_recorded_by_every_process(tmp_path: Path) -> None:
    assert together(programs.names, "alone", tmp_path) == [(1, 1), (1, 1)]
    assert [run.replicas for run in tb_gradclip.read(tmp_path).values()] == [1, 1]


def test_a_writer_that_was_made_before_the_model_was_shared_says_so(tmp_path: Path) -> None:
    for said in together(programs.wrapped_too_late, tmp_path):
        assert len(said) == 1
        assert said[0].endswith(
            "came after the writer, so that every process records the same model. Make the writer after it."
        )


def test_a_process_that_does_not_write_is_left_as_it_is(tmp_path: Path) -> None:
    assert together(programs.watch_inside_ddp, tmp_path) == [(True, True), (False, False)]


@pytest.mark.parametrize("use_orig_params", [False, True])
def test_fsdp_of_the_first_generation_is_refused_with_what_to_use(tmp_path: Path, use_orig_params: bool) -> None:
    for said in together(programs.refused, use_orig_params, tmp_path):
        assert len(said) == 2
        for message in said:
            assert message.startswith("`model` must have the gradients of its own parameters, got '_f")
            assert "Use torch.distributed.fsdp.fully_shard" in message
    assert not list(tmp_path.iterdir())


def engine() -> Any:
    """A stand-in for DeepSpeed's engine, by its class: the real one compiles C++ when it starts."""
    kind = type("DeepSpeedEngine", (torch.nn.Linear,), {"__module__": "deepspeed.runtime.engine"})
    return kind(2, 1)


def partitioned() -> Any:
    model = torch.nn.Linear(2, 1)
    model.weight.ds_id = 0  # type: ignore[assignment]
    return model


@pytest.mark.parametrize("make", [engine, partitioned])
def test_deepspeed_is_refused_with_what_to_use(tmp_path: Path, make: Any) -> None:
    model = make()
    with pytest.raises(TypeError, match=r"must keep its gradients in `.grad`, got .* DeepSpeed .*fully_shard"):
        ClipWriter(tmp_path, model)
    with pytest.raises(TypeError, match="DeepSpeed"):
        watch(model, model, tmp_path)  # its optimizer is none of torch's either, but that is not the matter


RAISES = """
import sys, torch
import torch.distributed as dist
from tb_gradclip.torch import ClipWriter
dist.init_process_group("gloo")
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(3, 1))
writer = ClipWriter(sys.argv[1], model, on_alert="raise")
while True:
    loss = model(torch.full((2, 3), float("nan"))).sum()
    loss.backward()
    writer.clip_grad_norm_(model.parameters(), 1.0)
    writer.step(loss)
"""


def test_an_alert_that_raises_in_the_first_process_ends_them_all_under_torchrun(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(RAISES)
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
    done = subprocess.run(
        [*run, str(tmp_path / "train.py"), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    assert "DivergenceError" in done.stderr
    assert len(tb_gradclip.read(tmp_path / "run")["."].steps) == 1
