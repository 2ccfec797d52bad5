"""Whatever a route is asked for and whatever damaged records lie behind it, it answers or says in a line why not."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

from tb_gradclip.core import schema
from tb_gradclip.core.charts.lines import AXES, DERIVED, RECORDED
from tb_gradclip.core.schema import Tag
from tb_gradclip.plugin.routes import GradClipPlugin
from tb_gradclip.storage.events import read_events
from tests.logs import PARAMETERS, SPIKE, GrowingRun, write_runs, write_small_records
from tests.plugin.server import serve
from tests.trust.damage import changed, mutants, records, summary, write_events, write_records
from tests.trust.fuzzing import CASES, MORE_CASES, little_memory, many

ROUTES = sorted(GradClipPlugin(TBContext()).get_plugin_apps())
ARGUMENTS = {
    "run": ["clipped", "by_value", "broken"],
    "column": [*RECORDED, *DERIVED],
    "axis": [*AXES],
    "step": ["0", "50", str(SPIKE), "5000"],
    "parameter": [parameter.name for parameter in PARAMETERS],
    "loss": ["loss", "train/loss"],
    **{name: ["0", "1.5", "100", "4999", "1767225700"] for name in ("from", "to", "at")},
    **{name: ["1", "10", "100", "400", "1000000000"] for name in ("points", "window", "steps", "windows")},
}
"""Every argument of any route, and values that it may have."""

HOSTILE = [
    *("", "-0", "-1", "1e999", "-1e999", "nan", "NaN", "inf", "-inf", "1e308", "5e-324", "0x10", "1_000", "١٢", "1.5"),
    *(str(2**31), str(2**53 + 1), str(2**63 - 1), str(2**63), str(2**64), str(-(2**63)), "9" * 10_000),
    *("%00", "%ff%fe", "%ed%a0%80", "%0d%0aX-Evil:%201", "..%2f..%2fetc%2fpasswd", "%f0%9f%92%a5", "x" * 10_000),
    *("null", "true", "[]", "%3Cscript%3E", "%25", "+", "a%26b", "%"),
]
"""Values as they stand in a query."""

values = {
    name: st.one_of(
        st.sampled_from(own).map(quote), st.sampled_from(HOSTILE), st.text(max_size=20).map(lambda t: quote(t, safe=""))
    )
    for name, own in ARGUMENTS.items()
}


@st.composite
def questions(draw: st.DrawFn) -> str:
    """A route with arguments: mostly those it needs, and any others, once or several times."""
    route = draw(st.sampled_from(ROUTES))
    names = draw(st.lists(st.sampled_from(sorted(ARGUMENTS)), max_size=5))
    pairs = [(name, draw(values[name])) for name in names]
    for name, chance in (("run", 5), ("column", 5), ("step", 3)):
        if draw(st.integers(0, chance)):
            pairs.append((name, draw(st.sampled_from(ARGUMENTS[name]).map(quote))))
    return route + "?" + "&".join(f"{name}={value}" for name, value in draw(st.permutations(pairs)))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    path = tmp_path_factory.mktemp("logs")
    write_runs(path)
    return serve(path)


@pytest.fixture(autouse=True)
def _little_memory(client: Client) -> Iterator[None]:
    """Beyond what TensorBoard has imported by then, which is a gigabyte of its own."""
    with little_memory():
        yield


def test_whatever_is_asked_is_answered_or_refused(client: Client, long: bool) -> None:
    seen: Counter[int] = Counter()

    @many(long, CASES, MORE_CASES)
    @given(questions())
    def check(question: str) -> None:
        answer = client.get(question)
        seen[answer.status_code] += 1
        assert answer.status_code in (200, 400, 404), (answer.status_code, answer.text)
        assert len(answer.data) < 50e6
        if answer.status_code != 200:
            assert answer.mimetype == "text/plain"

    check()
    assert sum(seen.values()) >= (MORE_CASES if long else CASES)
    assert set(seen) == {200, 400, 404}


EVERYTHING = [
    "/runs",
    "/series?run=bad&column=loss&column=norm_before&column=clip_rate&column=throttle",
    "/series?run=bad&column=loss&column=clip_rate&axis=relative&from=1&to=300&points=20",
    "/series?run=bad&column=norm_after&axis=wall_time&points=10",
    "/csv?run=bad&column=loss&column=clipped&column=clip_rate&axis=relative&from=0&to=200",
    "/histogram?run=bad&step=0",
    "/histograms?run=bad",
    "/what_if?run=bad&at=0.5",
    "/parameters?run=bad",
    f"/flight?run=bad&step={SPIKE}",
]


def test_damaged_records_break_no_route_and_no_run_beside_them(tmp_path: Path, long: bool) -> None:
    whole = records()
    good = [(kind, frame) for kind in schema.KINDS if kind != "outlines" for frame in whole[kind][:2]]
    seen: Counter[int] = Counter()

    @many(long, 25, 700)
    @given(st.lists(mutants(), min_size=1, max_size=4))
    def check(found: list[tuple[str, bytes]]) -> None:
        directory = Path(tempfile.mkdtemp(dir=tmp_path))
        write_records(directory / "bad", [*found, *good])
        write_records(directory / "good", good)
        client = serve(directory)
        for path in EVERYTHING:
            answer = client.get(path)
            seen[answer.status_code] += 1
            assert answer.status_code in (200, 400, 404), (path, answer.text)
        runs = {run["name"]: run for run in client.get("/runs").json["runs"]}
        assert runs["good"]["complete"]
        assert {problem["run"] for problem in client.get("/runs").json["problems"]} <= {"bad"}
        shutil.rmtree(directory)
        gc.collect()  # a server that is over is garbage with threads, which have stacks

    check()
    assert seen[200] > 5 * seen[404]


def test_damage_in_a_long_run_breaks_no_route(tmp_path: Path, long: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is read in outline: outlines, newest steps, and what is fetched when somebody looks there."""
    write_small_records(monkeypatch)
    run = GrowingRun(tmp_path / "whole")
    run.grow(20_000)
    run.recorder.close()
    (path,) = (tmp_path / "whole").iterdir()
    values = [(event.step, value) for event in read_events(path) for value in event.summary.value]
    frames = [(step, tag, value.tensor.tensor_content) for step, value in values if (tag := Tag.parse(value.tag))]
    several = {kind: [i for i, (_, tag, _) in enumerate(frames) if tag.kind == kind] for kind in schema.KINDS}
    seen: Counter[int] = Counter()

    @many(long, 6, 300)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        damaged = list(frames)
        for _ in range(data.draw(st.integers(1, 4))):
            kind = data.draw(st.sampled_from(["outlines", "outlines", *schema.KINDS]))
            place = data.draw(st.sampled_from([*several[kind][-3:], *several[kind]]))
            step, tag, frame = frames[place]
            damaged[place] = step, tag, data.draw(changed(kind, frame))
        directory = Path(tempfile.mkdtemp(dir=tmp_path))
        write_events(directory / "bad", [(step, summary(str(tag), frame)) for step, tag, frame in damaged])
        client = serve(directory)
        for path in [*EVERYTHING, "/series?run=bad&column=loss&from=6000&to=8000&points=5000"]:
            answer = client.get(path)
            seen[answer.status_code] += 1
            assert answer.status_code in (200, 400, 404), (path, answer.text)
        shutil.rmtree(directory)
        gc.collect()  # a server that is over is garbage with threads, which have stacks

    check()
    assert seen[200]  # not all: nothing is left of a run without its `run` record
