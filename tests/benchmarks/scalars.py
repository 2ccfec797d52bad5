"""What ordinary scalars cost the server: finding the losses among many tags, and reading their curves.

    python -m tests.benchmarks.scalars [--runs 50] [--tags 100] [--points 1000] [--rounds 9]

Runs of plain event files, none of them ours, in the hands of TensorBoard's provider in Python, which is the slower one;
milliseconds of processor time, in this process. `tags`: listing every tag of every run, as the plugin does it and as
`list_scalars` does. `active`: whether the tab is shown, between two listings. `first answer`, `answer`: the body of the
`runs` route with a listing, when every curve is read and when nothing has grown; `listed`: between two listings. `one
run grew`: the answer after that.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext

from tb_gradclip.plugin.answers import KINDS
from tb_gradclip.plugin.shown import ShownRuns
from tb_gradclip.plugin.shown_answers import shown_json
from tb_gradclip.storage import provider as records
from tb_gradclip.storage.scalars import PLUGIN, ProviderScalars
from tests.benchmarks.contest import parser
from tests.scalars import ScalarFile, diverging_loss, points


def milliseconds(action: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    action()
    return 1e3 * (time.process_time() - start)


def write(logdir: Path, given: argparse.Namespace) -> list[ScalarFile]:
    """The runs; their files stay open."""
    files = []
    for number in range(given.runs):
        file = ScalarFile(logdir / f"run{number:03}")
        losses = points(diverging_loss(given.points, seed=number))
        file.add({"train/loss": losses, **{f"metric{i}/x": losses for i in range(given.tags - 1)}})
        files.append(file)
    return files


def answer(shown: ShownRuns) -> str:
    """The body of the `runs` route."""
    return json.dumps([shown_json(run) for run in shown.runs(RequestContext(), "").values()])


def compare(logdir: Path, files: list[ScalarFile], given: argparse.Namespace) -> None:
    """Load the runs, time everything and print it."""
    multiplexer = EventMultiplexer(tensor_size_guidance={"scalars": 1000})
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(logdir))
    ctx, shown = RequestContext(), ShownRuns(provider, KINDS)

    def median(action: Callable[[], object]) -> float:
        return float(np.median([milliseconds(action) for _ in range(given.rounds)]))

    print(f"{'tags, list_scalars':20} {median(lambda: listed(provider)):8.1f}")
    print(f"{'tags':20} {median(lambda: ProviderScalars(provider).tags(ctx, '')):8.1f}")
    print(f"{'first answer':20} {milliseconds(lambda: answer(shown)):8.1f}")
    print(f"{'listed':20} {median(lambda: answer(shown)):8.1f}")
    print(f"{'active':20} {median(lambda: shown.any_loss(ctx, '')):8.3f}")
    records.FRESH_SECONDS, records.REST = 0.0, 0
    shown = ShownRuns(provider, KINDS)
    answer(shown)
    print(f"{'answer':20} {median(lambda: answer(shown)):8.1f}")
    files[0].add({"train/loss": points([1.0], first=given.points)})
    multiplexer.Reload()
    print(f"{'one run grew':20} {milliseconds(lambda: answer(shown)):8.1f}")


def listed(provider: MultiplexerDataProvider) -> object:
    """TensorBoard's own listing."""
    return provider.list_scalars(RequestContext(), experiment_id="", plugin_name=PLUGIN)


def main() -> None:
    """Write the runs, time everything and print it."""
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=50)
    arguments.add_argument("--tags", type=int, default=100)
    arguments.add_argument("--points", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=9)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        files = write(Path(directory), given)
        print(f"{given.runs} runs of {given.tags} tags of {given.points} points; milliseconds")
        compare(Path(directory), files, given)
        for file in files:
            file.close()


if __name__ == "__main__":
    main()
