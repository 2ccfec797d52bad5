"""Logs of others become runs: every number is where it was, and it is said what it is."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

import tb_gradclip
from tb_gradclip import Run
from tb_gradclip.cli import main
from tests.imports import logs
from tests.imports.logs import START, Training, training
from tests.scalars import write_scalars


@pytest.fixture(scope="module")
def run() -> Training:
    return training()


def imported(source: Path, *options: str) -> Run:
    """The one run that the command makes of a log."""
    logdir = source.parent / "imported"
    assert main(["import", str(source), "--logdir", str(logdir), *options]) == 0
    (found,) = tb_gradclip.read(logdir).values()
    return found


def lasts(run: Training, every: int) -> np.ndarray:
    return run.norms[every - 1 :: every]


def means(values: np.ndarray, every: int) -> np.ndarray:
    return values.reshape(-1, every).mean(axis=1)


def check_clipping(found: Run, threshold: float) -> None:
    """What clipping did is what it does to these norms."""
    norms = found.steps["norm_before"]
    assert (found.rule.kind, found.rule.threshold) == ("global_norm", threshold)
    np.testing.assert_array_equal(found.steps["clipped"], norms > threshold)
    factors = np.minimum(1, threshold / (norms + found.rule.epsilon))
    np.testing.assert_allclose(found.steps["norm_after"], norms * factors, rtol=1e-12)
    rate, throttle = found.what_if([0.7, threshold])[1:]
    np.testing.assert_allclose(rate, [(norms > limit).mean() for limit in (0.7, threshold)])
    assert throttle[1] == pytest.approx(1 - found.steps["norm_after"].sum() / norms.sum())


def test_the_state_of_a_hugging_face_trainer(tmp_path: Path, run: Training) -> None:
    source = logs.trainer_state(tmp_path / "my-model" / "trainer_state.json", run)
    found = imported(source, "--max-norm", "1.5")
    assert found.name == "my-model"
    assert found.steps["step"].tolist() == list(range(10, 2001, 10))
    np.testing.assert_array_equal(found.steps["norm_before"], lasts(run, 10))
    np.testing.assert_allclose(found.steps["loss"], means(run.losses, 10), atol=5e-5)
    check_clipping(found, 1.5)
    assert found.imported is not None
    assert found.imported.text == (
        "imported from trainer_state.json (Hugging Face Trainer): norms of the last step of each logging window, "
        "before clipping; losses are means over each logging window; no times in the log: a step counts as a second"
    )
    assert np.diff(found.steps["wall_time"]).tolist() == [10.0] * 199
    assert found.steps["wall_time"][-1] == pytest.approx(source.stat().st_mtime)


def test_the_arguments_of_a_trainer_are_looked_through_and_not_run(
    tmp_path: Path, run: Training, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.trainer_state(tmp_path / "out" / "checkpoint-500" / "trainer_state.json", training(500))
    logs.trainer_state(tmp_path / "out" / "checkpoint-2000" / "trainer_state.json", run)
    logs.training_args(tmp_path / "out" / "checkpoint-2000" / "training_args.bin", 0.75)
    found = imported(tmp_path / "out")
    assert (found.name, len(found.steps)) == ("out", 200)  # the newest checkpoint has the whole history
    check_clipping(found, 0.75)
    assert "a pickle was run" not in capsys.readouterr().out


def test_real_arguments_that_torch_saved(tmp_path: Path, run: Training) -> None:
    from argparse import Namespace

    import torch

    source = logs.trainer_state(tmp_path / "out" / "trainer_state.json", run)
    torch.save(Namespace(seed=1, max_grad_norm=0.3, output_dir="out"), tmp_path / "out" / "training_args.bin")
    check_clipping(imported(source), 0.3)


@pytest.mark.parametrize("style", ["simple", "json", "hydra"])
def test_text_logs_of_fairseq(tmp_path: Path, run: Training, style: str) -> None:
    found = imported(logs.fairseq(tmp_path / "train.log", run, style=style))
    assert found.steps["step"].tolist() == list(range(100, 2001, 100))
    np.testing.assert_allclose(found.steps["norm_before"], means(run.norms, 100), atol=6e-4)
    np.testing.assert_allclose(found.steps["loss"], means(run.losses, 100), atol=6e-4)
    assert found.steps["wall_time"].tolist() == [START + step // 2 for step in found.steps["step"]]
    check_clipping(found, 2.0)
    assert found.imported is not None
    assert found.imported.text == (
        "imported from train.log (fairseq): norms are means over each logging window, before clipping; "
        "losses are means over each logging window"
    )


def test_logs_of_fairseq_before_it_told_the_number_of_updates(tmp_path: Path) -> None:
    lines = [f"| epoch 002  {i:5d} / 500 loss=2.5 (2.6), wps=962, lr=0.001, clip=0%, gnorm=1.{i}" for i in (100, 200)]
    (tmp_path / "old.log").write_text("Namespace(clip_norm=25, lr=[0.1])\n" + "\n".join(lines))
    found = imported(tmp_path / "old.log")
    assert found.steps["step"].tolist() == [600, 700]
    assert found.steps["norm_before"].tolist() == [1.1, 1.2]
    assert found.rule.threshold == 25
    assert found.imported is not None
    assert found.imported.norm == "running"


@pytest.mark.parametrize("dated", [True, False])
def test_text_logs_of_megatron(tmp_path: Path, run: Training, dated: bool) -> None:
    found = imported(logs.megatron(tmp_path / "pretrain.txt", run, dated=dated))
    assert found.steps["step"].tolist() == list(range(10, 2001, 10))
    np.testing.assert_allclose(found.steps["norm_before"], lasts(run, 10), atol=6e-4)
    np.testing.assert_allclose(found.steps["loss"], means(run.losses, 10), rtol=1e-6)
    assert found.steps["wall_time"][-1] - found.steps["wall_time"][0] == pytest.approx(1990 / 2, abs=1)
    assert (found.framework, found.rule.epsilon) == ("torch", 1e-6)
    check_clipping(found, 1.0)
    assert found.imported is not None
    assert "norms of the last step of each logging window, before clipping" in found.imported.text


def test_iterations_that_megatron_skipped_are_no_updates(tmp_path: Path) -> None:
    run = training(200)
    found = imported(logs.megatron(tmp_path / "a.log", run, every=1, skipped=[1, 2, 50]))
    assert found.steps["step"][found.steps["skipped"]].tolist() == [1, 2, 50]
    assert np.isnan(found.steps["norm_before"][[0, 1, 49]]).all()
    assert not found.steps["clipped"][[0, 1, 49]].any()
    assert {alert.severity for alert in found.alerts if alert.kind == "nonfinite"} == {"warning"}
    assert found.imported is not None
    assert "norms of single steps, before clipping" in found.imported.text


def test_no_clipping_is_none(tmp_path: Path) -> None:
    found = imported(logs.megatron(tmp_path / "a.log", training(200), clip_grad=0.0))
    assert found.rule.kind == "none"
    assert not found.steps["clipped"].any()
    np.testing.assert_array_equal(found.steps["norm_after"], found.steps["norm_before"])


def table(path: Path, columns: dict[str, list[object]], delimiter: str = ",") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_csv_with_names_that_are_guessed(tmp_path: Path, delimiter: str) -> None:
    columns: dict[str, list[object]] = {
        "epoch": [0, 0, 0, 1],
        "global_step": [5, 10, 20, 40],
        "val_loss": [9, 9, 9, 9],
        "train/loss": [2.5, "", "nan", 2.0],
        "train/grad_norm": [0.5, 3.0, "inf", 1.0],
        "max_norm": ["", 1.0, "", 2.0],
        "timestamp": ["2026-01-01T00:00:00", "2026-01-01T00:00:05", "2026-01-01T00:00:15", "2026-01-01T00:00:35"],
    }
    found = imported(table(tmp_path / "log.csv", columns, delimiter))
    steps = found.steps
    assert steps["step"].tolist() == [5, 10, 20, 40]
    assert steps["norm_before"].tolist() == [0.5, 3.0, np.inf, 1.0]
    np.testing.assert_array_equal(steps["loss"], [2.5, np.nan, np.nan, 2.0])
    assert steps["threshold"].tolist() == [1.0, 1.0, 1.0, 2.0]  # each holds until the next, the first before it too
    assert steps["clipped"].tolist() == [False, True, False, False]
    assert (steps["wall_time"] - START).tolist() == [0, 5, 15, 35]
    # A loss that was not logged is no NaN; one that was is.
    assert [alert.step for alert in found.alerts if alert.kind == "nonfinite"] == [20]
    assert found.imported is not None
    assert "norms as they were logged, taken for those before clipping" in found.imported.text


def test_columns_by_name_without_steps(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {"a": [4, 3, 2], "b": [1.5, 1.25, 1.0], "seconds": [0, 2, 4]}
    source = table(tmp_path / "log.csv", columns)
    os.utime(source, (START, START))
    found = imported(source, "--loss", "a", "--norm", "b", "--time", "seconds", "--max-norm", "1.2")
    assert found.steps["step"].tolist() == [0, 1, 2]
    assert found.steps["loss"].tolist() == [4, 3, 2]
    assert found.steps["wall_time"].tolist() == [START - 4, START - 2, START]  # relative times end when it was written
    check_clipping(found, 1.2)


def test_json_lines_and_lists_whose_values_stand_apart(tmp_path: Path) -> None:
    lines = [
        {"_step": 0, "loss": 3.0, "_timestamp": START * 1000},
        {"_step": 0, "grad_norm": "NaN"},
        {"_step": 3, "grad_norm": 2.0, "loss": 2.0, "note": None, "_timestamp": START * 1000 + 500},
        {"_step": 7, "eval_loss": 2.2},
        {"_step": 9, "loss": 1.0, "grad_norm": 0.5},
        {"_step": 3, "grad_norm": 4.0},
    ]
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "lines.json").write_text(json.dumps(lines, indent=1))
    one, other = imported(tmp_path / "lines.jsonl"), imported(tmp_path / "list" / "lines.json")
    assert one.steps.tobytes() == other.steps.tobytes()
    assert one.steps["step"].tolist() == [0, 3, 9]
    np.testing.assert_array_equal(one.steps["norm_before"], [np.nan, 4.0, 0.5])  # what was written last of a step holds
    assert one.steps["loss"].tolist() == [3.0, 2.0, 1.0]
    assert one.steps["wall_time"][:2].tolist() == [START, START + 0.5]


@pytest.mark.parametrize("tensors", [False, True], ids=["plain values", "tensors"])
def test_scalars_of_a_directory_of_runs(tmp_path: Path, run: Training, tensors: bool) -> None:
    source = tmp_path / "runs"
    for name, scale in (("a", 1.0), ("deep/b", 2.0)):
        norms = [(step, scale * value) for step, value in enumerate(run.norms[:300])]
        losses = list(enumerate(run.losses[:300]))[::10]
        write_scalars(source / name, {"train/loss": losses, "grad_norm/total": norms, "lr": norms}, tensors=tensors)
    write_scalars(source / "without", {"loss": [(0, 1.0)]})
    assert main(["import", str(source), "--logdir", str(tmp_path / "ours"), "--max-norm", "1"]) == 0
    found = tb_gradclip.read(tmp_path / "ours")
    assert list(found) == ["a", "deep/b"]
    for name, scale in (("a", 1.0), ("deep/b", 2.0)):
        steps = found[name].steps
        np.testing.assert_array_equal(steps["norm_before"], (scale * run.norms[:300]).astype(np.float32))
        np.testing.assert_array_equal(steps["loss"][::10], run.losses[:300:10].astype(np.float32))
        assert np.isnan(np.delete(steps["loss"], np.arange(0, 300, 10))).all()
        assert (steps["wall_time"] - START).tolist() == [step / 2 for step in range(300)]
        assert not [alert for alert in found[name].alerts if alert.kind == "nonfinite"]


def test_steps_that_a_training_took_back_are_those_it_made_again(tmp_path: Path) -> None:
    norms = [(step, 1.0) for step in range(10)] + [(step, 2.0) for step in range(6, 8)]
    write_scalars(tmp_path / "run", {"grad_norm": norms})
    found = imported(tmp_path / "run")
    assert found.steps["norm_before"].tolist() == [1.0] * 6 + [2.0] * 2
