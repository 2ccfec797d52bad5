"""What is asked without a server is what TensorBoard's own loader would have the dashboard given."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from werkzeug.test import Client

from tb_gradclip.core.rules import Rule
from tb_gradclip.offline.questions import Questions
from tb_gradclip.storage.events import event_files
from tests.logs import BREAK, SPIKE, GrowingRun, write_run, write_runs, write_small_records
from tests.plugin.server import serve
from tests.scalars import diverging_loss, points, write_scalars


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("questions") / "logs"
    write_runs(path)
    write_run(path / "both", 300, Rule("global_norm", 1.0))
    write_scalars(path / "both", {"val/loss": points(diverging_loss(), every=10)})
    write_scalars(path / "plain", {"train/loss": points(diverging_loss()), "lr": points([0.1] * 50)})
    write_scalars(path / "deeper/keras", {"epoch_loss": points(diverging_loss(100))}, tensors=True)
    return path


@pytest.fixture(scope="module")
def server(logdir: Path) -> Client:
    return serve(logdir)


COLUMNS = ["loss", "norm_before", "norm_after", "threshold", "clip_rate", "throttle"]
RECORDED = [
    ("what_if", {"points": 100}),
    ("parameters", {"windows": 50}),
    ("histograms", {"steps": 30}),
    ("histogram", {"step": 1000}),
    ("histogram", {"step": 1000, "parameter": "rnn.weight"}),
    ("flight", {"step": SPIKE}),
    ("flight", {"step": BREAK}),
]


def test_every_route_answers_what_it_answers_on_the_loader_of_tensorboard(logdir: Path, server: Client) -> None:
    files = event_files(logdir)
    assert sorted(files) == ["both", "broken", "by_value", "clipped", "deeper/keras", "plain"]
    listed = {run["name"]: run for run in server.get("/runs").json["runs"]}
    compared = 0
    for name, own in files.items():
        questions = Questions(name, own)
        asked = [("series", {"column": COLUMNS, "points": 400}), *(RECORDED if listed[name]["recorded"] else [])]
        for route, query in asked:
            expected = server.get(f"/{route}", query_string={"run": name, **query})
            assert questions.ask(route, run=name, **query) == (
                expected.get_data() if expected.status_code == 200 else None
            )
            compared += expected.status_code == 200
        assert json.loads(questions.ask("runs") or b"")["runs"] == [listed[name]]
    assert compared > 25


def test_long_runs_answer_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small_records(monkeypatch)
    run = GrowingRun(tmp_path / "long")
    run.grow(20_000)
    run.recorder.close()
    server = serve(tmp_path)
    questions = Questions("long", event_files(tmp_path)["long"])
    for route, query in [("series", {"column": COLUMNS, "points": 300}), ("histograms", {"steps": 40})]:
        expected = server.get(f"/{route}", query_string={"run": "long", **query})
        assert questions.ask(route, run="long", **query) == expected.get_data()


def test_a_route_that_refuses_a_question_says_why(logdir: Path) -> None:
    questions = Questions("clipped", event_files(logdir)["clipped"])
    assert questions.ask("histogram", run="nobody", step=3) is None
    with pytest.raises(RuntimeError, match="series answered 400: Invalid argument: `column` must be among"):
        questions.ask("series", run="clipped", column="none")


def test_no_framework_is_loaded(logdir: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom tb_gradclip.offline.questions import Questions\n"
        f"from tb_gradclip.storage.events import event_files\nfiles = event_files({str(logdir)!r})\n"
        "for name in files: Questions(name, files[name]).ask('runs')\n"
        "print(*({'tensorflow', 'torch'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
