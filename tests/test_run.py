"""`tb-gradclip run`: scripts that know nothing of it are recorded, and do what they do without, to the last bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tb_gradclip
from tb_gradclip import Run

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "tests" / "scripts"


@dataclass
class Pair:
    """What a script did by itself, and what it did under `tb-gradclip run`."""

    alone: tuple[int, str, str]
    recorded: tuple[int, str, str]
    said: list[str]
    logdir: Path

    @property
    def runs(self) -> dict[str, Run]:
        return tb_gradclip.read(self.logdir)


def both(logdir: Path, *command: str, cwd: Path = SCRIPTS) -> Pair:
    """Run a script with and without, side by side."""
    alone, recorded = start(command, cwd), start([*RECORDED, str(logdir), *command], cwd)
    status, out, err = finish(recorded)
    said = [line for line in err.splitlines() if line.startswith("gradclip: ")]
    heard = "".join(line for line in err.splitlines(keepends=True) if not line.startswith("gradclip: "))
    return Pair(finish(alone), (status, out, heard), said, logdir)


RECORDED = ("-m", "tb_gradclip", "run", "--logdir")


def start(command: Sequence[str], cwd: Path = SCRIPTS, **environment: str) -> subprocess.Popen[str]:
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *command], cwd=cwd, env=variables, text=True, stdout=pipe, stderr=pipe)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


@pytest.mark.parametrize("how", ["end", "status", "message", "error"])
def test_a_script_starts_and_ends_as_under_python(tmp_path: Path, how: str) -> None:
    pair = both(tmp_path / "log", "plain.py", how, "--logdir", "its own", "-h", "-m", "--")
    assert pair.recorded == pair.alone
    assert pair.alone[0] == {"end": 0, "status": 3}.get(how, 1)
    assert pair.alone[1].endswith("[]\n")  # nothing is imported that the script does not import
    assert not pair.logdir.exists()
    assert len(pair.said) == 1
    assert "nothing was recorded, because in this process no step of a torch.optim optimizer" in pair.said[0]


def test_an_interrupt_ends_a_script_by_signal(tmp_path: Path) -> None:
    pair = both(tmp_path, "plain.py", "interrupt")
    assert pair.recorded == pair.alone
    assert pair.alone[0] == -signal.SIGINT


def test_a_module_starts_as_under_python(tmp_path: Path) -> None:
    package = tmp_path / "package" / "inner"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text("from package.inner import NAME\nprint(NAME)\n")
    (package / "__init__.py").write_text("NAME = 'inside'\n")
    (package / "plain.py").write_text((SCRIPTS / "plain.py").read_text())
    for name in ("package.inner.plain", "package.inner"):
        pair = both(tmp_path / "log", "-m", name, "status", "-m", cwd=tmp_path)
        assert pair.recorded == pair.alone
        assert pair.alone[1]


def test_a_script_reached_by_a_link_imports_from_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "neighbour.py").write_text("print(__file__)")
    (tmp_path / "real" / "script.py").write_text("import neighbour\nprint(__file__)")
    (tmp_path / "link.py").symlink_to("real/script.py")
    pair = both(tmp_path / "log", "link.py", cwd=tmp_path)
    assert pair.recorded == pair.alone
    assert pair.alone[0] == 0


def test_a_script_with_a_syntax_error_says_so_as_under_python(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("if True\n")
    pair = both(tmp_path / "log", "script.py", cwd=tmp_path)
    assert pair.recorded == pair.alone
    assert "SyntaxError" in pair.alone[2]


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (["--logdir", "log", "nowhere.py"], 2, "can't open file"),
        (["--logdir", "log", "-m", "nowhere.at_all"], 1, "No module named nowhere.at_all"),
        (["--logdir", "log"], 2, "`run` must be given a script, got none. Write: tb-gradclip run --logdir DIR"),
        (["script.py", "--logdir", "log"], 2, "the following arguments are required: --logdir"),
    ],
)
def test_what_cannot_be_run_is_said(tmp_path: Path, command: list[str], status: int, message: str) -> None:
    program = [Path(sys.executable).with_name("tb-gradclip"), "run", *command]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def torch_loops(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return both(tmp_path_factory.mktemp("torch"), "torch_loops.py")


def test_loops_of_pytorch_are_the_same_to_the_last_bit(torch_loops: Pair) -> None:
    assert torch_loops.recorded == torch_loops.alone
    assert torch_loops.alone[0] == 0, torch_loops.alone[2]
    assert torch_loops.said == [
        f"gradclip: 14 runs recorded. To see what clipping did: tensorboard --logdir {torch_loops.logdir}"
    ]


NAMES = ["0.weight", "0.bias", "2.weight", "2.bias"]
RULES = {"Unclipped": "none", "Closure": "none", "ByValue": "value"}
LOOPS = ["Clipped", "Unclipped", "ByValue", "Wrapped", "Compiled", "Closure", "Accumulated", "Scaled", "Generator"]
LOOPS += ["Together", "TakenOver", "PartlyFrozen", "Several"]


def run_of(pair: Pair, name: str) -> Run:
    (found,) = [run for path, run in pair.runs.items() if path.split("-")[0] == (name if name != "Clipped" else ".")]
    return found


def seen_by(pair: Pair, name: str) -> Any:
    return json.loads(pair.alone[1])[name]


@pytest.mark.parametrize("name", LOOPS)
def test_every_loop_of_pytorch_is_recorded_as_it_saw_itself(torch_loops: Pair, name: str) -> None:
    run, seen = run_of(torch_loops, name), seen_by(torch_loops, name)
    turns = 2 if name == "Generator" else 1
    assert run.complete
    assert run.rule.kind == RULES.get(name, "global_norm")
    names = [f"{model}.{name}" for model in ("Several", "Several-2") for name in NAMES] + ["group0.8"]
    assert [parameter.name for parameter in run.parameters] == (names if name == "Several" else NAMES)
    np.testing.assert_allclose(run.steps["loss"], seen["losses"][turns - 1 :: turns], rtol=1e-6)
    np.testing.assert_allclose(run.steps["norm_before"], seen["norms"][turns - 1 :: turns], rtol=1e-5)
    assert run.steps["skipped"].tolist() == [name == "Scaled" and step in (0, 2) for step in range(6)]


def test_a_discriminator_is_a_run_with_losses_of_its_own(torch_loops: Pair) -> None:
    run, seen = run_of(torch_loops, "Discriminator"), seen_by(torch_loops, "Generator")
    np.testing.assert_allclose(run.steps["loss"], seen["losses"][::2], rtol=1e-6)
    np.testing.assert_allclose(run.steps["norm_before"], seen["norms"][::2], rtol=1e-5)


def test_processes_that_load_data_record_nothing(tmp_path: Path) -> None:
    pair = both(tmp_path, "workers.py")
    assert pair.recorded == pair.alone
    assert pair.alone[0] == 0, pair.alone[2]
    assert len(list(tmp_path.rglob("*tfevents*"))) == 1
    assert len(pair.runs["."].steps) == 8


def test_what_a_script_records_itself_is_left_to_it(tmp_path: Path) -> None:
    pair = both(Path("ours"), str(SCRIPTS / "recording.py"), cwd=tmp_path)
    assert pair.recorded == pair.alone  # with a traceback through backward()
    assert "grad can be implicitly created only for scalar outputs" in pair.alone[2]
    (run,) = tb_gradclip.read(tmp_path / "ours").values()
    assert [parameter.shape for parameter in run.parameters] == [(1, 4), (1,)]
    assert len(run.steps) == 3


def test_optimizers_that_are_gone_make_room_and_too_many_at_a_time_are_told(tmp_path: Path) -> None:
    status, _, err = finish(start([*RECORDED, str(tmp_path), "torch_loops.py", "Fold", "Part"]))
    assert status == 0, err
    assert err.splitlines()[0] == (
        "gradclip: there are more than 16 optimizers at a time; no further ones are recorded."
    )
    names = [name.split("-")[0] for name in tb_gradclip.read(tmp_path)]
    assert {name: names.count(name) for name in names} == {".": 1, "Fold": 19, "Layers": 16}


def test_only_rank_0_records(torch_loops: Pair, tmp_path: Path) -> None:
    status, out, err = finish(start([*RECORDED, str(tmp_path / "log"), "torch_loops.py", "Clipped"], RANK="1"))
    assert (status, err) == (0, "")
    assert json.loads(out)["Clipped"] == seen_by(torch_loops, "Clipped")
    assert not (tmp_path / "log").exists()


def test_a_failure_of_ours_is_a_line_and_training_goes_on(torch_loops: Pair, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("no directory")
    command = [*RECORDED, str(tmp_path / "log"), "torch_loops.py", "Clipped"]
    status, out, err = finish(start(command, PYTHONWARNINGS="error"))
    assert status == 0, err
    assert json.loads(out) == {"Clipped": seen_by(torch_loops, "Clipped")}
    first, last = err.splitlines()
    assert first.startswith("gradclip: not recorded: FileExistsError: `logdir` must be a directory that can be written")
    assert last.startswith("gradclip: nothing was recorded")


def test_every_fit_of_keras_is_recorded_and_the_same_to_the_last_bit(tmp_path: Path) -> None:
    pair = both(tmp_path, "keras_fits.py")
    assert pair.alone[0] == pair.recorded[0] == 0, pair.recorded[2]
    alone, recorded = (out.splitlines()[-1] for out in (pair.alone[1], pair.recorded[1]))
    assert recorded == alone
    assert [said.split(":")[1] for said in pair.said] == [" not recorded", " 2 runs recorded. To see what clipping did"]
    assert "the model must have trainable variables, got none" in pair.said[0]
    assert_fits_are_recorded(tmp_path, json.loads(recorded))


def test_keras_on_pytorch_is_recorded_by_the_part_for_keras_alone(tmp_path: Path) -> None:
    command = [*RECORDED, str(tmp_path), "keras_fits.py"]
    status, out, err = finish(start(command, KERAS_BACKEND="torch"))
    assert status == 0, err
    assert_fits_are_recorded(tmp_path, json.loads(out.splitlines()[-1]))


def assert_fits_are_recorded(logdir: Path, seen: Any) -> None:
    runs = tb_gradclip.read(logdir)
    assert {name: run.rule.kind for name, run in runs.items()} == {".": "norm", "value-2": "value"}
    assert runs["."].steps["step"].tolist() == list(range(5))  # of two fits
    assert runs["value-2"].steps["step"].tolist() == list(range(6))
    np.testing.assert_allclose(runs["."].steps["loss"][2:], seen["losses"], rtol=1e-6)  # each batch is an epoch


SHARDED = """
import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard

dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
torch.manual_seed(0)
model = fully_shard(torch.nn.Linear(3, 2), mesh=torch.distributed.device_mesh.init_device_mesh("cpu", (1,)))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for _ in range(3):
    optimizer.zero_grad()
    model(torch.ones(4, 3)).square().sum().backward()
    print(torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1).full_tensor().item())
    optimizer.step()
dist.destroy_process_group()
"""


def test_shards_of_which_one_process_knows_its_own_alone_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SHARDED)
    pair = both(tmp_path / "log", "script.py", cwd=tmp_path)
    assert pair.recorded == pair.alone
    assert len(pair.alone[1].split()) == 3
    assert "Call tb_gradclip.torch.watch in the script" in pair.said[0]
    assert not pair.logdir.exists()
