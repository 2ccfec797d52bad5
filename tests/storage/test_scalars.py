"""Ordinary scalars out of TensorBoard's own data provider: what is listed and read, when, and what stays."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.context import RequestContext
from tensorboard.plugins.scalar.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

from tb_gradclip.storage import provider as records
from tb_gradclip.storage.scalars import LEAST_KEPT, ProviderScalars
from tests.scalars import ScalarFile, diverging_loss, healthy_loss, points, write_scalars


class Watched(MultiplexerDataProvider):  # type: ignore[misc]  # TensorBoard ships no types
    """TensorBoard's provider, which notes what it is asked for, and may be slow or fail."""

    def __init__(self, logdir: Path, kept: int = 0) -> None:
        self.multiplexer = EventMultiplexer(tensor_size_guidance={"scalars": kept})
        super().__init__(self.multiplexer, str(logdir))
        self.logdir, self.lists, self.seconds = logdir, 0, 0.0
        self.read: list[tuple[str, str]] = []
        self.fails = False
        self.reload()

    def reload(self) -> None:
        self.multiplexer.AddRunsFromDirectory(str(self.logdir))
        self.multiplexer.Reload()

    def read_last_scalars(self, *args: Any, **options: Any) -> Any:
        self.lists += 1
        time.sleep(self.seconds)
        if self.fails:
            raise OSError("no such place")
        return super().read_last_scalars(*args, **options)

    def read_scalars(self, *args: Any, **options: Any) -> Any:
        wanted = options["run_tag_filter"]
        self.read += sorted((run, tag) for run in wanted.runs for tag in wanted.tags)
        if self.fails:
            raise OSError("no such place")
        return super().read_scalars(*args, **options)


@pytest.fixture(autouse=True)
def _always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(records, "REST", 0)


def tags(source: ProviderScalars) -> dict[str, set[str]]:
    return {run: set(own) for run, own in source.tags(RequestContext(), "").items()}


def curves(source: ProviderScalars, *wanted: tuple[str, str]) -> Any:
    listed = source.tags(RequestContext(), "")
    states = {(run, tag): listed[run][tag] for run, tag in wanted if tag in listed.get(run, ())}
    return source.curves(RequestContext(), "", states)


@pytest.mark.parametrize("tensors", [False, True], ids=["plain values", "tensors"])
def test_points_are_those_written_whoever_wrote_them(tmp_path: Path, tensors: bool) -> None:
    losses = healthy_loss(300)
    write_scalars(tmp_path / "run", {"loss": points(losses, first=5), "accuracy": points([0.5])}, tensors=tensors)
    source = ProviderScalars(Watched(tmp_path))
    assert tags(source) == {"run": {"loss", "accuracy"}}
    (curve,) = curves(source, ("run", "loss")).values()
    assert curve.points["step"].tolist() == list(range(5, 305))
    np.testing.assert_array_equal(curve.points["loss"], losses.astype(np.float32))


def test_only_what_is_wanted_is_read_and_only_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_scalars(tmp_path / name, {"loss": points(healthy_loss(50)), "lr": points([0.1])})
    provider = Watched(tmp_path)
    source = ProviderScalars(provider)
    first = curves(source, ("a", "loss"), ("b", "loss"), ("b", "nothing"), ("nobody", "loss"))
    assert list(first) == [("a", "loss"), ("b", "loss")]
    assert provider.read == [("a", "loss"), ("b", "loss")]
    again = curves(source, ("a", "loss"), ("b", "loss"))
    assert provider.read == [("a", "loss"), ("b", "loss")]
    assert all(again[key] is first[key] for key in first)


def test_a_curve_that_grows_is_continued_and_others_are_not_read_again(tmp_path: Path) -> None:
    losses = diverging_loss()
    write_scalars(tmp_path / "done", {"loss": points(losses)})
    file = ScalarFile(tmp_path / "live")
    file.add({"loss": points(losses[:1000])})
    provider = Watched(tmp_path)
    source = ProviderScalars(provider)
    before = curves(source, ("live", "loss"), ("done", "loss"))
    lines = before["live", "loss"].lines(np.nan)
    assert before["live", "loss"].alerts == []
    provider.read.clear()
    file.add({"loss": points(losses[1000:], first=1000)})
    file.close()
    provider.reload()
    after = curves(source, ("live", "loss"), ("done", "loss"))
    assert provider.read == [("live", "loss")]
    assert after["live", "loss"].lines(np.nan) is lines
    np.testing.assert_array_equal(after["live", "loss"].points, after["done", "loss"].points)
    assert after["live", "loss"].alerts == after["done", "loss"].alerts != []


def test_a_curve_whose_points_are_sampled_anew_is_computed_anew(tmp_path: Path) -> None:
    losses = diverging_loss()
    file = ScalarFile(tmp_path / "run")
    file.add({"loss": points(losses[:1000])})
    provider = Watched(tmp_path, kept=200)
    source = ProviderScalars(provider)
    (before,) = curves(source, ("run", "loss")).values()
    held = before.points.copy()
    file.add({"loss": points(losses[1000:], first=1000)})
    file.close()
    provider.reload()
    (after,) = curves(source, ("run", "loss")).values()
    assert len(before.points) == len(after.points) == 200
    assert after is not before
    np.testing.assert_array_equal(before.points, held)
    assert [alert.kind for alert in after.alerts] == ["divergence"]
    assert set(after.points["step"]) <= set(range(2000))


def test_steps_that_a_resumed_training_wrote_again_are_there_once(tmp_path: Path) -> None:
    file = ScalarFile(tmp_path / "run")
    file.add({"loss": points(np.full(100, 1.0))})
    file.add({"loss": points(np.full(80, 2.0), first=60)})
    file.close()
    (curve,) = curves(ProviderScalars(Watched(tmp_path)), ("run", "loss")).values()
    assert curve.points["step"].tolist() == list(range(140))
    assert curve.points["loss"].tolist() == [1.0] * 60 + [2.0] * 80


def write_pairs(logdir: Path) -> None:
    """A run whose loss is not one number but two, which TensorBoard takes for a scalar all the same."""
    file = EventFileWriter(str(logdir))
    metadata = create_summary_metadata(display_name="", description="")
    value = Summary.Value(tag="loss", tensor=make_tensor_proto(np.float32([1, 2])), metadata=metadata)
    file.add_event(Event(wall_time=1.0, step=1, summary=Summary(value=[value])))
    file.close()


def test_a_scalar_that_is_none_spoils_no_other(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    write_scalars(tmp_path / "run", {"loss": points(healthy_loss(50))})
    source = ProviderScalars(Watched(tmp_path))
    assert tags(source) == {"pairs": {"loss"}, "run": {"loss"}}
    assert list(curves(source, ("pairs", "loss"), ("run", "loss"))) == [("run", "loss")]


def test_a_provider_that_fails_leaves_what_was_known_and_is_asked_again(tmp_path: Path) -> None:
    file = ScalarFile(tmp_path / "run")
    file.add({"loss": points(healthy_loss(50))})
    provider = Watched(tmp_path)
    provider.fails = True
    source = ProviderScalars(provider)
    assert tags(source) == {}
    assert curves(source, ("run", "loss")) == {}
    provider.fails = False
    (curve,) = curves(source, ("run", "loss")).values()
    file.add({"loss": points([1.0], first=50)})
    file.close()
    provider.reload()
    tags(source)
    provider.fails = True
    assert curves(source, ("run", "loss")) == {("run", "loss"): curve}
    provider.fails = False
    (curve,) = curves(source, ("run", "loss")).values()
    assert len(curve.points) == 51


def test_a_slow_listing_rests_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "REST", 1e6)
    write_scalars(tmp_path / "run", {"loss": points([1.0])})
    provider = Watched(tmp_path)
    source = ProviderScalars(provider)
    for _ in range(5):
        tags(source)
        curves(source, ("run", "loss"))
    assert provider.lists == 1


def test_who_comes_while_another_lists_is_answered_from_what_was_known(tmp_path: Path) -> None:
    write_scalars(tmp_path / "run", {"loss": points([1.0])})
    provider = Watched(tmp_path)
    source = ProviderScalars(provider)
    provider.seconds = 0.2
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(tags(source))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"run": {"loss"}}] * 3
    provider.seconds, lists = 30.0, provider.lists
    slow = threading.Thread(target=lambda: tags(source), daemon=True)
    slow.start()
    while provider.lists == lists:
        time.sleep(0.01)
    assert tags(source) == {"run": {"loss"}}
    assert slow.is_alive()


def test_curves_nobody_asks_for_any_more_are_let_go(tmp_path: Path) -> None:
    names = [f"loss{i}" for i in range(LEAST_KEPT + 10)]
    write_scalars(tmp_path / "run", {name: points([1.0]) for name in names})
    provider = Watched(tmp_path)
    source = ProviderScalars(provider)
    for name in names:
        curves(source, ("run", name))
    provider.read.clear()
    for name in (names[-1], names[0]):
        curves(source, ("run", name))
    assert provider.read == [("run", names[0])]


def test_runs_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_scalars(tmp_path / name, {"loss": points([1.0])})
    provider = Watched(tmp_path)
    source = ProviderScalars(provider)
    assert len(curves(source, ("a", "loss"), ("b", "loss"))) == 2
    (file,) = (tmp_path / "a").iterdir()
    file.unlink()
    (tmp_path / "a").rmdir()
    provider.reload()
    assert list(curves(source, ("a", "loss"), ("b", "loss"))) == [("b", "loss")]
