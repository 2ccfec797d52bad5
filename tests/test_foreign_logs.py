"""Logs that frameworks wrote without us, in TensorBoard with either of its loaders."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.plugin.wire import decode_series
from tests.scalars import BACK, DIVERGES, diverging_loss
from tests.tensorboard import fetch, tensorboard


def write_as_frameworks_do(logdir: Path) -> None:
    """The same loss as written by PyTorch, TensorFlow 2 and TensorFlow 1, none of which knows of us."""
    import tensorflow as tf
    from torch.utils.tensorboard import SummaryWriter

    losses = diverging_loss()
    torch_writer = SummaryWriter(str(logdir / "torch"))
    for step, loss in enumerate(losses):
        torch_writer.add_scalar("Loss/train", loss, step)
    torch_writer.close()
    with tf.summary.create_file_writer(str(logdir / "tf")).as_default():
        for step, loss in enumerate(losses):
            tf.summary.scalar("loss", loss, step)
    with tf.Graph().as_default(), tf.compat.v1.summary.FileWriter(str(logdir / "tf1")) as writer:
        for step, loss in enumerate(losses):
            value = tf.compat.v1.Summary.Value(tag="train_loss", simple_value=loss)
            writer.add_summary(tf.compat.v1.Summary(value=[value]), step)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logdir = tmp_path_factory.mktemp("foreign") / "logs"
    write_as_frameworks_do(logdir)
    return logdir


@pytest.fixture(scope="module")
def address(loader: str, foreign: Path) -> Iterator[str]:
    with tensorboard(foreign, loader) as address:
        wait_for_last_step(address, runs=3)
        yield address


def wait_for_last_step(address: str, runs: int, step: int = 1999) -> None:
    """Wait until so many runs reach this step: TensorBoard answers before it has read everything."""
    deadline, found = time.monotonic() + 60, []
    while time.monotonic() < deadline:
        found = [run["last_step"] for run in json.loads(fetch(address, "runs"))["runs"]]
        if found == [step] * runs:
            return
        time.sleep(0.3)
    raise AssertionError(f"{runs} runs never had step {step}: {found}")


def test_a_log_that_knows_nothing_of_us_shows_its_loss_and_where_it_diverged(address: str) -> None:
    found = {run["name"]: run for run in json.loads(fetch(address, "runs"))["runs"]}
    assert {name: run["loss"]["tag"] for name, run in found.items()} == {
        "tf": "loss",
        "tf1": "train_loss",
        "torch": "Loss/train",
    }
    losses = diverging_loss().astype(np.float32)
    for name, run in found.items():
        (alert,) = run["alerts"]
        assert (alert["kind"], alert["computed"], alert["recovered"]) == ("divergence", True, True)
        assert DIVERGES <= alert["start"] < DIVERGES + 20  # every other step was left out by TensorBoard
        assert BACK <= alert["end"] < BACK + 20
        assert "points" in alert["message"]
        (drawn,) = decode_series(fetch(address, f"series?run={name}&column=loss&points=10000"))
        assert run["loss"]["points"] == drawn["rows"] == drawn["total"] == 1000
        assert drawn["step"][-1] == 1999
        np.testing.assert_array_equal(drawn["value"], losses[drawn["step"].astype(int)])


def test_the_tab_is_active_in_such_a_log(address: str) -> None:
    with urllib.request.urlopen(f"{address}data/plugins_listing") as response:
        assert json.load(response)["gradclip"]["enabled"]


def test_a_tag_of_one_run_alone(address: str) -> None:
    query = urllib.parse.urlencode({"loss": "Loss/train"})
    tags = {run["name"]: run["loss"]["tag"] for run in json.loads(fetch(address, f"runs?{query}"))["runs"]}
    assert tags == {"tf": "loss", "tf1": "train_loss", "torch": "Loss/train"}
