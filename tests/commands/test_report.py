"""`tb-gradclip report`: for people, for pipes and for programs, whatever runs are called."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

import tb_gradclip
from tb_gradclip.cli import main
from tb_gradclip.commands import report
from tb_gradclip.commands.plain import inert
from tb_gradclip.commands.summary import sparkline
from tb_gradclip.core.rules import Rule
from tests.commands.runs import flat, record, steady
from tests.imports.logs import megatron, training
from tests.logs import write_run
from tests.plugin.server import serve

LISTED_ONLY = ("recorded", "loss", "alerts", "parameters_left_out")
"""Fields of the dashboard's list of runs that a report lacks, or has in other words."""

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202eevil\r"
COMMAND = [sys.executable, "-m", "tb_gradclip", "report"]


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs")
    write_run(path / "healthy", 300, Rule("global_norm", 1.0))
    write_run(path / "broken", 300, Rule("none"), breaks_at=200)
    return path


def terminal(logdir: Path, columns: int, **changes: str) -> str:
    """What the process writes to a terminal of this width."""
    ours, its = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    for name in ("NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    environment |= changes
    process = subprocess.Popen([*COMMAND, str(logdir)], stdout=its, stderr=subprocess.PIPE, env=environment)
    os.close(its)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    _, complaints = process.communicate()
    os.close(ours)
    assert (process.returncode, complaints) == (0, b"")
    return written.decode().replace("\r\n", "\n")


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def test_a_pipe_gets_a_line_for_every_run_then_its_alerts(logdir: Path) -> None:
    done = subprocess.run([*COMMAND, str(logdir)], capture_output=True, text=True, check=True)
    headings, broken, healthy, alert = done.stdout.splitlines()
    columns = re.split(r"\s{2,}", headings)
    assert columns == [
        *("run", "rule", "steps", "last loss", "clip rate, last 100"),
        *("run total", "throttle", "alerts", "lint"),
    ]
    assert re.split(r"\s{2,}", broken) == ["broken", "none", "300", "–", "–", "–", "–", "NaN 200", "none"]
    assert re.split(r"\s{2,}", healthy)[:3] == ["healthy", "global norm ≤ 1", "300"]
    assert alert.startswith("broken: step 200: nonfinite: loss is NaN and gradient norm is NaN in 3 parameters")
    assert "\x1b" not in done.stdout
    assert not set("│┃─━┏╭|") & set(done.stdout)


def test_figures_are_those_of_the_dashboard(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(logdir), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], [run["name"] for run in told["runs"]]) == (1, ["broken", "healthy"])
    assert all(f"`{key}`" in str(report.__doc__) for run in told["runs"] for key in run)
    for own, listed in zip(told["runs"], serve(logdir).get("/runs").json["runs"], strict=True):
        last, alerts = own.pop("last_loss"), own.pop("alerts")
        assert own == {key: value for key, value in listed.items() if key not in LISTED_ONLY}
        assert [{**alert, "computed": False} for alert in alerts] == listed["alerts"]
        losses = tb_gradclip.read(logdir)[own["name"]].steps["loss"][-50:]
        assert last == (None if np.isnan(losses).all() else pytest.approx(losses.mean()))


def test_json_needs_no_rich_and_has_no_nan(logdir: Path) -> None:
    program = "import sys; sys.modules['rich'] = None\nfrom tb_gradclip.cli import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "report", "--json", str(logdir)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    json.loads(done.stdout, parse_constant=refuse)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal_gets_colours_sparklines_and_lines_of_its_width(logdir: Path, columns: int) -> None:
    written = terminal(logdir, columns)
    assert "\x1b[" in written
    lines = without_colours(written).splitlines()
    assert max(map(cell_len, lines)) <= columns
    text = " ".join(" ".join(lines).split())
    assert "healthy global norm ≤ 1 300 steps" in text
    assert re.search(r"loss [▁▂▃▄▅▆▇█]+ [\d.]+ → [\d.]+", text)
    assert "NaN 200" in text
    assert "of the last 100 steps" in text


def test_who_wants_no_colour_gets_none(logdir: Path) -> None:
    assert re.search(r"\x1b\[[\d;]*3\dm", terminal(logdir, 80))
    assert not re.search(r"\x1b\[[\d;]*3\dm", terminal(logdir, 80, NO_COLOR="1"))


def test_names_and_messages_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    norms = steady(0.3)
    norms[500] = np.nan
    record(tmp_path / HOSTILE, norms, flat(2.0), parameter=f"w{HOSTILE}")
    for written in (
        subprocess.run([*COMMAND, str(tmp_path)], capture_output=True, check=True).stdout.decode(),
        without_colours(terminal(tmp_path, 300)),
        subprocess.run([*COMMAND[:-1], "check", str(tmp_path)], capture_output=True, check=False).stdout.decode(),
    ):
        assert r"\x1b]0;owned\x07\x1b[2J\u202eevil\r" in written
        assert not set("\x1b\x07\r\u202e") & set(written)


def test_every_sign_that_a_terminal_obeys_is_escaped_and_no_other() -> None:
    assert inert("a\tb\nc\x9b\u2028\ud800") == r"a\tb\nc\x9b\u2028\ud800"
    assert inert("größe ≤ 1 – 梯度 🙂") == "größe ≤ 1 – 梯度 🙂"


def test_an_imported_run_says_where_it_comes_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = megatron(tmp_path / "train.log", training(300))
    assert main(["import", str(source), "--logdir", str(tmp_path / "runs")]) == 0
    capsys.readouterr()
    assert main(["report", str(tmp_path / "runs")]) == 0
    _, row, *notes = capsys.readouterr().out.splitlines()
    assert re.split(r"\s{2,}", row)[:3] == ["train", "global norm ≤ 1 (imported)", "30"]
    source_note = "train: imported from train.log (Megatron-LM): norms of the last step of each logging window"
    assert any(note.startswith(source_note) for note in notes)
    assert "source imported from train.log" in " ".join(without_colours(terminal(tmp_path / "runs", 120)).split())


def test_a_terminal_without_these_signs_gets_others(logdir: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*COMMAND, str(logdir)], capture_output=True, env=environment, check=True)
    assert b"global norm ? 1" in done.stdout
    assert "global norm ? 1" in terminal(logdir, 80, PYTHONIOENCODING="ascii")


def test_a_reader_that_goes_away_is_no_failure(tmp_path: Path) -> None:
    record(tmp_path / "run", steady(0.3), np.where(np.arange(1000) % 100 == 60, 99.0, flat(2.0)))
    process = subprocess.Popen([*COMMAND, "--json", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, complaints = process.communicate()
    assert (process.returncode, complaints) == (0, b"")


@pytest.mark.parametrize(("name", "message"), [("nowhere", "`logdir` must be a directory"), ("", "no run under")])
@pytest.mark.parametrize("command", ["report", "check"])
def test_nothing_to_look_at_is_an_error_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, name: str, message: str
) -> None:
    assert main([command, str(tmp_path / name)]) == 2
    assert message in capsys.readouterr().err


def test_a_sparkline_shows_the_largest_of_each_part() -> None:
    assert sparkline(np.arange(8.0), 8) == "▁▂▃▄▅▆▇█"
    assert sparkline(np.arange(800.0), 8) == "▁▂▃▄▅▆▇█"
    spike = np.zeros(1000)
    spike[637] = 1.0
    assert sparkline(spike, 10) == "▁▁▁▁▁▁█▁▁▁"
    assert sparkline(np.array([0.5, 0.5]), 10) == "▁▁"
    assert sparkline(np.array([0.5, 1.0]), 10, (0, 1)) == "▅█"
    assert sparkline(np.array([np.nan, np.inf, 1.0, np.nan, 2.0]), 5) == " ×▁ █"
    assert sparkline(np.full(9, np.nan), 3) == "   "
    assert sparkline(np.array([0.0, 1e-3, 1.0, 1e3]), 4, log=True) == "▁▁▅█"
    assert sparkline(np.zeros(4), 4, log=True) == "▁▁▁▁"
