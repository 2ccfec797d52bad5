"""A hundred thousand tags in one run, ours or other people's, slow nothing down beyond what they are."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from tb_gradclip.core import schema
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rules import TORCH_EPSILON, Rule
from tb_gradclip.core.schema import RunRecord, StepsRecord, Tag
from tb_gradclip.storage.write import frame
from tests.core.tables import table
from tests.logs import START, write_run
from tests.tensorboard import fetch, tensorboard
from tests.trust.damage import ATTEMPT, summary

RULE = Rule("global_norm", 1.0, epsilon=TORCH_EPSILON)


def write_values(directory: Path, values: list[Summary.Value]) -> None:
    """Many values, a thousand to an event."""
    directory.mkdir(parents=True)
    events = [Event(wall_time=START, file_version="brain.Event:2")]
    for step, first in enumerate(range(0, len(values), 1000)):
        events.append(Event(wall_time=START, step=step, summary=Summary(value=values[first : first + 1000])))
    data = b"".join(frame(event.SerializeToString()) for event in events)
    (directory / "events.out.tfevents.1").write_bytes(data)


def foreign(count: int) -> list[Summary.Value]:
    """Scalars of others, every second one a loss by its name, and every hundredth named at length."""
    names = [f"{'loss' if i % 2 else 'metric'}/{i:06}{'x' * (500 if i % 100 == 0 else 0)}" for i in range(count)]
    return [Summary.Value(tag=name, simple_value=1.0) for name in names]


def ours(count: int) -> list[Summary.Value]:
    """A run of two rows for each tag of ours."""
    record = RunRecord("torch", "torch 2", (Parameter("w", (2,)),), RULE)
    values = [summary(str(Tag("run", ATTEMPT, 0)), schema.encode_run(record))]
    rows = table(2 * count)
    rows["step"], rows["wall_time"] = range(2 * count), START
    for shard in range(count):
        data = schema.encode_steps(StepsRecord(rows[2 * shard : 2 * shard + 2], 2 * shard))
        values.append(summary(str(Tag("steps", ATTEMPT, shard)), data))
    return values


@pytest.mark.parametrize("fast", ["true", pytest.param("false", marks=pytest.mark.long)])
def test_many_tags_beside_a_good_run(tmp_path: Path, fast: str, long: bool) -> None:
    count = 100_000 if long else 3_000
    logs = tmp_path / "logs"
    write_run(logs / "good", 1200, RULE)
    write_values(logs / "foreign", foreign(count))
    write_values(logs / "ours", ours(count))
    wanted = {"good": 1200, "ours": 2 * count}
    with tensorboard(logs, f"--load_fast={fast}") as address:
        deadline, steps = time.monotonic() + 600, {}
        while time.monotonic() < deadline and not wanted.items() <= steps.items():
            answer = json.loads(fetch(address, "runs"))
            steps = {run["name"]: run["steps"] for run in answer["runs"]}
            time.sleep(1)
        runs = {run["name"]: run for run in answer["runs"]}
        assert wanted.items() <= steps.items()
        assert runs["good"]["complete"]
        assert runs["ours"]["complete"]
        assert len(runs["foreign"]["loss"]["choices"]) == 100
        assert answer["problems"] == []
        assert len(fetch(address, "series?run=foreign&run=ours&column=loss")) < 1e6
