"""Logs that are damaged, of another version or nonsense, beside good ones: TensorBoard starts, what is good is shown
whole, and what cannot be read is named."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_STRING, DT_UINT8

import tb_gradclip
from tb_gradclip.core import framing, schema
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import STEP_DTYPE, Measurements
from tb_gradclip.core.rules import TORCH_EPSILON, Rule
from tb_gradclip.core.schema import RunRecord, StepsRecord, Tag
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import EventFile
from tests.logs import START, write_run
from tests.tensorboard import LOADERS, fetch, tensorboard
from tests.trust.damage import ATTEMPT, records, summary, write_events, write_records

RULE = Rule("global_norm", 1.0, epsilon=TORCH_EPSILON)
STEPS = 1200
GOOD = ("a_good", "m_good", "z_good")
LONG = "n" * 10_000


def rows(count: int, first: int = 0) -> np.ndarray:
    table = np.zeros(count, STEP_DTYPE)
    table["step"], table["loss"] = np.arange(first, first + count), 1.0
    table["norm_before"] = table["norm_after"] = table["coefficient"] = 1.0
    table["threshold"], table["wall_time"] = 1.0, START + table["step"]
    return table


def steps(table: np.ndarray, first_row: int = 0) -> tuple[str, bytes]:
    return "steps", schema.encode_steps(StepsRecord(table, first_row))


def run_of(*names: str, rule: Rule = RULE) -> tuple[str, bytes]:
    return "run", schema.encode_run(RunRecord("torch", "torch 2", tuple(Parameter(name, (2,)) for name in names), rule))


def write_tensors(directory: Path) -> None:
    """Records of ours that are no rows of bytes, some of them no tensors at all."""
    dim = TensorShapeProto.Dim
    tensors = {
        "steps": TensorProto(dtype=DT_FLOAT, tensor_shape=TensorShapeProto(dim=[dim(size=2)]), float_val=[1.0, 2.0]),
        "alerts": TensorProto(dtype=DT_STRING, tensor_shape=TensorShapeProto(), string_val=[b"text"]),
        "histograms": TensorProto(
            dtype=DT_UINT8, tensor_shape=TensorShapeProto(dim=[dim(size=9), dim(size=2)]), tensor_content=b"short"
        ),
        "parameters": TensorProto(dtype=99, tensor_shape=TensorShapeProto(dim=[dim(size=3)]), tensor_content=b"abc"),
        "flights": TensorProto(
            dtype=DT_UINT8, tensor_shape=TensorShapeProto(dim=[dim(size=2), dim(size=2)]), tensor_content=b"abcd"
        ),
    }
    values = []
    for kind, tensor in tensors.items():
        value = summary(str(Tag(kind, ATTEMPT, 1)), b"")
        value.tensor.CopyFrom(tensor)
        values.append((1, value))
    good = [(kind, summary(str(Tag(kind, ATTEMPT, 0)), frame)) for kind, frame in (run_of("w"), steps(rows(10)))]
    write_events(directory, [*((0, value) for _, value in good), *values])


def write_bad(logdir: Path) -> None:
    """Every sort of bad run, one each, between good ones."""
    for name in GOOD:
        write_run(logdir / name, STEPS, RULE)
    (good,) = (logdir / GOOD[0]).iterdir()
    whole, rng = good.read_bytes(), np.random.default_rng(0)

    def write(name: str, data: bytes) -> None:
        (logdir / name).mkdir()
        (logdir / name / "events.out.tfevents.1").write_bytes(data)

    write("truncated", whole[: len(whole) // 2])
    flipped = bytearray(whole)
    for place in rng.integers(len(whole) // 4, len(whole), 40):
        flipped[place] ^= 1 << int(rng.integers(8))
    write("flipped", bytes(flipped))
    write("garbage", rng.bytes(100_000))
    write("empty", b"")
    write("zeros", bytes(10_000))
    (logdir / "folder" / "events.out.tfevents.1").mkdir(parents=True)
    newer = b'{"schema": 2, "kind": "steps"}'
    write_events(logdir / "newer", [(i, summary(str(Tag("steps", ATTEMPT, i)), b"x", content=newer)) for i in range(3)])
    write_tensors(logdir / "tensors")
    nan = rows(100)
    for column in ("loss", "threshold", "norm_before", "norm_after", "coefficient"):
        nan[column] = np.nan
    write_records(logdir / "nan", [run_of("w"), steps(nan)])
    backwards = rows(100)
    backwards["wall_time"] = START - np.arange(100)
    write_records(logdir / "clock", [run_of("w"), steps(backwards)])
    write_records(
        logdir / "order", [run_of("w"), steps(rows(50, 50), 50), steps(rows(50), 0), steps(rows(40, 20), 100)]
    )
    write_records(logdir / "no_run", [steps(rows(100))])
    write_records(
        logdir / "wrong_size",
        [run_of("w"), steps(rows(60)), *((k, records()[k][0]) for k in ("parameters", "histograms", "flights"))],
    )
    write_records(logdir / "names", [run_of(LONG, "w\n<b>", "\U0001f4a5"), steps(rows(60))])
    write_events(
        logdir / "tags",
        [
            (i, summary(tag, b""))
            for i, tag in enumerate((f"gradclip/steps/{LONG}/000000", "gradclip/steps/a/²", "gradclip/run/a/1", LONG))
        ],
    )
    for parameters in (["a", "b"], ["c"]):
        norms = np.ones((80, len(parameters)))
        recorder = Recorder(
            EventFile(logdir / "two_models"),
            framework="torch",
            library="torch 2",
            parameters=[Parameter(p, (2,)) for p in parameters],
        )
        axis = np.arange(80) + (0 if len(parameters) == 2 else 40)
        recorder.add_steps(Measurements(RULE, axis, START + axis, np.ones(80), np.ones(80), norms[:, 0], norms))
        recorder.close()
        time.sleep(0.01)


NAMED = {"flipped", "newer", "tensors", "no_run"}
"""Bad runs of which something cannot be read that either loader hands out."""

SHOWN = {"truncated", "tensors", "nan", "clock", "order", "wrong_size", "names", "two_models"}
"""Those of which something is shown; of `flipped` a loader in Python gives what comes before the first damage."""


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bad") / "logs"
    write_bad(path)
    return path


@pytest.fixture(scope="module")
def address(loader: str, logdir: Path) -> Iterator[str]:
    with tensorboard(logdir, loader) as address:
        wait_for_good(address)
        yield address


def listing(address: str) -> Any:
    return json.loads(fetch(address, "runs"))


def wait_for_good(address: str) -> None:
    """Wait until everything is read: the good runs are, and nothing more comes."""
    deadline, before = time.monotonic() + 60, None
    while time.monotonic() < deadline:
        answer = listing(address)
        good = {run["name"] for run in answer["runs"] if run["name"] in GOOD and run["steps"] == STEPS}
        if good == set(GOOD) and answer == before:
            return
        before = answer
        time.sleep(1.5)
    raise AssertionError(f"the good runs never came: {before}")


def status(address: str, route: str) -> int:
    try:
        fetch(address, route)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def test_good_runs_are_whole_and_bad_ones_are_named(address: str) -> None:
    answer = listing(address)
    runs = {run["name"]: run for run in answer["runs"]}
    assert all(runs[name]["complete"] and runs[name]["steps"] == STEPS for name in GOOD)
    assert set(runs) - set(GOOD) - {"flipped"} == SHOWN
    told: dict[str, list[str]] = {}
    for problem in answer["problems"]:
        told.setdefault(problem["run"], []).append(problem["problem"])
    assert NAMED - {"flipped"} <= set(told) <= NAMED | {"wrong_size", "tags"}
    assert "recorded in version 2 of the gradclip format" in told["newer"][0]
    assert "no `run` record says what was trained" in told["no_run"][0]
    assert any("could not be read" in sentence for sentence in told["tensors"])


def test_every_route_answers_for_every_run(address: str) -> None:
    for run in listing(address)["runs"]:
        name = quote(run["name"])
        columns = "&".join(f"column={c}" for c in ("loss", "norm_before", "clip_rate", "throttle"))
        last = run["last_step"]
        for route in (
            f"series?run={name}&{columns}",
            f"series?run={name}&{columns}&axis=relative&from=1&to=50&points=10",
            f"csv?run={name}&{columns}",
            f"what_if?run={name}&at=1",
            f"parameters?run={name}",
        ):
            assert status(address, route) == 200, route
        for route in (f"histogram?run={name}&step={last}", f"histograms?run={name}", f"flight?run={name}&step={last}"):
            assert status(address, route) in (200, 404), route


def test_the_tab_is_enabled_and_tensorboard_sees_the_runs(address: str) -> None:
    with urllib.request.urlopen(f"{address}data/plugins_listing") as response:
        assert json.load(response)["gradclip"]["enabled"]
    with urllib.request.urlopen(f"{address}data/runs") as response:
        assert set(GOOD) <= set(json.load(response))


def test_reading_in_python_warns_once_a_run_and_reads_what_is_good(logdir: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        runs = dict(tb_gradclip.read(logdir))
    assert all(runs[name].complete and len(runs[name].steps) == STEPS and not runs[name].problems for name in GOOD)
    assert set(runs) == SHOWN | {*GOOD, "flipped"}
    told = [str(warning.message) for warning in caught]
    assert len(told) == len({text.split("'")[1] for text in told})
    assert NAMED | {"garbage", "zeros", "folder", "tags", "wrong_size"} == {text.split("'")[1] for text in told}
    assert not runs["flipped"].complete
    assert 0 < len(runs["flipped"].steps) < STEPS


def test_what_is_read_of_the_odd_ones_is_what_was_meant(logdir: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = dict(tb_gradclip.read(logdir))
    assert runs["order"].steps["step"].tolist() == list(range(60))  # what was recorded last took 60 to 99 back
    assert runs["clock"].steps["wall_time"][-1] == START - 99
    assert np.isnan(runs["nan"].steps["norm_before"]).all()
    assert [parameter.name for parameter in runs["two_models"].parameters] == ["c"]
    assert runs["two_models"].steps["step"].tolist() == list(range(120))
    assert all(len(window.rows) == 1 for window in runs["two_models"].windows)
    assert (runs["wrong_size"].windows, runs["wrong_size"].flights) == ([], [])


@pytest.mark.parametrize("fast", LOADERS)
def test_runs_deleted_while_they_are_served_take_no_others_with_them(tmp_path: Path, fast: str) -> None:
    logs = tmp_path / "logs"
    for name in ("kept", "deleted", "emptied"):
        write_run(logs / name, STEPS, RULE)
    with tensorboard(logs, f"--load_fast={fast}") as address:
        deadline = time.monotonic() + 60
        while len(listing(address)["runs"]) < 3 and time.monotonic() < deadline:
            time.sleep(0.3)
        shutil.rmtree(logs / "deleted")
        for file in (logs / "emptied").iterdir():
            os.truncate(file, 100)
        left = set[str]()
        for _ in range(12):
            for name in ("kept", "deleted", "emptied"):
                for route in (f"parameters?run={name}", f"histogram?run={name}&step=50", f"what_if?run={name}"):
                    assert status(address, route) in (200, 404), route
            (kept,) = (run for run in listing(address)["runs"] if run["name"] == "kept")
            assert (kept["steps"], kept["complete"]) == (STEPS, True)
            left = {run["name"] for run in listing(address)["runs"]}
            if "deleted" not in left:
                break
            time.sleep(1)
        assert "deleted" not in left


def test_a_header_says_what_it_must_hold(logdir: Path) -> None:
    """What the reader tells is of use to whoever wrote the record."""
    for change, told in (
        ({"rows": [0, -1]}, "a whole number from 0 to 9007199254740992 must stand here, got -1"),
        ({"rows": None}, "a record must be as the format has it"),
        ({"own_seconds": "2"}, "a finite number must stand here, got '2'"),
    ):
        header, body = framing.unpack(steps(rows(3))[1])
        with pytest.raises(ValueError, match=told):
            schema.decode_steps(framing.pack({**header, **change}, body))
