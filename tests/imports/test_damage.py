"""Whatever is imported: a series or a clear refusal, never anything else."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tb_gradclip.imports import detect
from tb_gradclip.imports.series import Names, Series, WrongSourceError
from tests.imports import logs
from tests.imports.logs import training

KINDS = ("trainer_state", "fairseq", "megatron", "csv", "lines")


def intact(path: Path, kind: str) -> bytes:
    run = training(200)
    if kind == "csv":
        path.write_text("step,loss,grad_norm\n" + "\n".join(f"{i},2.5,{norm}" for i, norm in enumerate(run.norms)))
    elif kind == "lines":
        path.write_text("\n".join(f'{{"step": {i}, "loss": 2.5, "grad_norm": {n}}}' for i, n in enumerate(run.norms)))
    else:
        getattr(logs, kind)(path, run, every=10)
    return path.read_bytes()


def check(path: Path) -> None:
    with contextlib.suppress(WrongSourceError):
        for series in detect.read(path, Names()):
            consistent(series)


def consistent(series: Series) -> None:
    steps = series.steps
    assert len(steps) > 0
    assert (np.diff(steps) > 0).all()
    assert steps[0] >= 0
    assert not (series.norms < 0).any()
    assert np.isfinite(series.times).all()
    assert {len(each) for each in (series.norms, series.losses, series.given, series.times)} == {len(steps)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_that_was_cut_or_overwritten(tmp_path: Path, kind: str) -> None:
    path, rng = tmp_path / "log", np.random.default_rng(0)
    content = intact(path, kind)
    check(path)
    for _ in range(150):
        damaged = bytearray(content[: rng.integers(1, len(content) + 1)])
        for place in rng.integers(0, len(damaged), rng.integers(0, 8)):
            damaged[place] = rng.integers(0, 256) if rng.random() < 0.5 else ord(rng.choice(list("0,{}[]\"':|-e.\n ")))
        path.write_bytes(damaged)
        check(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log").write_bytes(content)
    check(tmp_path / "log")


VALUE = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5), st.lists(st.integers()))
LINE = st.dictionaries(st.sampled_from(["step", "loss", "grad_norm", "time", "max_norm"]), VALUE)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINE, max_size=6))
def test_any_values_under_the_right_names(tmp_path: Path, lines: list[dict[str, object]]) -> None:
    (tmp_path / "log").write_text(json.dumps([{"step": 1, "grad_norm": 1.0}, *lines]))
    check(tmp_path / "log")
    (tmp_path / "log").write_text(json.dumps({"log_history": lines}))
    check(tmp_path / "log")
