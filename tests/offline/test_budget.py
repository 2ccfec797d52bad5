"""What a file of a given size holds of each run."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tb_gradclip.core import framing
from tb_gradclip.core.rules import Rule
from tb_gradclip.offline import budget, package
from tb_gradclip.offline.package import Answer
from tb_gradclip.offline.questions import Questions
from tb_gradclip.storage.events import event_files
from tests.benchmarks.made import LongRun
from tests.logs import BREAK, SPIKE, write_run, write_runs
from tests.scalars import diverging_loss, points, write_scalars
from tests.trust.damage import records, write_records

ROOMY = 1_300_000.0


def held_of(logdir: Path, room: float) -> budget.Held:
    files = event_files(logdir)
    return budget.held(((name, Questions(name, own)) for name, own in files.items()), len(files), room)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("budget") / "logs"
    write_runs(path)
    write_scalars(path / "plain", {"train/loss": points(diverging_loss())})
    write_scalars(path / "lr only", {"lr": points([0.1] * 50)})
    return path


@pytest.fixture(scope="module")
def roomy(logdir: Path) -> budget.Held:
    return held_of(logdir, ROOMY)


def lines(held: budget.Held, run: str, column: str) -> dict[str, np.ndarray]:
    for answer in held.answers:
        if answer.route != "series" or answer.run != run:
            continue
        header, numbers = framing.unpack(answer.body)
        offset = 0
        for one in header["series"]:
            found = {}
            for field in one["fields"]:
                found[field] = np.frombuffer(numbers, "<f8", one["rows"], offset)
                offset += 8 * one["rows"]
            if one["column"] == column:
                return found
    raise KeyError(column)


def test_runs_without_gradients_or_loss_are_no_runs(roomy: budget.Held) -> None:
    assert roomy.names == ["broken", "by_value", "clipped", "plain"]
    listed = json.loads(roomy.answers[0].body)["runs"]
    assert [run["name"] for run in listed] == roomy.names


def test_what_could_not_be_read_is_told(tmp_path: Path) -> None:
    write_run(tmp_path / "good", 200, Rule("global_norm", 1.0))
    write_run(tmp_path / "damaged", 2000, Rule("global_norm", 1.0))
    (file,) = (tmp_path / "damaged").iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    write_records(tmp_path / "odd", [(kind, frame) for kind in ("run", "steps") for frame in records()[kind][:4]])
    write_records(tmp_path / "odd" / "nothing", [("run", records()["run"][0]), ("steps", b"no record")])
    told = json.loads(held_of(tmp_path, ROOMY).answers[0].body)
    assert [run["name"] for run in told["runs"]] == ["damaged", "good", "odd"]
    problems = {each["run"]: each["problem"] for each in told["problems"]}
    assert problems.keys() == {"damaged", "odd/nothing"}
    assert file.name in problems["damaged"]
    assert "1 `steps` record could not be read" in problems["odd/nothing"]


@pytest.mark.parametrize("room", [ROOMY, 60_000.0])
def test_extremes_and_what_is_not_finite_survive(logdir: Path, room: float) -> None:
    held = held_of(logdir, room)
    whole = {name: Questions(name, own) for name, own in event_files(logdir).items()}
    for run in ("broken", "clipped"):
        body = whole[run].ask("series", run=run, column="loss", points=10_000)
        (one,) = framing.unpack(body or b"")[0]["series"]
        exact = np.frombuffer(framing.unpack(body or b"")[1], "<f8").reshape(3, one["rows"])[2]
        kept = lines(held, run, "loss")["value"]
        for extreme in (np.nanmax, np.nanmin):
            assert extreme(kept) == pytest.approx(extreme(exact), rel=1e-5)
    spike = lines(held, "clipped", "norm_before")
    assert SPIKE in spike["step"][np.argsort(spike["value"])[-1:]]
    norms = lines(held, "broken", "norm_before")
    assert norms["step"][~np.isfinite(norms["value"])][0] == BREAK
    assert np.isinf(norms["value"]).any()


def test_less_room_gives_less_of_everything_and_still_something(logdir: Path, roomy: budget.Held) -> None:
    tight = held_of(logdir, 60_000.0)
    assert tight.points < roomy.points
    for kind in ("what_if", "series", "parameters", "histograms", "histogram", "flight"):
        sizes = [sum(answer.size for answer in held.answers if answer.route == kind) for held in (tight, roomy)]
        assert 0 < sizes[0] < sizes[1] or (kind == "flight" and sizes[0] == sizes[1])
    assert len(package.pack(tight.answers)) < 60_000 * 1.02


def test_thresholds_that_never_change_take_next_to_nothing(roomy: budget.Held) -> None:
    found = lines(roomy, "clipped", "threshold")
    assert set(found["value"]) == {1.0}
    assert len(found["value"]) <= 10
    assert found["step"][[0, -1]].tolist() == [0, 4999]


def test_distributions_of_single_parameters_come_where_all_of_them_fit(roomy: budget.Held) -> None:
    single = Counter(a.run for a in roomy.answers if a.route == "histogram" and a.parameter is not None)
    assert single == {"broken": 3, "by_value": 3, "clipped": 3}


def test_as_many_alerts_as_fit_and_the_worst_of_them(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 300, Rule("global_norm", 1.0))
    (told,) = json.loads(Questions("a", event_files(tmp_path)["a"]).ask("runs") or b"")["runs"]
    blank = {"finding": None, "severity": "info", "message": "m", "computed": False}
    alerts = [{**blank, "step": i, "message": f"loss jumped to {i * 7919 % 1000}"} for i in range(1000)]
    alerts[7]["severity"] = "error"
    alerts[3]["finding"] = "always_clipped"
    kept = budget._most_telling(alerts, 3000)
    steps = [alert["step"] for alert in kept]
    assert steps == sorted(steps)
    assert 20 < len(kept) < 1000
    assert {3, 7, 0} <= set(steps)
    assert 999 not in steps
    assert budget._most_telling(alerts, 1e9) == alerts
    assert len(budget._most_telling(alerts, 1)) == 20
    assert told["alerts"] == budget._most_telling(told["alerts"], 0)


@pytest.mark.parametrize("room", [0, 1, 500, 10_000, 10**9])
def test_the_most_that_fits(room: int) -> None:
    def ask(amount: int) -> Answer:
        return Answer("made", "up", os.urandom(3 * amount))

    found = budget.fitted(ask, (1000, 20), room)
    assert found is not None
    amount = len(found.body) // 3
    assert amount == 20 or found.size <= room
    assert amount == 1000 or len(ask(min(1000, int(amount * 1.2) + 2)).body) > room


def test_twenty_long_runs_of_two_hundred_parameters_fit(tmp_path: Path, long: bool) -> None:
    """Five of the twenty in a quarter of the room, unless there is time for all. A million steps take no more."""
    count = 20 if long else 5
    run = LongRun(tmp_path / "run0", 200)
    run.grow(20_000)
    run.close()
    (file,) = (tmp_path / "run0").iterdir()
    for number in range(1, count):
        (tmp_path / f"run{number}").mkdir()
        os.link(file, tmp_path / f"run{number}" / file.name)
    held = held_of(tmp_path, ROOMY * count / 20)
    assert len(held.names) == count
    assert len(base64.b64encode(package.pack(held.answers))) < ROOMY * count / 20 * 4 / 3
    assert held.points > 500
    assert {answer.route for answer in held.answers} == {
        *("runs", "series", "what_if", "histogram", "histograms", "parameters", "flight")
    }


def test_the_same_log_gives_the_same_bytes(logdir: Path) -> None:
    first, second = (package.pack(held_of(logdir, 60_000.0).answers) for _ in range(2))
    assert first == second
    header, bodies = framing.unpack(gzip.decompress(first))
    assert sum(entry["size"] for entry in header["answers"]) == len(bodies)
