"""Every route, on a written log, through TensorBoard's own data provider, without a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client, TestResponse

import tb_gradclip
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rules import Rule
from tb_gradclip.plugin.routes import GradClipPlugin
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import EventFile
from tests.logs import BREAK, SPIKE, write_run, write_runs
from tests.plugin.fixtures import as_json, check_fixtures
from tests.plugin.server import serve
from tests.plugin.wire import decode_histograms, decode_series
from tests.test_recorder import measured, recorder

Get = Callable[[str], TestResponse]


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs")
    write_runs(path)
    return path


@pytest.fixture(scope="module")
def client(logdir: Path) -> Client:
    return serve(logdir)


def test_runs_say_what_the_api_promises(client: Client) -> None:
    answer = client.get("/runs").json
    assert answer["schema"] == 1
    assert [run["name"] for run in answer["runs"]] == ["broken", "by_value", "clipped"]
    broken, by_value, clipped = answer["runs"]
    assert clipped["rule"] == {
        "kind": "global_norm",
        "threshold": 1.0,
        "low": None,
        "high": None,
        "text": "global norm ≤ 1",
    }
    assert by_value["rule"] == {"kind": "value", "threshold": 0.01, "low": -0.01, "high": 0.01, "text": "value ± 0.01"}
    assert (clipped["steps"], clipped["first_step"], clipped["last_step"]) == (5000, 0, 4999)
    assert all(run["complete"] for run in answer["runs"])
    assert clipped["parameters"] == ["embedding.weight", "rnn.weight", "head.weight"]
    assert (broken["clip_rate"], broken["recent_clip_rate"], broken["throttle"]) == (None, None, None)
    assert broken["nonfinite_steps"] == 2000
    assert [(alert["kind"], alert["step"]) for alert in broken["alerts"]] == [("nonfinite", BREAK)]
    assert [(alert["finding"], alert["step"], alert["severity"]) for alert in by_value["alerts"]] == [
        ("not_covered", 0, "warning"),
        ("always_clipped", 999, "info"),
    ]
    assert all(alert["kind"] == "lint" and alert["remedy"] for alert in by_value["alerts"])
    assert clipped["clip_rate"]["low"] < clipped["clip_rate"]["rate"] < clipped["clip_rate"]["high"]
    assert clipped["recent_clip_rate"]["steps"] == 100


def test_skipped_steps_and_replicas_are_told(tmp_path: Path) -> None:
    book = Recorder(
        EventFile(tmp_path / "run"),
        framework="torch",
        library="torch 2",
        parameters=[Parameter("weight", (2,), "float16")],
        replicas=2,
        gradients="replica",
    )
    rows = measured(0, [2.0] * 6)
    book.add_steps(replace(rows, norms_before=rows.norms_before[:, :1], skipped=np.arange(6) % 3 == 0))
    book.close()
    (run,) = serve(tmp_path).get("/runs").json["runs"]
    assert (run["steps"], run["skipped_steps"]) == (6, 2)
    assert (run["replicas"], run["gradients"], run["dtypes"]) == (2, "replica", ["float16"])


@pytest.mark.parametrize("points", [500, 100, 20])
def test_a_spike_of_one_step_survives_reduction(client: Client, points: int) -> None:
    for column in ("loss", "norm_before"):
        (line,) = decode_series(client.get(f"/series?run=clipped&column={column}&points={points}").data)
        assert line["rows"] <= points
        assert line["total"] == 5000
        assert line["step"][line["value"].argmax()] == SPIKE


def test_every_point_is_a_recorded_step(client: Client, logdir: Path) -> None:
    steps = tb_gradclip.read(logdir)["clipped"].steps
    (line,) = decode_series(client.get("/series?run=clipped&column=norm_after&points=300").data)
    np.testing.assert_array_equal(line["value"], steps["norm_after"][line["step"].astype(int)])
    np.testing.assert_array_equal(line["wall_time"], steps["wall_time"][line["step"].astype(int)])


def test_series_come_for_every_run_and_column_in_order(client: Client) -> None:
    lines = decode_series(client.get("/series?run=clipped&run=broken&column=loss&column=clip_rate").data)
    assert [(line["run"], line["column"]) for line in lines] == [
        ("clipped", "loss"),
        ("clipped", "clip_rate"),
        ("broken", "loss"),
        ("broken", "clip_rate"),
    ]
    assert lines[1]["fields"] == ["step", "wall_time", "value", "low", "high"]
    assert (lines[1]["low"] <= lines[1]["value"]).all()


def test_a_range_brings_the_row_beyond_either_end(client: Client) -> None:
    (line,) = decode_series(client.get("/series?run=clipped&column=loss&from=1000&to=1010").data)
    assert line["step"].tolist() == list(range(999, 1012))
    (line,) = decode_series(client.get("/series?run=clipped&column=loss&from=50&to=55&axis=relative").data)
    assert line["step"].tolist() == list(range(99, 112))


def test_a_range_without_steps_is_empty_or_its_neighbours(client: Client) -> None:
    (line,) = decode_series(client.get("/series?run=clipped&column=loss&from=9000&to=9010").data)
    assert line["rows"] <= 1


def test_values_that_are_not_finite_arrive_as_they_are(client: Client) -> None:
    lines = decode_series(client.get("/series?run=broken&column=norm_before&column=loss&points=100").data)
    assert np.isnan(lines[0]["value"]).any()
    assert np.isnan(lines[1]["value"]).any()


def test_the_window_of_the_clip_rate_is_the_one_asked_for(client: Client, logdir: Path) -> None:
    steps = tb_gradclip.read(logdir)["clipped"].steps
    (line,) = decode_series(client.get("/series?run=clipped&column=clip_rate&window=20&points=10000").data)
    assert line["value"][-1] == steps["clipped"][-20:].mean()


@pytest.mark.parametrize(
    ("query", "step"),
    [
        ("step=149&from=149&to=160", 150),  # the one before lies outside
        ("step=151&from=120&to=260", 150),
        ("step=175&from=120&to=260", 200),  # as near as 150: the later
        ("step=190&from=0&to=160", 150),
        ("step=149&from=149", 150),
        ("step=149&to=120", 100),
        ("step=149&from=110&to=140", 100),  # none: as without
        ("step=149&from=9000", 100),
        ("step=149&from=160&to=140", 100),
    ],
)
def test_a_histogram_within_a_stretch_is_the_nearest_recorded_there(client: Client, query: str, step: int) -> None:
    assert client.get(f"/histogram?run=clipped&{query}").json["step"] == step


def test_a_histogram_is_the_last_one_at_or_before_the_step(client: Client) -> None:
    answer = client.get("/histogram?run=clipped&step=149").json
    assert (answer["previous_step"], answer["step"], answer["next_step"]) == (50, 100, 150)
    assert answer["before"]["counts"] == answer["after"]["counts"]
    assert answer["coefficient"] == pytest.approx(answer["after"]["high"][-1] / answer["before"]["high"][-1])
    for side in ("before", "after"):
        counted = sum(answer[side][name] for name in ("zero", "nan", "positive_infinity", "negative_infinity"))
        assert answer[side]["size"] == sum(answer[side]["counts"]) + counted == 320 + 64 + 40


def test_a_histogram_of_one_parameter(client: Client) -> None:
    answer = client.get("/histogram?run=by_value&step=0&parameter=rnn.weight").json
    assert answer["cosine"] == pytest.approx(np.sqrt(3) / 2)
    assert answer["parameter"] == "rnn.weight"
    assert answer["before"]["size"] == 64
    assert answer["clipped"] == 2
    assert max(answer["after"]["low"]) < 0.01


def test_a_broken_histogram_is_json(client: Client) -> None:
    answer = client.get(f"/histogram?run=broken&step={BREAK}").json
    assert answer["before"]["nan"] > 0


def test_findings_are_not_crowded_out_by_newer_alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tb_gradclip.plugin.answers.MOST_ALERTS", 1)
    write_run(tmp_path / "run", 4000, Rule("global_norm", 1.0), uncovered=["head.weight"])
    (run,) = serve(tmp_path).get("/runs").json["runs"]
    assert [alert["kind"] for alert in run["alerts"]] == ["lint", "spike"]


def test_the_dashboard_is_served(client: Client) -> None:
    answer = client.get("/index.js")
    assert answer.mimetype == "text/javascript"
    assert b"render" in answer.data


def test_new_steps_show_up_while_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tb_gradclip.storage.provider.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("tb_gradclip.storage.provider.REST", 0)
    multiplexer = EventMultiplexer(tensor_size_guidance={"gradclip": 0})
    multiplexer.AddRunsFromDirectory(str(tmp_path))
    plugin = GradClipPlugin(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(tmp_path))))
    client, book, seen = Client(plugin.get_plugin_apps()["/runs"]), recorder(tmp_path / "run"), []
    for first in range(0, 60, 20):
        book.add_steps(measured(first, [2.0] * 20))
        book.flush()
        multiplexer.AddRunsFromDirectory(str(tmp_path))
        multiplexer.Reload()
        seen.append(client.get("/").json["runs"][0]["steps"])
    book.close()
    assert seen == [20, 40, 60]


def test_fixtures_of_the_front_end_are_what_the_server_sends(tmp_path: Path) -> None:
    """Rewritten when they differ, so that a change of the API shows up in a diff and in the front end's tests."""
    write_runs(tmp_path, 400)
    client = serve(tmp_path)
    sent: dict[str, Any] = {
        "runs.json": client.get("/runs").json,
        "histogram.json": client.get("/histogram?run=clipped&step=100").json,
    }
    for run in sent["runs.json"]["runs"]:  # no clock gives the same time twice
        run["overhead"] = 0.004 if run["name"] == "clipped" else None
    series = client.get("/series?run=clipped&run=broken&column=loss&column=clip_rate&points=50").data
    histograms = client.get("/histograms?run=by_value&steps=5").data
    check_fixtures(
        {
            **{name: as_json(answer) for name, answer in sent.items()},
            "series.bin": (decode_series, series),
            "histograms.bin": (decode_histograms, histograms),
        }
    )
