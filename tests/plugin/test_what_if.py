"""The `what_if` route, against the gradients clipped one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

import tb_gradclip
from tb_gradclip.core.rules import Rule
from tb_gradclip.core.zclip import ZClip
from tb_gradclip.plugin.routes import GradClipPlugin
from tb_gradclip.storage.read import Run
from tests.logs import BREAK, SPIKE, GrowingRun, write_run, write_runs, write_small_records
from tests.plugin.fixtures import as_json, check_fixtures
from tests.plugin.server import serve
from tests.test_recorder import measured, recorder


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs")
    write_runs(path)
    return path


@pytest.fixture(scope="module")
def client(logdir: Path) -> Client:
    return serve(logdir)


@pytest.fixture(scope="module")
def clipped(logdir: Path) -> Run:
    return tb_gradclip.read(logdir)["clipped"]


def check(answer: dict[str, Any], norms: np.ndarray) -> None:
    """Rate and throttle of every threshold in the answer are those of these norms, as far as they are finite."""
    told = [answer["at"], *answer["suggestions"], *answer["autoclip"], answer["zclip"]["last"]]
    curve = list(zip(answer["thresholds"], answer["clip_rate"], answer["throttle"], strict=True))
    points = curve + [(each["threshold"], each["clip_rate"], each["throttle"]) for each in told if each]
    assert len(points) > 10
    norms = norms[np.isfinite(norms)]
    for threshold, rate, throttle in points:
        assert rate == np.mean(norms > threshold)
        assert throttle == pytest.approx(1 - np.minimum(norms, threshold).sum() / norms.sum(), abs=1e-5)  # epsilon


def test_every_threshold_is_told_as_if_each_norm_were_clipped_there(client: Client, clipped: Run) -> None:
    answer = client.get("/what_if?run=clipped&at=1.42").json
    assert (answer["run"], answer["steps"], answer["range"]) == ("clipped", 5000, [0, 4999])
    assert len(answer["thresholds"]) <= 200
    assert answer["at"]["threshold"] == 1.42
    check(answer, clipped.steps["norm_before"])
    assert [each["share"] for each in answer["suggestions"]] == [0.01, 0.1, 0.5]
    for each in answer["suggestions"]:
        assert each["clip_rate"] == pytest.approx(each["share"], abs=1 / 5000)
    percentiles = [np.percentile(clipped.steps["norm_before"], p) for p in (10, 50, 90)]
    assert [each["threshold"] for each in answer["autoclip"]] == percentiles


def test_now_is_what_was_recorded(client: Client, clipped: Run) -> None:
    steps = clipped.steps
    assert client.get("/what_if?run=clipped").json["now"] == {
        "threshold": 1.0,
        "constant": True,
        "clip_rate": steps["clipped"].mean(),
        "throttle": pytest.approx(1 - steps["norm_after"].sum() / steps["norm_before"].sum()),
    }
    assert client.get("/what_if?run=by_value").json["now"]["threshold"] == 0.01
    assert client.get("/what_if?run=broken").json["now"] is None


def test_zclip_is_drawn_with_few_points_and_its_extremes(client: Client, clipped: Run) -> None:
    zclip = client.get("/what_if?run=clipped").json["zclip"]
    assert len(zclip["steps"]) == len(zclip["thresholds"]) <= 500
    assert zclip["steps"][0] == 25
    assert zclip["steps"][-1] == 4999
    assert zclip["last"]["threshold"] == zclip["thresholds"][-1]
    assert 0 < zclip["clip_rate"] < 0.1
    assert 0 < zclip["throttle"] < 0.1
    assert np.interp(SPIKE, zclip["steps"], zclip["thresholds"]) < clipped.steps["norm_before"][SPIKE] / 3


def test_a_range_is_answered_from_its_steps_alone(client: Client, clipped: Run) -> None:
    answer = client.get("/what_if?run=clipped&from=1000.5&to=1999&at=1").json
    assert (answer["steps"], answer["range"]) == (999, [1001, 1999])
    check(answer, clipped.steps["norm_before"][1001:2000])
    whole = client.get("/what_if?run=clipped").json["zclip"]
    zclip = answer["zclip"]
    both = sorted(set(zclip["steps"]) & set(whole["steps"]))
    assert both
    for step in both:  # it knows the steps before the range
        got = zclip["thresholds"][zclip["steps"].index(step)]
        assert got == whole["thresholds"][whole["steps"].index(step)]


def test_steps_that_are_not_finite_are_left_out(client: Client, logdir: Path) -> None:
    answer = client.get("/what_if?run=broken&at=0.5").json
    assert (answer["steps"], answer["range"]) == (BREAK, [0, 4999])
    check(answer, tb_gradclip.read(logdir)["broken"].steps["norm_before"][:BREAK])


@pytest.mark.parametrize("query", ["run=broken&from=3500", "run=clipped&from=20&to=10", "run=clipped&from=9000"])
def test_where_no_step_counts_there_is_nothing_to_suggest(client: Client, query: str) -> None:
    answer = client.get(f"/what_if?{query}&at=1").json
    assert (answer["steps"], answer["thresholds"], answer["suggestions"], answer["autoclip"]) == (0, [], [], [])
    assert answer["at"] == {"threshold": 1.0, "clip_rate": None, "throttle": None}
    assert answer["now"] is None
    assert answer["zclip"] == {"steps": [], "thresholds": [], "clip_rate": None, "throttle": None, "last": None}


def test_norms_of_zero_suggest_nothing(tmp_path: Path) -> None:
    book = recorder(tmp_path)
    batch = measured(0, [2.0] * 100)
    batch.norm_before[:], batch.norms_before[:] = 0.0, 0.0
    book.add_steps(batch)
    book.close()
    answer = serve(tmp_path).get("/what_if?run=.").json
    assert (answer["steps"], answer["thresholds"], answer["suggestions"], answer["autoclip"]) == (100, [], [], [])
    assert answer["now"] == {"threshold": 1.0, "constant": True, "clip_rate": 0.0, "throttle": None}


def test_one_step_is_enough(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 1, Rule("global_norm", 1.0))
    answer = serve(tmp_path).get("/what_if?run=run").json
    assert answer["steps"] == 1
    assert [each["clip_rate"] for each in answer["suggestions"]] == [0.0, 0.0, 0.0]
    assert answer["clip_rate"][0] == 1.0


def test_a_scheduled_threshold_is_told_to_be_one(tmp_path: Path) -> None:
    book = recorder(tmp_path)
    for first, threshold in ((0, 1.0), (10, 0.5)):
        book.add_steps(measured(first, [2.0] * 10, threshold=threshold))
    book.close()
    now = serve(tmp_path).get("/what_if?run=.").json["now"]
    assert (now["threshold"], now["constant"]) == (0.5, False)


def test_a_longer_run_is_answered_from_its_newest_steps(
    client: Client, clipped: Run, monkeypatch: pytest.MonkeyPatch, logdir: Path
) -> None:
    monkeypatch.setattr("tb_gradclip.plugin.what_if.MOST_ROWS", 1000)
    fresh = serve(logdir)
    answer = fresh.get("/what_if?run=clipped&at=1").json
    assert (answer["steps"], answer["range"]) == (1000, [4000, 4999])
    check(answer, clipped.steps["norm_before"][4000:])
    earlier = fresh.get("/what_if?run=clipped&from=0&to=2999&at=1").json
    assert earlier["range"] == [2000, 2999]
    check(earlier, clipped.steps["norm_before"][2000:3000])
    assert earlier["zclip"]["steps"][0] == 2025  # it begins with what is looked at


def test_of_a_long_run_is_read_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small_records(monkeypatch)
    run = GrowingRun(tmp_path / "long")
    run.grow(40_000)
    run.recorder.close()
    steps, client = tb_gradclip.read(tmp_path)["long"].steps, serve(tmp_path)
    for first, last in ((2_000, 5_000), (38_500, 39_500), (0, 39_999)):
        answer = client.get(f"/what_if?run=long&from={first}&to={last}&at=1").json
        assert answer["range"] == [first, last]
        check(answer, steps["norm_before"][first : last + 1])
    whole = client.get("/what_if?run=long&at=1").json
    assert whole == answer
    limits = ZClip().replay(steps["norm_before"])[0]
    for asked in (whole, client.get("/what_if?run=long&from=20000&to=30000").json):  # it began with the run
        np.testing.assert_array_equal(asked["zclip"]["thresholds"], limits[asked["zclip"]["steps"]])
    monkeypatch.setattr("tb_gradclip.plugin.what_if.MOST_ROWS", 1000)
    newest = serve(tmp_path).get("/what_if?run=long&at=1").json
    assert newest["range"] == [39_000, 39_999]
    check(newest, steps["norm_before"][39_000:])
    assert client.get("/what_if?run=long&from=2000&to=5500&at=1").json["range"] == [4501, 5500]


def test_the_answer_follows_a_run_that_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tb_gradclip.storage.provider.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("tb_gradclip.storage.provider.REST", 0)
    multiplexer = EventMultiplexer(tensor_size_guidance={"gradclip": 0})
    plugin = GradClipPlugin(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(tmp_path))))
    client, run = Client(plugin.get_plugin_apps()["/what_if"]), GrowingRun(tmp_path / "run")
    for steps in (100, 200, 300):
        run.grow(100)
        multiplexer.AddRunsFromDirectory(str(tmp_path))
        multiplexer.Reload()
        answer = client.get("/?run=run&at=1").json
        assert answer["steps"] == steps
        check(answer, tb_gradclip.read(tmp_path)["run"].steps["norm_before"])
    run.recorder.close()
    assert answer == serve(tmp_path).get("/what_if?run=run&at=1").json


def test_the_fixture_of_the_front_end_is_what_the_server_sends(tmp_path: Path) -> None:
    write_runs(tmp_path, 400)
    answer = serve(tmp_path).get("/what_if?run=clipped&points=60&at=1.42").json
    check_fixtures({"what_if.json": as_json(answer)})
