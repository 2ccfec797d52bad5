"""The demo runs show what they promise, on every machine."""

from __future__ import annotations

import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import tb_gradclip
from demo import classifier, convnet
from demo.experiments import EXPERIMENTS

ROOT = Path(__file__).parent.parent
RUNS = {
    "lstm": {"unclipped", "global_norm", "value"},
    "digits": {"unclipped", "clip_by_value", "clip_by_norm"},
    "regression": {"power_1", "power_2", "unclipped", "clipnorm_1", "clipvalue_3"},
    "depth": {
        *("exploding", "exploding_clipped", "vanishing", "vanishing_clipped"),
        *("slow_unclipped", "fast_clipped"),
    },
    "classifier": {"unclipped", "clipnorm", "clipvalue"},
    "convnet": {"unclipped", "value_1", "norm_2"},
}


def demo(logdir: Path, *options: str) -> str:
    """Output of `python -m demo`, which must succeed."""
    command = [sys.executable, "-m", "demo", "--no-serve", "--logdir", str(logdir), *options]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def trained(name: str) -> tuple[dict[str, tb_gradclip.Run], str]:
    """Runs of one experiment by their short names, and what the demo said about them."""
    with TemporaryDirectory() as directory:
        said = demo(Path(directory), "--only", name)
        runs = {full.removeprefix(f"{name}/"): run for full, run in tb_gradclip.read(directory).items()}
    return runs, said


def errors(run: tb_gradclip.Run) -> list[str]:
    return [alert.kind for alert in run.alerts if alert.severity == "error"]


def last_loss(run: tb_gradclip.Run) -> float:
    return float(run.steps["loss"][-50:].mean())


@pytest.mark.parametrize("name", RUNS)
def test_every_step_of_every_run_of_an_experiment_is_recorded(name: str) -> None:
    runs, said = trained(name)
    assert runs.keys() == RUNS[name]
    for short, run in runs.items():
        assert run.complete, short
        assert len(run.steps) >= 500
        assert len(run.histograms) > 0
        assert f"{name}/{short}" in said
    assert f"What to look at. {EXPERIMENTS[name].look}" in said


def test_without_clipping_the_lstm_diverges_and_does_not_come_back() -> None:
    runs, said = trained("lstm")
    assert set(errors(runs["unclipped"])) & {"divergence", "nonfinite"}
    assert "lstm/unclipped: step " in said
    assert "loss rose" in said
    best = np.nanmin(runs["unclipped"].steps["loss"])
    assert not last_loss(runs["unclipped"]) < best * 1.5


@pytest.mark.parametrize("short", ["global_norm", "value"])
def test_with_clipping_the_same_lstm_learns(short: str) -> None:
    runs, _ = trained("lstm")
    assert errors(runs[short]) == []
    assert last_loss(runs[short]) < 2.3
    assert not last_loss(runs["unclipped"]) < 1.3 * last_loss(runs[short])


def test_the_digits_are_learned_with_every_kind_of_clipping() -> None:
    runs, _ = trained("digits")
    for run in runs.values():
        assert errors(run) == []
        assert last_loss(run) < 0.2
    assert not runs["unclipped"].steps["clipped"].any()
    assert 0.1 < runs["clip_by_norm"].steps["clipped"].mean() < 0.99
    assert 0.1 < runs["clip_by_value"].steps["clipped"].mean() < 0.99


def test_without_clipping_the_regression_ends_in_nan_and_an_alert() -> None:
    runs, said = trained("regression")
    assert np.isnan(runs["unclipped"].steps["loss"][-1])
    assert "nonfinite" in errors(runs["unclipped"])
    assert "loss not a number" in said
    assert np.isfinite(runs["power_1"].steps["loss"]).all()
    assert last_loss(runs["power_1"]) < 100


@pytest.mark.parametrize("short", ["clipnorm_1", "clipvalue_3"])
def test_with_clipping_the_regression_stays_finite_and_improves(short: str) -> None:
    runs, _ = trained("regression")
    losses = runs[short].steps["loss"]
    assert errors(runs[short]) == []
    assert np.isfinite(losses).all()
    assert losses[-50:].mean() < 0.9 * losses[:50].mean()


def test_exploding_gradients_are_tamed_by_clipping_and_vanishing_ones_are_not() -> None:
    runs, _ = trained("depth")
    assert errors(runs["exploding"])
    assert not np.isfinite(last_loss(runs["exploding"]))
    assert last_loss(runs["exploding_clipped"]) < 0.7
    for short in ("vanishing", "vanishing_clipped"):
        assert last_loss(runs[short]) > 2.2
        assert "vanishing" in {alert.kind for alert in runs[short].alerts}


def test_a_learning_rate_that_only_clipping_allows_gets_there_sooner() -> None:
    runs, _ = trained("depth")
    early = {short: runs[short].steps["loss"][80:200].mean() for short in ("fast_clipped", "slow_unclipped")}
    assert early["fast_clipped"] < early["slow_unclipped"]


@pytest.mark.parametrize(("name", "clipped"), [("classifier", "clipnorm"), ("convnet", "norm_2")])
def test_digits_are_learned_by_dense_layers_and_by_convolutions(name: str, clipped: str) -> None:
    runs, _ = trained(name)
    for run in runs.values():
        assert errors(run) == []
        assert last_loss(run) < 0.2
    assert not runs["unclipped"].steps["clipped"].any()
    assert 0.01 < runs[clipped].steps["clipped"].mean() < 0.99


def test_the_convolutional_network_takes_cifar_10_from_a_directory(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for batch in (1, 2):
        found = {b"data": random.integers(0, 256, (40, 3072), np.uint8), b"labels": random.integers(0, 10, 40).tolist()}
        (tmp_path / f"data_batch_{batch}").write_bytes(pickle.dumps(found))
    images, labels = convnet.load(str(tmp_path))
    assert (images.shape, labels.shape) == ((80, 3, 32, 32), (80,))
    assert images[0, 1, 0, 2] == pytest.approx(
        pickle.loads((tmp_path / "data_batch_1").read_bytes())[b"data"][0, 1026] / 255
    )
    convnet.train(tmp_path, "norm_2", str(tmp_path), steps=3)
    (run,) = tb_gradclip.read(tmp_path).values()
    assert run.rule.threshold == 2.0
    assert len(run.steps) == 3


def test_data_that_a_library_downloads_are_taken_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    mnist = (random.integers(0, 256, (5, 28, 28), np.uint8), random.integers(0, 10, 5))
    monkeypatch.setattr("keras.datasets.mnist.load_data", lambda: (mnist, mnist))
    images, digits = classifier.images_and_digits("mnist")
    assert digits is mnist[1]
    np.testing.assert_array_equal(images * 255, mnist[0])
    cifar = SimpleNamespace(data=random.integers(0, 256, (5, 32, 32, 3), np.uint8), targets=[3, 1, 4, 1, 5])
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    torchvision = ModuleType("torchvision.datasets")
    torchvision.CIFAR10 = lambda directory, download: cifar  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision.datasets", torchvision)
    pixels, labels = convnet.load("cifar10")
    assert labels.tolist() == cifar.targets
    np.testing.assert_allclose(pixels[2, 1] * 255, cifar.data[2, :, :, 1], rtol=1e-6)


@pytest.mark.parametrize("data", ["nowhere", "cifar10"])
def test_data_that_are_not_there_are_asked_for_by_name(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)  # type: ignore[arg-type]  # else it downloads them
    with pytest.raises(SystemExit, match="CIFAR-10"):
        convnet.load(data)
    with pytest.raises(SystemExit, match="must be `digits` or `mnist`"):
        classifier.images_and_digits(data)


def test_data_go_with_the_experiment_that_takes_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo", "--logdir", str(tmp_path), "--only", "lstm", "--data", "mnist"]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--data goes with --only and one of classifier, convnet, got --only lstm" in done.stderr


def test_an_experiment_that_was_trained_before_is_not_trained_again(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "trained").touch()
    assert "trained before" in demo(tmp_path, "--only", "digits")
