"""Routes about single parameters, on written logs, through TensorBoard's own data provider."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from werkzeug.test import Client

import tb_gradclip
from tb_gradclip.core.flight import AFTER, BEFORE
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rules import Rule
from tb_gradclip.plugin import parameters
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import EventFile
from tests.logs import BREAK, SPIKE, measured, write_runs
from tests.plugin.fixtures import check_fixtures
from tests.plugin.server import serve
from tests.plugin.wire import decode_flight, decode_windows


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs")
    write_runs(path)
    return path


@pytest.fixture(scope="module")
def client(logdir: Path) -> Client:
    return serve(logdir)


def get(client: Client, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return (decode_windows if path.startswith("/parameters") else decode_flight)(answer.data)


@pytest.mark.parametrize("name", ["clipped", "by_value", "broken"])
def test_windows_that_a_screen_can_show_are_those_of_the_log(client: Client, logdir: Path, name: str) -> None:
    run, answer = tb_gradclip.read(logdir)[name], get(client, f"/parameters?run={name}")
    assert answer["parameters"] == ["embedding.weight", "rnn.weight", "head.weight"]
    assert (answer["shapes"], answer["left_out"]) == ([[40, 8], [8, 8], [8, 5]], 0)
    for field in ("first_step", "last_step", "steps"):
        assert answer[field].tolist() == [getattr(window, field) for window in run.windows]
    for field, _ in parameters.MEASURED:
        np.testing.assert_array_equal(answer[field].T, [window.rows[field] for window in run.windows])
    squares = np.nan_to_num(answer["norm_before_mean"].astype(float), posinf=0.0) ** 2
    np.testing.assert_allclose(answer["norm"] ** 2, squares.sum(axis=0))


@pytest.mark.parametrize("most", [1, 7, 100])
def test_fewer_windows_hold_the_same_steps(client: Client, logdir: Path, most: int) -> None:
    run, answer = tb_gradclip.read(logdir)["clipped"], get(client, f"/parameters?run=clipped&windows={most}")
    assert answer["windows"] == most
    assert answer["steps"].sum() == 5000
    for count in ("clipped", "nonfinite"):
        assert answer[count].sum(axis=1).tolist() == np.sum([w.rows[count] for w in run.windows], axis=0).tolist()
    rnn = answer["norm_before_max"][1]
    place = rnn.argmax()
    assert rnn[place] == np.max([w.rows["norm_before_max"][1] for w in run.windows])
    assert answer["first_step"][place] <= SPIKE <= answer["last_step"][place]


def test_a_range_brings_its_windows_whole(client: Client) -> None:
    whole, part = get(client, "/parameters?run=clipped"), get(client, "/parameters?run=clipped&from=1000&to=1099.5")
    inside = (whole["last_step"] >= 1000) & (whole["first_step"] <= 1099)
    assert part["first_step"].tolist() == whole["first_step"][inside].tolist()
    np.testing.assert_array_equal(part["norm_before_mean"], whole["norm_before_mean"][:, inside])


@pytest.mark.parametrize("bounds", ["from=9000", "to=-1", "from=20&to=10", "from=inf", "to=-inf", "from=-inf&to=-5"])
def test_a_range_without_steps_has_no_windows(client: Client, bounds: str) -> None:
    answer = get(client, f"/parameters?run=clipped&{bounds}")
    assert (answer["windows"], len(answer["parameters"])) == (0, 3)


def wide_run(logdir: Path, parameters: int, steps: int) -> np.ndarray:
    """A run of many parameters that ends in NaN, its norms as given."""
    names = [Parameter(f"p{i}", (1,)) for i in range(parameters)]
    book = Recorder(EventFile(logdir), framework="torch", library="torch 2", parameters=names)
    norms = np.random.default_rng(0).lognormal(0, 1, (steps, parameters))
    norms[-4:, parameters // 2] = np.nan
    rows = measured(Rule("none"), np.arange(steps), np.full(steps, 2.0), norms)
    book.add_steps(rows)
    book.close()
    return norms


def test_of_very_many_parameters_those_with_the_largest_share_are_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "MOST_PARAMETERS", 10)
    monkeypatch.setattr(parameters, "MOST_CELLS", 45)
    norms = wide_run(tmp_path / "run", 60, 160)
    answer = get(serve(tmp_path), "/parameters?run=run")
    assert (answer["windows"], len(answer["parameters"]), answer["left_out"]) == (4, 10, 50)
    edges = zip(answer["first_step"].astype(int), answer["last_step"].astype(int) + 1, strict=True)
    squares = np.array([np.nanmean(norms[first:end], axis=0) for first, end in edges]) ** 2
    mean = answer["steps"] @ (squares / squares.sum(axis=1)[:, None])
    assert answer["parameters"] == [f"p{p}" for p in np.sort(np.argsort(-mean)[:10])]
    np.testing.assert_allclose(answer["norm"] ** 2, squares.sum(axis=1), rtol=1e-5)


def test_another_model_in_the_same_directory_hides_the_windows_of_the_first(tmp_path: Path) -> None:
    wide_run(tmp_path / "run", 5, 100)
    time.sleep(0.01)
    wide_run(tmp_path / "run", 6, 50)
    answer = get(serve(tmp_path), "/parameters?run=run")
    assert (len(answer["parameters"]), answer["last_step"][-1]) == (6, 49)


def test_a_flight_has_every_step_around_its_alert(client: Client, logdir: Path) -> None:
    answer = get(client, f"/flight?run=clipped&step={SPIKE}")
    assert (answer["run"], answer["step"], answer["left_out"]) == ("clipped", SPIKE, 0)
    assert answer["steps"].tolist() == list(range(SPIKE - BEFORE, SPIKE + AFTER + 1))
    run = tb_gradclip.read(logdir)["clipped"]
    (alert,) = [alert for alert in run.alerts if alert.kind == "spike"]
    departed = [name for name, _ in alert.departures]
    assert departed == answer["parameters"][: len(departed)] == ["rnn.weight"]
    (flight,) = run.flights
    names = [parameter.name for parameter in run.parameters]
    rows = np.searchsorted(flight.steps, answer["steps"])
    for name, norms in zip(answer["parameters"], answer["norms"], strict=True):
        np.testing.assert_array_equal(norms, flight.norms[rows, names.index(name)])


def test_a_flight_of_norms_that_are_not_finite_arrives_as_it_is(client: Client) -> None:
    answer = get(client, f"/flight?run=broken&step={BREAK}")
    before = answer["steps"] < BREAK
    assert np.isfinite(answer["norms"][:, before]).all()
    assert np.isnan(answer["norms"][:, ~before][:, :10]).all()
    assert np.isinf(answer["norms"][:, answer["steps"] == BREAK + 10]).all()


def test_an_alert_that_no_norms_were_kept_around_has_a_flight_without_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorder, "_write_flights", lambda *_: None)
    write_runs(tmp_path)
    client = serve(tmp_path)
    answer = get(client, f"/flight?run=broken&step={BREAK}")
    assert (answer["run"], answer["step"], answer["rows"], answer["parameters"]) == ("broken", BREAK, 0, [])
    assert (answer["steps"].shape, answer["norms"].shape) == ((0,), (0, 0))
    assert client.get(f"/flight?run=broken&step={BREAK - 1}").status_code == 404


def test_of_many_parameters_a_flight_shows_the_departed_and_the_largest(tmp_path: Path) -> None:
    norms = wide_run(tmp_path / "run", 60, 160)
    answer = get(serve(tmp_path), "/flight?run=run&step=156")
    assert (len(answer["parameters"]), answer["left_out"]) == (parameters.MOST_LINES, 60 - parameters.MOST_LINES)
    assert answer["parameters"][0] == "p30"  # the one that broke
    rows = answer["steps"].astype(int)
    squares = np.nan_to_num(norms[rows]) ** 2
    peak = (squares / squares.sum(axis=1)[:, None]).max(axis=0)
    rest = [int(name[1:]) for name in answer["parameters"][1:]]
    assert rest == [p for p in np.argsort(-peak).tolist() if p != 30][: len(rest)]


def test_fixtures_of_the_front_end_are_what_the_server_sends(tmp_path: Path) -> None:
    """Rewritten when they differ, as those of the other routes are."""
    write_runs(tmp_path, 400)
    wide_run(tmp_path / "wide", 40, 160)
    client = serve(tmp_path)
    check_fixtures(
        {
            "parameters.bin": (decode_windows, client.get("/parameters?run=clipped&windows=10").data),
            "flight.bin": (decode_flight, client.get("/flight?run=wide&step=156").data),
        }
    )
