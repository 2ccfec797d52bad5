"""Runs of ordinary scalars through every route, and in TensorBoard with either of its loaders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

from tb_gradclip.core.rules import Rule
from tb_gradclip.plugin.routes import GradClipPlugin
from tests.logs import START as RECORDED_START
from tests.logs import write_run
from tests.plugin.fixtures import as_json, check_fixtures
from tests.plugin.server import serve
from tests.plugin.wire import decode_series
from tests.scalars import BACK, DIVERGES, diverging_loss, healthy_loss, points, write_scalars
from tests.test_recorder import measured, recorder


def write_logs(logdir: Path) -> None:
    """Recorded with a loss, recorded without one, and not recorded; all but `other` have ordinary losses."""
    losses = diverging_loss()
    write_run(logdir / "recorded", 400, Rule("global_norm", 1.0))
    write_scalars(logdir / "recorded", {"train/loss": points(losses), "val/loss": points(healthy_loss(), every=100)})
    book = recorder(logdir / "no_loss")
    book.add_steps(measured(0, [float("nan")] * 100))
    book.close()
    write_scalars(logdir / "no_loss", {"train/loss": points(losses)})
    write_scalars(logdir / "plain", {"train/loss": points(losses), "lr": points([0.1])})
    write_scalars(logdir / "keras", {"epoch_loss": points(healthy_loss(30))}, tensors=True)
    write_scalars(logdir / "other", {"accuracy": points([0.5])})


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    logdir = tmp_path_factory.mktemp("scalars")
    write_logs(logdir)
    return serve(logdir)


def runs(client: Client, query: str = "") -> dict[str, Any]:
    return {run["name"]: run for run in client.get(f"/runs{query}").json["runs"]}


def line(client: Client, run: str, query: str = "") -> dict[str, Any]:
    (found,) = decode_series(client.get(f"/series?run={run}&column=loss&points=10000{query}").data)
    return found


def told(run: dict[str, Any]) -> list[tuple[str, int, bool]]:
    return [(alert["kind"], alert["start"], alert["computed"]) for alert in run["alerts"]]


def test_runs_with_a_loss_are_listed_and_say_where_it_comes_from(client: Client) -> None:
    found = runs(client)
    assert list(found) == ["keras", "no_loss", "plain", "recorded"]
    assert [run["recorded"] for run in found.values()] == [False, True, False, True]
    assert [run["loss"]["tag"] for run in found.values()] == ["epoch_loss", "train/loss", "train/loss", None]
    assert found["recorded"]["loss"]["choices"] == ["train/loss", "val/loss"]
    assert found["recorded"]["loss"]["points"] is None
    assert found["plain"]["loss"]["choices"] == ["train/loss"]


def test_a_run_that_was_not_recorded_has_markers_and_claims_nothing_of_gradients(client: Client) -> None:
    run = runs(client)["plain"]
    assert told(run) == [("divergence", DIVERGES, True)]
    assert run["alerts"][0]["end"] == BACK
    assert run["alerts"][0]["recovered"]
    assert (run["rule"]["kind"], run["parameters"], run["framework"], run["complete"]) == ("none", [], None, False)
    assert (run["clip_rate"], run["recent_clip_rate"], run["throttle"], run["overhead"]) == (None,) * 4
    assert (run["steps"], run["first_step"], run["last_step"], run["histogram_steps"]) == (2000, 0, 1999, 0)
    assert run["loss"]["points"] == 2000


def test_every_field_of_a_recorded_run_is_one_of_a_run_that_was_not(client: Client) -> None:
    found = runs(client)
    assert found["plain"].keys() == found["recorded"].keys()
    assert found["plain"]["loss"].keys() == found["recorded"]["loss"].keys()
    alerts = [alert for run in found.values() for alert in run["alerts"]]
    assert len({tuple(alert) for alert in alerts}) == 1


def test_a_recorded_loss_stays_until_another_is_asked_for(client: Client) -> None:
    own = runs(client)["recorded"]
    assert not any(alert["computed"] for alert in own["alerts"])
    other = runs(client, "?loss=train/loss")["recorded"]
    assert ("divergence", DIVERGES, True) in told(other)
    assert [alert for alert in other["alerts"] if not alert["computed"]] == own["alerts"]
    assert {**other, "alerts": 0, "loss": 0} == {**own, "alerts": 0, "loss": 0}
    assert line(client, "recorded")["total"] == 400
    assert line(client, "recorded", "&loss=train/loss")["total"] == 2000


def test_a_run_recorded_without_a_loss_has_the_scalars(client: Client) -> None:
    run = runs(client)["no_loss"]
    assert ("divergence", DIVERGES, True) in told(run)
    assert (run["steps"], run["loss"]["points"], run["loss"]["last_step"]) == (100, 2000, 1999)
    np.testing.assert_array_equal(line(client, "no_loss")["value"], diverging_loss().astype(np.float32))


def test_a_tag_is_that_of_runs_that_have_it_and_changes_no_other(client: Client) -> None:
    default, chosen = runs(client), runs(client, "?loss=val/loss")
    assert chosen["recorded"]["loss"]["tag"] == "val/loss"
    assert {name: run for name, run in chosen.items() if name != "recorded"} == {
        name: run for name, run in default.items() if name != "recorded"
    }
    assert line(client, "recorded", "&loss=val/loss")["step"].tolist() == list(range(0, 2000, 100))


@pytest.mark.parametrize("tag", ["", "nothing", "gradclip/nothing", "%00", "../../etc/passwd"])
def test_a_tag_that_no_run_has_is_no_error(client: Client, tag: str) -> None:
    assert runs(client, f"?loss={tag}") == runs(client)
    assert line(client, "plain", f"&loss={tag}")["total"] == 2000


def test_any_scalar_may_be_asked_for(client: Client) -> None:
    found = runs(client, "?loss=accuracy")
    assert list(found) == ["keras", "no_loss", "other", "plain", "recorded"]
    assert (found["other"]["loss"]["tag"], found["other"]["loss"]["choices"]) == ("accuracy", [])


def test_every_argument_holds_for_points_of_a_scalar(client: Client) -> None:
    losses = diverging_loss().astype(np.float32)
    part = line(client, "plain", "&from=100&to=110")
    assert part["step"].tolist() == list(range(99, 112))
    np.testing.assert_array_equal(part["value"], losses[99:112])
    assert line(client, "plain", "&from=50&to=55&axis=relative")["step"].tolist() == list(range(99, 112))
    (few,) = decode_series(client.get("/series?run=plain&column=loss&points=50").data)
    assert (few["total"], few["value"].max()) == (2000, losses.max())
    assert few["rows"] <= 50


def test_relative_times_count_from_the_first_recorded_step(client: Client) -> None:
    first = runs(client)["recorded"]["first_wall_time"]
    found = line(client, "recorded", "&loss=train/loss&axis=relative&from=5&to=6")
    inside = found["wall_time"][1:-1] - first
    assert first == RECORDED_START
    assert ((inside >= 5) & (inside <= 6)).all()
    assert len(inside) > 0


def test_other_columns_of_a_run_that_was_not_recorded_are_empty(client: Client) -> None:
    columns = ("threshold", "norm_before", "norm_after", "coefficient", "clipped", "nonfinite", "clip_rate", "throttle")
    query = "&".join(f"column={column}" for column in columns)
    found = decode_series(client.get(f"/series?run=plain&run=recorded&{query}").data)
    assert [each["column"] for each in found] == [*columns, *columns]
    plain, recorded = found[: len(columns)], found[len(columns) :]
    assert [(each["rows"], each["total"]) for each in plain] == [(0, 0)] * len(columns)
    assert [each["fields"] for each in plain] == [each["fields"] for each in recorded]


def test_a_histogram_of_a_run_that_was_not_recorded_is_refused(client: Client) -> None:
    answer = client.get("/histogram?run=plain&step=0")
    assert (answer.status_code, answer.mimetype) == (404, "text/plain")
    assert answer.text == "Not found: run 'plain' has only scalars: its gradients were not recorded"


def test_at_most_100_choices_are_told(tmp_path: Path) -> None:
    write_scalars(tmp_path / "run", {"loss": points([1.0]), **{f"loss/{i:03}": points([1.0]) for i in range(200)}})
    (run,) = runs(serve(tmp_path)).values()
    assert (len(run["loss"]["choices"]), run["loss"]["choices"][:2]) == (100, ["loss", "loss/000"])


def plugin(logdir: Path) -> GradClipPlugin:
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    return GradClipPlugin(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(logdir))))


def test_the_tab_is_active_where_there_is_a_loss(tmp_path: Path) -> None:
    write_scalars(tmp_path / "a" / "run", {"accuracy": points([0.5])})
    write_scalars(tmp_path / "b" / "run", {"val_loss": points([0.5])})
    assert not plugin(tmp_path / "a").is_active()
    assert plugin(tmp_path / "b").is_active()


@pytest.mark.parametrize("provider", [None, object()])
def test_being_active_never_fails(provider: object) -> None:
    assert not GradClipPlugin(TBContext(data_provider=provider)).is_active()


def test_scalars_that_cannot_be_read_hide_no_recorded_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_logs(tmp_path)
    client = serve(tmp_path)
    for method in ("read_scalars", "read_last_scalars", "list_scalars"):
        monkeypatch.setattr(MultiplexerDataProvider, method, None)
    assert list(runs(client)) == ["no_loss", "recorded"]
    assert line(client, "recorded")["total"] == 400


def test_fixture_of_the_front_end_is_what_the_server_sends(client: Client) -> None:
    """Rewritten when it differs, as those of `test_routes`."""
    sent = client.get("/runs").json
    for run in sent["runs"]:
        run["overhead"] = None
    check_fixtures({"scalar_runs.json": as_json(sent)})
