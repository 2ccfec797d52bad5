"""Experiments: ids come from addresses, which anybody can make up; what is held of them stays within bounds."""

from __future__ import annotations

import json
import random
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.backend.experiment_id import WSGI_ENVIRON_KEY
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

from tb_gradclip.core.rules import Rule
from tb_gradclip.plugin.experiments import MOST_EXPERIMENTS
from tb_gradclip.plugin.routes import GradClipPlugin
from tests.logs import write_run
from tests.tensorboard import board, wait_for_steps
from tests.usage import needs_proc, usage

STEPS = 20_000


@needs_proc
def test_addresses_with_any_experiment_in_them_take_no_more_memory(tmp_path: Path) -> None:
    """TensorBoard's own providers answer alike whatever the experiment, so that each one holds every run anew."""
    logs = tmp_path / "logs"
    write_run(logs / "run", STEPS, Rule("global_norm", 1.0))

    def ask(address: str, experiment: int) -> None:
        with urllib.request.urlopen(f"{address}experiment/{experiment}/data/plugin/gradclip/runs") as response:
            assert [run["steps"] for run in json.load(response)["runs"]] == [STEPS]

    with board(logs, "--load_fast=false") as (address, pid):
        wait_for_steps(address, STEPS, runs=1)
        for experiment in range(10):
            ask(address, experiment)
        before = usage(pid)
        for experiment in range(10, 60):
            ask(address, experiment)
        after = usage(pid)
        print(f"{(after.own - before.own) / 2**20:.1f} MB more")
        assert after.own - before.own < 24 << 20  # 50 times what one takes is more than twice that


class ByExperiment(MultiplexerDataProvider):
    """A provider that has other runs for each experiment, as those have that serve many people."""

    def list_tensors(self, ctx: Any = None, *, experiment_id: str, **options: Any) -> Mapping[str, Any]:
        """Of the run of this name."""
        found = super().list_tensors(ctx, experiment_id=experiment_id, **options)
        return {name: tags for name, tags in found.items() if name == experiment_id}


def test_whoever_asks_for_an_experiment_gets_its_runs_while_others_ask_for_theirs(tmp_path: Path) -> None:
    ids = [f"run{i}" for i in range(3 * MOST_EXPERIMENTS)]
    for i, name in enumerate(ids):
        write_run(tmp_path / name, 50 + 10 * i, Rule("global_norm", 1.0))
    multiplexer = EventMultiplexer(tensor_size_guidance={"gradclip": 0})
    multiplexer.AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    provider = ByExperiment(multiplexer, str(tmp_path))
    plugin = GradClipPlugin(TBContext(data_provider=provider))
    client = Client(plugin.get_plugin_apps()["/runs"])

    def ask(name: str) -> list[tuple[str, int]]:
        answer = client.get("/", environ_overrides={WSGI_ENVIRON_KEY: name}).json
        return [(run["name"], run["steps"]) for run in answer["runs"] if run["recorded"]]

    asked = ids * 8
    random.Random(0).shuffle(asked)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, asked)) == [[(name, 50 + 10 * ids.index(name))] for name in asked]
