"""`tb-gradclip report --out`, on written logs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tb_gradclip.cli import main
from tb_gradclip.commands.html_report import MOST_BYTES
from tb_gradclip.core.rules import Rule
from tests.logs import write_run
from tests.scalars import diverging_loss, points, write_scalars


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    write_run(tmp_path / "logs" / "healthy", 300, Rule("global_norm", 1.0))
    return tmp_path / "logs"


def test_it_writes_one_file_and_says_where_and_how_large(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = logdir.parent / "report.html"
    assert main(["report", str(logdir), "--out", str(out)]) == 0
    size = out.stat().st_size
    assert capsys.readouterr().out == f"{out}: 1 run, {size / 1e6:.2f} MB\n"
    assert 250_000 < size < MOST_BYTES
    assert sorted(os.listdir(out.parent)) == ["logs", "report.html"]
    text = out.read_text(encoding="utf-8")
    assert "Report of logs, made 20" in text
    assert "lines of at most 300 points a run" in text
    assert str(logdir.parent) not in text


def test_it_may_be_read_by_whoever_may_read_other_files(logdir: Path) -> None:
    out, other = logdir.parent / "report.html", logdir.parent / "other"
    other.touch()
    assert main(["report", str(logdir), "--out", str(out)]) == 0
    assert out.stat().st_mode == other.stat().st_mode


def test_a_report_takes_the_place_of_an_older_one_all_at_once(logdir: Path) -> None:
    out = logdir.parent / "report.html"
    out.write_text("old")
    with out.open() as old:
        assert main(["report", str(logdir), "--out", str(out)]) == 0
        assert old.read() == "old"
    assert out.stat().st_size > 250_000


def test_runs_are_chosen_by_name(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(logdir / "broken", 300, Rule("none"), breaks_at=200)
    write_scalars(logdir / "plain", {"train/loss": points(diverging_loss())})
    out = logdir.parent / "report.html"
    assert main(["report", str(logdir), "--run", "broken|plain", "--out", str(out)]) == 0
    assert ": 2 runs, " in capsys.readouterr().out


def test_where_nothing_can_be_written_is_an_error_of_its_own(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for out, message in [
        (logdir, "`--out` must be a file, got the directory"),
        (logdir / "nowhere" / "report.html", "`--out` must be in a directory that is there"),
        (logdir.parent / ("x" * 300), "File name too long"),
    ]:
        assert main(["report", str(logdir), "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
    assert sorted(os.listdir(logdir.parent)) == ["logs"]


def test_nothing_to_report_on_is_an_error_and_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scalars(tmp_path / "logs" / "plain", {"lr": points([0.1] * 20)})
    out = tmp_path / "report.html"
    for logdir, more, message in [
        (tmp_path / "logs", [], "no run under"),
        (tmp_path / "logs", ["--run", "nobody"], "no run under"),
        (tmp_path / "nowhere", [], "`logdir` must be a directory"),
    ]:
        assert main(["report", str(logdir), *more, "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()


def test_too_many_runs_are_refused_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(101):
        write_scalars(tmp_path / "logs" / str(number), {"loss": points([1.0, 0.5])})
    out = tmp_path / "report.html"
    assert main(["report", str(tmp_path / "logs"), "--out", str(out)]) == 2
    assert "at most 100 runs, these would be 101. Choose some by name: --run REGEX" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "logs"), "--run", "^1", "--out", str(out)]) == 0
    assert out.stat().st_size < MOST_BYTES


def test_a_disk_that_is_full_leaves_the_old_report(logdir: Path) -> None:
    out = logdir.parent / "report.html"
    out.write_text("old")
    program = (
        "import resource, signal, sys; from tb_gradclip.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"sys.exit(main(['report', {str(logdir)!r}, '--out', {str(out)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "File too large" in done.stderr
    assert out.read_text() == "old"
    assert sorted(os.listdir(out.parent)) == ["logs", "report.html"]


def test_names_that_are_no_text_are_written_as_they_can_be(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(Path(os.fsdecode(os.fsencode(logdir) + b"/caf\xe9")), 300, Rule("global_norm", 1.0))
    out = logdir.parent / "report.html"
    assert main(["report", str(logdir), "--out", str(out)]) == 0
    assert ": 2 runs, " in capsys.readouterr().out


def test_json_and_out_are_not_given_together(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report", str(logdir), "--json", "--out", "x.html"])
    assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err
