"""Every reason why the tab can be missing or empty, brought about, and what the doctor says to it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

import tb_gradclip
from tb_gradclip.commands.installation import interpreter
from tests.environments import environment
from tests.logs import write_runs
from tests.tensorboard import LOADERS, tensorboard, wait_for_steps
from tests.test_recorder import measured, recorder


def doctor(*arguments: object, python: Path = Path(sys.executable), path: str | None = None) -> tuple[int, str]:
    """Exit status and words, in one line, with the commands of one Python first on the path."""
    environ = {**os.environ, "PATH": path or f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    environ.pop("PYTHONPATH", None)  # which the other Python would follow as well
    command = [sys.executable, "-m", "tb_gradclip", "doctor", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, cwd="/")
    assert done.stderr == ""
    found = re.split(r"^(?=\S)", done.stdout, flags=re.MULTILINE)
    assert [each for each in found if each.startswith("PROBLEM") and "→" not in each] == []
    return done.returncode, " ".join(done.stdout.split())


def with_tensorboard(directory: Path, *requirements: str) -> Path:
    """A Python with TensorBoard, its command beside it."""
    python = environment(directory, ["tensorboard", *requirements])
    script = python.parent / "tensorboard"
    script.write_text(f"#!{python}\nfrom tensorboard.main import run_main\nrun_main()\n")
    script.chmod(0o755)
    return python


def add_plugin(python: Path, module: str) -> None:
    """Install another plugin of TensorBoard: a module, and what registers it."""
    register(python, "another", "1.0", "another = another").with_name("another.py").write_text(module)


def register(python: Path, name: str, version: str, plugin: str = "") -> Path:
    """What tells of an installed package, and of a plugin that it brings; returns where that is."""
    (site,) = python.parent.parent.glob("lib/python*/site-packages")
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[tensorboard_plugins]\n{plugin}\n")
    return info


def test_where_all_is_well_it_says_so(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    write_runs(logs, 200)
    with tensorboard(logs) as address:
        wait_for_steps(address, 200)
        status, said = doctor(logs)
    assert status == 0
    assert "PROBLEM" not in said
    assert "Run 'clipped': 200 steps, 0 to 199, global norm ≤ 1." in said
    assert f"at {address} on {logs} shows every step of 3 runs" in said


def test_a_tensorboard_without_the_plugin_is_told_where_to_install_it(tmp_path: Path) -> None:
    python = with_tensorboard(tmp_path / "other")
    status, said = doctor(python=python)
    assert status == 1
    assert f"TensorBoard belongs to {python}, where tb_gradclip is not installed" in said
    assert f"→ {python} -m pip install tb-gradclip, or start the TensorBoard from here: {sys.executable} -m" in said


def test_a_command_whose_tensorboard_was_uninstalled(tmp_path: Path) -> None:
    python = with_tensorboard(tmp_path / "other")
    for place in python.parent.parent.glob("lib/python*/site-packages/tensorboard*"):
        place.unlink()
    status, said = doctor(python=python)
    assert status == 1
    assert f"TensorBoard is not installed for {python}. → {python} -m pip install tensorboard" in said


def test_a_command_whose_python_is_gone(tmp_path: Path) -> None:
    python = with_tensorboard(tmp_path / "other")
    (python.parent / "tensorboard").write_text("#!/nowhere/bin/python\n")
    status, said = doctor(python=python)
    assert status == 1
    assert "belongs to /nowhere/bin/python, which could not be asked" in said


def test_another_version_beside_tensorboard(tmp_path: Path) -> None:
    python = with_tensorboard(tmp_path / "other")
    register(python, "tb_gradclip", "0.0.1", "gradclip = json")
    status, said = doctor(python=python)
    assert status == 0
    assert f"This is tb_gradclip {tb_gradclip.__version__}; TensorBoard's, 0.0.1, may not read it all." in said
    assert f"→ {python} -m pip install --upgrade tb-gradclip" in said


def test_a_package_that_is_there_and_not_registered(tmp_path: Path) -> None:
    python = with_tensorboard(tmp_path / "other")
    register(python, "tb_gradclip", tb_gradclip.__version__)
    status, said = doctor(python=python)
    assert status == 1
    assert "is not registered as a plugin of TensorBoard" in said


def test_a_path_without_tensorboard_is_told_how_to_start_it(tmp_path: Path) -> None:
    status, said = doctor(path=str(tmp_path))
    assert status == 0
    assert f"no command `tensorboard` on the path. → Start it with: {sys.executable} -m tensorboard.main" in said


@pytest.mark.parametrize(
    ("module", "words", "remedy"),
    [
        ("import pkg_resources_that_is_gone as pkg_resources", "the plugin another (another) needs the module", "<82"),
        ("1 / 0", "the plugin another (another) fails with ZeroDivisionError: division by zero", "or uninstall it"),
        ("import sys; sys.exit('no')", "the plugin another (another) fails with SystemExit: no", "or uninstall it"),
    ],
    ids=["pkg_resources", "error", "exit"],
)
def test_a_plugin_that_keeps_tensorboard_from_starting_is_named(
    tmp_path: Path, module: str, words: str, remedy: str
) -> None:
    python = with_tensorboard(tmp_path / "other")
    add_plugin(python, module)
    started = subprocess.run([python, "-m", "tensorboard.main", "--version"], capture_output=True, check=False)
    assert started.returncode != 0
    status, said = doctor(python=python)
    assert status == 1
    assert "TensorBoard cannot start" in said
    assert words in said
    assert remedy in said


def test_without_the_fast_loader_large_logs_are_said_to_take_longer(tmp_path: Path) -> None:
    python = with_tensorboard(tmp_path / "other")
    for place in python.parent.parent.glob("lib/python*/site-packages/tensorboard_data_server*"):
        place.unlink()
    _, said = doctor(python=python)
    assert "fast loader is missing" in said
    assert "tensorboard-data-server" in said


@pytest.mark.parametrize("version", ["1.15.0", "2.17.0rc5"])
def test_a_tensorboard_that_is_too_old_is_to_be_upgraded(tmp_path: Path, version: str) -> None:
    python = with_tensorboard(tmp_path / "other")
    (info,) = python.parent.parent.glob("lib/python*/site-packages/tensorboard-*.dist-info")
    metadata = (info / "METADATA").read_text()
    info.unlink()
    info.mkdir()
    (info / "METADATA").write_text(re.sub("\nVersion: .*", f"\nVersion: {version}", metadata, count=1))
    status, said = doctor(python=python)
    assert status == 1
    assert "The tab needs TensorBoard 2.17.1 or newer." in said


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    status, said = doctor(tmp_path / "nowhere")
    assert status == 1
    assert f"There is no directory '{tmp_path / 'nowhere'}' here" in said


def test_a_directory_without_logs(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    status, said = doctor(tmp_path)
    assert status == 1
    assert "is an event file" in said
    assert f"No TensorBoard runs on '{tmp_path}'." in said


def scalar(tag: str, wall_time: float) -> bytes:
    value = Summary.Value(tag=tag, simple_value=1.0)
    return bytes(Event(wall_time=wall_time, step=1, summary=Summary(value=[value])).SerializeToString())


def test_logs_that_hold_nothing_of_ours(tmp_path: Path) -> None:
    writer = EventFileWriter(str(tmp_path))
    writer.add_event(Event.FromString(scalar("accuracy", time.time())))
    writer.close()
    status, said = doctor(tmp_path)
    assert status == 1
    assert "1 run under" in said
    assert "none with data of ours" in said


def test_a_writer_that_was_made_and_never_stepped(tmp_path: Path) -> None:
    book = recorder(tmp_path / "run")
    book.add_steps(measured(0, [1.0]))
    book.close()
    without_steps(tmp_path / "run", slice(None))
    status, said = doctor(tmp_path)
    assert status == 1
    assert "Run 'run' has no step yet" in said


def test_a_run_that_lost_steps(tmp_path: Path) -> None:
    book = recorder(tmp_path / "run")
    for first in range(0, 4000, 100):
        book.add_steps(measured(first, [1.0] * 100))
    book.close()
    without_steps(tmp_path / "run", slice(1, 2))
    status, said = doctor(tmp_path)
    assert status == 0
    assert "Run 'run' lacks steps" in said


def without_steps(directory: Path, left_out: slice) -> None:
    """Write the event file of a run anew, without these of its records of steps."""
    (file,) = directory.iterdir()
    kept = records(file)
    steps = [event for event in kept if any("/steps/" in value.tag for value in event.summary.value)]
    file.unlink()
    writer = EventFileWriter(str(directory))
    for event in kept:
        if event not in steps[left_out]:
            writer.add_event(event)
    writer.close()


def records(file: Path) -> list[Event]:
    from tb_gradclip.storage.events import read_events

    return list(read_events(file))


@pytest.mark.parametrize(("overlap", "status"), [(60.0, 1), (-60.0, 0)], ids=["together", "one after another"])
def test_two_writers_in_one_directory(tmp_path: Path, overlap: float, status: int) -> None:
    write_runs(tmp_path, 200)
    (ours,) = (tmp_path / "clipped").iterdir()
    begun = int(max(event.wall_time for event in records(ours)) - overlap)
    writer = EventFileWriter(str(tmp_path / "elsewhere"))
    writer.add_event(Event.FromString(scalar("loss", begun + 1.0)))
    writer.close()
    (theirs,) = (tmp_path / "elsewhere").iterdir()
    first = int(min(event.wall_time for event in records(ours)))
    ours.rename(ours.with_name(f"events.out.tfevents.{first}.host"))
    theirs.rename(tmp_path / "clipped" / f"events.out.tfevents.{begun}.other")
    found, said = doctor(tmp_path)
    assert ("Two writers were at work in run 'clipped'" in said) == bool(status)
    assert found == status


@pytest.mark.parametrize("fast", LOADERS)
def test_a_tensorboard_that_dropped_samples(tmp_path: Path, fast: str) -> None:
    logs = tmp_path / "logs"
    write_runs(logs, 1200)
    with tensorboard(logs, f"--load_fast={fast}", "--samples_per_plugin=gradclip=1"):
        deadline = time.monotonic() + 60
        while "lacks steps of broken, by_value, clipped" not in (said := doctor(logs)[1]):
            assert time.monotonic() < deadline, said
            time.sleep(0.5)
    assert "without `gradclip=...` in --samples_per_plugin" in said


def test_a_tensorboard_that_was_started_before_the_plugin_was_installed(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    write_runs(logs, 200)
    other = with_tensorboard(tmp_path / "other")
    with tensorboard(logs, start=(other, "-m", "tensorboard.main")):
        status, said = doctor(logs)
    assert status == 1
    assert "does not know the plugin" in said
    assert "Stop that TensorBoard and start it again." in said


@pytest.mark.parametrize(
    ("script", "python"),
    [
        ("#!/opt/env/bin/python3.11\nimport re\n", "/opt/env/bin/python3.11"),
        (
            "#!/bin/sh\n'''exec' \"/a b/bin/python\" \"$0\" \"$@\"\n' '''\nimport re\n",
            "/a b/bin/python",
        ),
        ("#!/bin/sh\nexec something\n", None),
        ("\x7fELF", None),
    ],
)
def test_the_python_of_a_command(tmp_path: Path, script: str, python: str | None) -> None:
    (tmp_path / "command").write_text(script)
    assert interpreter(tmp_path / "command") == (None if python is None else Path(python))
