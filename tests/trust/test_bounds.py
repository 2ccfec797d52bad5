"""No answer is larger than its bounds, whatever is asked for and whatever the logs hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from werkzeug.test import Client

from tb_gradclip.core import framing
from tb_gradclip.core.alert import Alert
from tb_gradclip.core.counted import HistogramCounts
from tb_gradclip.core.histogram import count as count_of
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import Rule
from tb_gradclip.plugin import answers, limits
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.figures import MOST_DTYPES
from tb_gradclip.storage.write import EventFile
from tests.logs import START, write_run
from tests.plugin.server import serve
from tests.plugin.wire import decode_windows
from tests.scalars import points, write_scalars
from tests.trust.damage import records, write_records


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    path = tmp_path_factory.mktemp("bounds")
    write_run(path / "clipped", 50, Rule("global_norm", 1.0))
    return serve(path)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("run=clipped&run=clipped&column=loss", "`run` must have each value once, got 'clipped' again: leave it out"),
        ("run=clipped&column=loss&column=loss", "`column` must have each value once, got 'loss' again: leave it out"),
        ("&".join(f"run={i}" for i in range(101)) + "&column=loss", "`run` must come 1 to 100 times, got 101"),
    ],
)
def test_nobody_gets_more_by_asking_twice(client: Client, query: str, message: str) -> None:
    for path in ("/series", "/csv"):
        answer = client.get(f"{path}?{query}")
        assert (answer.status_code, answer.text) == (400, f"Invalid argument: {message}")


def test_an_answer_has_so_many_points_and_no_more(client: Client) -> None:
    runs = "&".join(f"run={i}" for i in range(100))
    columns = "&".join(f"column={column}" for column in ("loss", "norm_before", "norm_after"))
    answer = client.get(f"/series?{runs}&{columns}&points=10000")
    assert answer.status_code == 400
    assert answer.text == (
        "Invalid argument: an answer has at most 2,000,000 points, got 100 runs x 3 columns x 10,000 points: "
        "ask for fewer runs, columns or `points`"
    )
    assert client.get(f"/series?{runs}&{columns}&points=6000").status_code == 404  # no such runs


def long_name(i: int) -> str:
    return f"layer{i:06}." + "w" * 10_000


def test_names_of_ten_thousand_characters_are_listed_as_far_as_they_fit(tmp_path: Path) -> None:
    """And what is listed can be asked by: it is the whole name."""
    count, steps = 2_500, 32
    names = [long_name(i) if i % 4 else f"short{i:06}" for i in range(count)]
    book = Recorder(EventFile(tmp_path / "run"), framework="f" * 10**5, library="a", parameters=parameters(names))
    norms = np.ones((steps, count), np.float32)
    norms[:, 2001::100] = 50  # long names with the largest shares
    axis, ones = np.arange(steps), np.ones(steps)
    joint = np.linalg.norm(norms, axis=1)
    book.add_histogram(HistogramCounts(0, np.stack([count_of(np.ones(4, np.float32))] * count)))
    book.add_steps(Measurements(Rule("global_norm", 1.0), axis, START + axis, ones, ones, joint, norms, None))
    departures = tuple((name, 1) for name in names[1::4][:32])
    alerts = [
        Alert(i, "spike", "error", "m", names[1], START, departures=departures if i % 2 else departures[:3])
        for i in range(steps)
    ]
    book._write_alerts(alerts, steps, START)
    book.close()
    client = serve(tmp_path)
    answer = client.get("/runs")
    assert len(answer.data) < 7 << 20
    (run,) = answer.json["runs"]
    assert sum(map(len, run["parameters"])) <= limits.MOST_OF_NAMES
    assert run["parameters_left_out"] == count - len(run["parameters"])
    assert run["parameters"] == [name for name in names if name in set(run["parameters"])]
    lengths = [len(name) for name in run["parameters"]]
    assert lengths[-1] < 100 < max(lengths)  # short ones fit where long ones do not any more
    assert len(run["framework"]) == answers.MOST_TEXT + 1
    for alert in run["alerts"]:
        whole = len(alert["departures"]) == 3
        assert alert["parameter"] == (names[1] if whole else names[1][: answers.MOST_TEXT] + "…")
        assert [name for name, _ in alert["departures"]] == (
            names[1:12:4] if whole else [name[: answers.MOST_TEXT] + "…" for name in names[1::4][:32]]
        )
    assert {len(alert["departures"]) for alert in run["alerts"]} == {3, 32}
    body = client.get("/parameters?run=run").data
    assert len(body) < 12 << 20
    table = decode_windows(body)
    assert sum(map(len, table["parameters"])) <= limits.MOST_OF_NAMES
    assert table["left_out"] == count - len(table["parameters"])
    assert {*names[2001::100]} <= set(table["parameters"])
    long = next(name for name in run["parameters"] if len(name) > 10_000)
    asked = client.get(f"/histogram?run=run&step=0&parameter={long}")
    assert asked.json["parameter"] == long


def test_alerts_whose_texts_are_long_are_fewer_in_the_list_of_runs(tmp_path: Path) -> None:
    book = Recorder(EventFile(tmp_path / "run"), framework="a", library="a", parameters=parameters(["a"]))
    one = np.ones(1)
    book.add_steps(Measurements(Rule("none"), np.arange(1), one, one, one * np.nan, one, np.ones((1, 1)), None))
    many = tuple((long_name(i), i) for i in range(8))
    alerts = [Alert(i, "spike", "error", "m", long_name(0), START, departures=many) for i in range(300)]
    book._write_alerts([Alert(0, "lint", "info", "m", finding="f", remedy="r"), *alerts], 0, 1.0)
    book.close()
    answer = serve(tmp_path).get("/runs")
    told = answer.json["runs"][0]["alerts"]
    steps = [alert["step"] for alert in told if alert["kind"] == "spike"]
    assert steps == list(range(300 - len(steps), 300))  # the newest
    assert len(steps) == answers.MOST_OF_ALERTS // (9 * len(long_name(0)) + 1)
    assert len(answer.data) < 5 << 20


def test_tags_of_scalars_are_offered_for_the_loss_as_far_as_they_fit(tmp_path: Path) -> None:
    tags = ["loss", "x" * 10**6 + "/loss", *(f"{i}" + "x" * 10_000 + "/loss" for i in range(50))]
    write_scalars(tmp_path / "run", {tag: points([2.0, 1.0]) for tag in tags})
    client = serve(tmp_path)
    answer = client.get("/runs")
    loss = answer.json["runs"][0]["loss"]
    assert (loss["tag"], len(loss["choices"])) == ("loss", 10)
    assert len(answer.data) < 1 << 18
    assert client.get(f"/runs?loss={loss['choices'][9]}").json["runs"][0]["loss"]["tag"] == loss["choices"][9]


def parameters(names: list[str]) -> list[Parameter]:
    return [Parameter(name, (4,)) for name in names]


def large_model(logdir: Path, parameters: int, steps: int = 32) -> None:
    book = Recorder(
        EventFile(logdir),
        framework="torch",
        library="torch 2",
        parameters=[Parameter(f"module.layer{i:06}.weight", (4,)) for i in range(parameters)],
    )
    norms = np.ones((steps, parameters), np.float32)
    joint = np.sqrt(np.full(steps, parameters, float))
    axis = np.arange(steps)
    rule, limits = Rule("global_norm", 1.0), np.ones(steps)
    book.add_steps(Measurements(rule, axis, START + axis, np.full(steps, 2.0), limits, joint, norms, None))
    book._write_alerts([Alert(i, "spike", "warning", "high", wall_time=START) for i in range(steps)], steps, START)
    book.close()


def test_a_model_of_a_hundred_thousand_tensors_is_shown_within_bounds(tmp_path: Path) -> None:
    large_model(tmp_path / "run", 100_000)
    client = serve(tmp_path)
    answer = client.get("/runs")
    (run,) = answer.json["runs"]
    assert len(run["parameters"]) == answers.MOST_NAMES
    assert run["parameters_left_out"] == 100_000 - answers.MOST_NAMES
    assert len(answer.data) < 1 << 20
    assert len(client.get("/parameters?run=run").data) < 16 << 20
    unknown = client.get("/histogram?run=run&step=0&parameter=x")
    assert (unknown.status_code, len(unknown.text) < 1000) == (404, True)


def test_where_there_are_many_runs_each_has_fewer_names_and_alerts_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_ALERTS_IN_ALL", 40)
    monkeypatch.setattr(answers, "FEWEST_ALERTS", 5)
    monkeypatch.setattr(answers, "MOST_NAMES_IN_ALL", 400)
    monkeypatch.setattr(answers, "FEWEST_NAMES", 10)
    for i in range(4):
        large_model(tmp_path / f"run{i}", 300)
    runs = serve(tmp_path).get("/runs").json["runs"]
    assert [len(run["parameters"]) for run in runs] == [100] * 4
    assert [run["parameters_left_out"] for run in runs] == [200] * 4
    newest = [alert["step"] for alert in runs[0]["alerts"] if alert["kind"] == "spike"]
    assert newest == sorted(newest)
    assert newest[-1] == 31
    assert len(newest) <= 10
    monkeypatch.setattr(answers, "MOST_NAMES_IN_ALL", 8)
    assert [len(run["parameters"]) for run in serve(tmp_path).get("/runs").json["runs"]] == [10] * 4


def test_long_texts_in_a_log_are_cut_in_the_list_of_runs(tmp_path: Path) -> None:
    book = Recorder(EventFile(tmp_path / "run"), framework="a", library="a", parameters=[Parameter("a", (2,))])
    one = np.ones(1)
    book.add_steps(Measurements(Rule("none"), np.arange(1), one, one, one * np.nan, one, np.ones((1, 1)), None))
    departures = tuple((f"p{i}", i) for i in range(1000))
    findings = [Alert(0, "lint", "info", "m" * 10**4, finding=f"f{i}", remedy="r" * 10**4) for i in range(1100)]
    book._write_alerts([*findings, Alert(1, "spike", "error", "m" * 10**5, departures=departures)], 0, 1.0)
    book.close()
    answer = serve(tmp_path).get("/runs")
    alerts = answer.json["runs"][0]["alerts"]
    assert max(len(alert["message"]) for alert in alerts) == answers.MOST_TEXT + 1
    assert max(len(alert["departures"]) for alert in alerts) == answers.MOST_DEPARTURES
    assert len([alert for alert in alerts if alert["kind"] == "lint"]) <= answers.MOST_ALERTS + answers.MOST_FINDINGS
    assert len(answer.data) < 5 << 20  # of 23 MB


def test_what_a_hostile_log_says_of_types_and_what_is_wrong_with_it_are_cut_in_the_list_of_runs(tmp_path: Path) -> None:
    fields = {"framework": "a", "library": "a", "start_step": 0, "rule": {"kind": "none"}}
    types = [{"name": f"p{i}", "shape": [1], "dtype": f"float{i}"} for i in range(3000)]
    good = framing.pack({**fields, "parameters": types})
    bad = framing.pack({**fields, "parameters": [], "rule": {"kind": "k" * 10**6}})
    write_records(tmp_path / "run", [("run", good), ("run", bad), ("steps", records()["steps"][0])])
    answer = serve(tmp_path).get("/runs")
    assert len(answer.json["runs"][0]["dtypes"]) == MOST_DTYPES
    (told,) = answer.json["problems"]
    assert told["problem"].startswith("1 `run` record could not be read: `kind` must be one of")
    assert len(told["problem"]) < 400
