"""The `csv` route: every step of a range, to the last bit, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from tensorboard.context import RequestContext
from werkzeug.test import Client

import tb_gradclip
from tb_gradclip.core import rates
from tb_gradclip.core.rules import Rule
from tb_gradclip.plugin import export
from tb_gradclip.plugin.answers import KINDS
from tb_gradclip.plugin.shown import Shown
from tb_gradclip.storage import provider as provider_module
from tb_gradclip.storage import source as source_module
from tb_gradclip.storage.outlined_source import OutlinedSource
from tb_gradclip.storage.provider import ProviderRuns
from tb_gradclip.storage.source import Recorded
from tests.logs import BREAK, START, GrowingRun, write_run, write_runs, write_small_records
from tests.plugin.server import serve
from tests.scalars import points, write_scalars
from tests.storage.test_provider import Watched
from tests.test_recorder import measured, recorder

COLUMNS = ("loss", "threshold", "norm_before", "norm_after", "coefficient", "clipped", "nonfinite")
WHOLE = (-np.inf, np.inf)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("csv")
    write_runs(path)
    return path


@pytest.fixture(scope="module")
def client(logdir: Path) -> Client:
    return serve(logdir)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def numbers(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


def test_every_number_of_every_step_comes_back_to_the_last_bit(
    client: Client, logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 700)
    wanted = "&".join(f"column={name}" for name in COLUMNS)
    answer = client.get(f"/csv?run=broken&run=clipped&{wanted}")
    assert answer.status_code == 200
    assert answer.text.startswith("run,step,wall_time,loss,threshold,")
    rows, written = table(answer.text), tb_gradclip.read(logdir)
    assert [row["run"] for row in rows] == ["broken"] * 5000 + ["clipped"] * 5000
    for run in ("broken", "clipped"):
        mine = [row for row in rows if row["run"] == run]
        for name in ("step", "wall_time", *COLUMNS):
            np.testing.assert_array_equal(numbers(mine, name), written[run].steps[name].astype(float))
    broken = rows[BREAK : BREAK + 12]
    assert {row["loss"] for row in broken} == {"nan"}
    assert {row["norm_before"] for row in broken} == {"nan", "inf"}
    assert {row["nonfinite"] for row in broken} == {"3"}


@pytest.mark.parametrize("window", [7, 100, 10**9])
def test_derived_columns_are_those_of_the_whole_run(
    client: Client, logdir: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 300)
    answer = client.get(f"/csv?run=clipped&column=clip_rate&column=throttle&window={window}&from=900&to=2000")
    rows, steps = table(answer.text), tb_gradclip.read(logdir)["clipped"].steps
    assert list(rows[0])[3:] == ["clip_rate", "clip_rate_low", "clip_rate_high", "throttle"]
    expected = rates.windowed_clip_rate(steps, window)
    for name, column in (("", expected.rate), ("_low", expected.low), ("_high", expected.high)):
        np.testing.assert_allclose(numbers(rows, f"clip_rate{name}"), column[900:2001], rtol=1e-12)
    np.testing.assert_array_equal(numbers(rows, "throttle"), rates.windowed_throttle(steps, window)[900:2001])


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("from=1000&to=1010", 1000, 1010),
        ("from=999.5&to=1010.5", 1000, 1010),
        ("from=50&to=55&axis=relative", 100, 110),
        (f"from={START + 50}&to={START + 55.2}&axis=wall_time", 100, 110),
        ("from=-5&to=0", 0, 0),
        ("from=4998&to=1e9", 4998, 4999),
        ("to=2&axis=relative", 0, 4),
    ],
)
def test_a_range_has_its_own_steps_and_no_other(client: Client, query: str, first: int, last: int) -> None:
    rows = table(client.get(f"/csv?run=clipped&column=loss&{query}").text)
    assert numbers(rows, "step").tolist() == list(range(first, last + 1))


@pytest.mark.parametrize(
    "query", ["from=5000", "to=-1", "from=10.2&to=10.8", "from=20&to=10", "from=1e9&axis=relative"]
)
def test_a_range_without_steps_is_a_header(client: Client, query: str) -> None:
    assert client.get(f"/csv?run=clipped&column=loss&{query}").text == "run,step,wall_time,loss\r\n"


HOSTILE = ["=1+2", "+cmd|calc", "-2+3", "@SUM(A1)", "\tname", 'say "hi", twice', "two\nlines", "＝1", "a=b", "ünï"]


def test_names_of_runs_are_no_formulas_and_break_nothing(tmp_path: Path) -> None:
    for name in HOSTILE:
        write_run(tmp_path / name, 3, Rule("global_norm", 1.0))
    answer = serve(tmp_path).get("/csv", query_string=[("run", name) for name in HOSTILE] + [("column", "loss")])
    rows = list(csv.reader(io.StringIO(answer.text, newline="")))
    assert {len(row) for row in rows} == {4}
    names = [row[0] for row in rows[1::3]]
    assert [name.removeprefix("'") for name in names] == HOSTILE
    assert [name.startswith("'") for name in names] == [True] * 5 + [False] * 2 + [True, False, False]


@pytest.fixture(scope="module")
def scalars(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Nothing but a scalar, both a recorded loss and a scalar, and recorded without a loss but with a scalar."""
    logdir = tmp_path_factory.mktemp("csv_scalars")
    write_scalars(logdir / "plain", {"train/loss": POINTS, "lr": points([0.1])})
    write_run(logdir / "both", 100, Rule("global_norm", 1.0))
    write_scalars(logdir / "both", {"train/loss": POINTS})
    book = recorder(logdir / "no_loss")
    book.add_steps(measured(0, [float("nan")] * 100))
    book.close()
    write_scalars(logdir / "no_loss", {"train/loss": POINTS})
    return serve(logdir)


POINTS = [(step, value) for step, value in points([0.5, *range(1, 60)], every=3) if step != 30] + [(150, 9.25)]


def test_a_run_of_nothing_but_scalars_has_the_points_of_its_loss(scalars: Client) -> None:
    answer = scalars.get("/csv?run=plain&column=loss&column=norm_before&column=clipped&column=clip_rate")
    assert answer.status_code == 200
    rows = table(answer.text)
    assert [(int(row["step"]), float(row["loss"])) for row in rows] == [(s, float(v)) for s, v in POINTS]
    assert numbers(rows, "wall_time").tolist() == [START + step / 2 for step, _ in POINTS]
    assert {row[name] for row in rows for name in ("norm_before", "clipped", "clip_rate", "clip_rate_low")} == {"nan"}


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        ("from=5&to=12", [6, 9, 12]),
        ("from=3&to=4.6&axis=relative", [6, 9]),
        (f"from={START + 20}&axis=wall_time", [*range(42, 60, 3), 150]),
        ("from=200", []),
    ],
)
def test_a_range_of_a_run_of_scalars_has_its_own_points(scalars: Client, query: str, steps: list[int]) -> None:
    rows = table(scalars.get(f"/csv?run=plain&column=loss&{query}").text)
    assert numbers(rows, "step").tolist() == steps


def test_other_columns_of_a_run_of_scalars_have_no_rows(scalars: Client) -> None:
    text = scalars.get("/csv?run=plain&run=both&column=norm_before").text
    assert {row["run"] for row in table(text)} == {"both"}
    assert scalars.get("/csv?run=plain&column=norm_before").text == "run,step,wall_time,norm_before\r\n"


@pytest.mark.parametrize("at_once", [10, 1 << 16])
def test_a_scalar_for_the_loss_stands_beside_what_was_recorded(
    scalars: Client, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", at_once)
    columns = "column=norm_before&column=loss&column=clipped"
    for run, query in (("no_loss", ""), ("both", "&loss=train/loss")):
        rows = table(scalars.get(f"/csv?run={run}&{columns}{query}").text)
        assert numbers(rows, "step").tolist() == [*range(100), 150]
        found = {int(row["step"]): float(row["loss"]) for row in rows if row["loss"] != "nan"}
        assert found == {step: float(value) for step, value in POINTS}
        assert (rows[-1]["norm_before"], rows[-1]["clipped"], rows[-1]["wall_time"]) == ("nan", "nan", str(START + 75))
        without = table(scalars.get(f"/csv?run={run}&column=norm_before&column=clipped").text)
        for name in ("norm_before", "clipped", "wall_time"):
            assert [row[name] for row in rows[:-1]] == [row[name] for row in without]
    own = table(scalars.get(f"/csv?run=both&{columns}").text)
    assert len(own) == 100
    assert np.isfinite(numbers(own, "loss")).all()


def test_it_is_a_download_under_a_name_of_ours(client: Client) -> None:
    answer = client.get("/csv?run=clipped&column=loss")
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="gradclip.csv"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_too_many_rows_are_refused_and_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MOST_ROWS", 9_999)
    answer = client.get("/csv?run=clipped&run=broken&column=loss")
    assert answer.status_code == 400
    assert "at most 9,999 rows, these would be 10,000: ask for fewer runs" in answer.text
    assert client.get("/csv?run=clipped&run=broken&column=loss&from=1").status_code == 200


def recorded(logdir: Path, *, outlined: bool) -> tuple[Recorded, Watched]:
    watched = Watched(logdir)
    watched.reload()
    runs = ProviderRuns(watched, KINDS)
    with pytest.MonkeyPatch.context() as patched:
        if not outlined:
            patched.setattr(source_module, "LEAST_SHARDS", 10**9)
        found = runs.runs(RequestContext(), "")["run"]
    assert isinstance(runs._sources["run"], OutlinedSource) == outlined
    return found, watched


def shown(run: Recorded) -> Shown:
    return Shown(run.run.name, run, None, ())


@pytest.mark.parametrize(
    ("axis", "bounds"),
    [("step", WHOLE), ("step", (6_900, 7_200)), ("relative", (100.2, 9_800)), ("wall_time", (START + 3_500, np.inf))],
)
def test_a_long_run_is_read_a_piece_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, axis: str, bounds: tuple[float, float]
) -> None:
    write_small_records(monkeypatch)
    monkeypatch.setattr(provider_module, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 1_500)
    run = GrowingRun(tmp_path / "run")
    run.grow(20_000)
    run.recorder.close()
    outlined, watched = recorded(tmp_path, outlined=True)
    whole, _ = recorded(tmp_path, outlined=False)
    wanted = export.Wanted((*COLUMNS, "clip_rate", "throttle"), axis, bounds, 100)
    watched.read.clear()
    most, pieces = 0, []
    for piece in export.csv_pieces([shown(outlined)], wanted):
        pieces.append(piece)
        most = max(most, len(watched.read))
        watched.read.clear()
    mine, theirs = (
        table(text.decode()) for text in (b"".join(pieces), b"".join(export.csv_pieces([shown(whole)], wanted)))
    )
    assert len(mine) == export.row_count([shown(whole)], wanted)
    assert abs(export.row_count([shown(outlined)], wanted) - len(mine)) <= 512
    for name in ("step", "wall_time", *COLUMNS):
        assert [row[name] for row in mine] == [row[name] for row in theirs]
    for name in ("clip_rate", "clip_rate_low", "clip_rate_high", "throttle"):
        np.testing.assert_allclose(numbers(mine, name), numbers(theirs, name), rtol=1e-12, atol=1e-12)
    assert max(piece.count(b"\n") for piece in pieces) <= 1_501
    assert most < 25  # of some fifty shards of steps
