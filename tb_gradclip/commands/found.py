"""The runs of a directory, or why there are none."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from tb_gradclip.commands.arguments import pattern
from tb_gradclip.commands.plain import complain
from tb_gradclip.storage.events import event_files
from tb_gradclip.storage.problems import Problems
from tb_gradclip.storage.read import Run
from tb_gradclip.storage.runs import read_run


def fill(parser: argparse.ArgumentParser) -> None:
    """Give a parser the arguments that say which runs."""
    parser.add_argument("logdir", type=Path, metavar="LOGDIR", help="directory of the runs")
    parser.add_argument(
        "--run", type=pattern, metavar="REGEX", default="", help="only runs in whose name this is found (Python's re)"
    )


def runs(logdir: Path, wanted: re.Pattern[str]) -> Iterator[Run]:
    """Runs with such a name, in order of name, one in memory at a time; without any it says why."""
    try:
        files = event_files(logdir)
    except FileNotFoundError as error:
        complain(error)
        return
    count = 0
    for name, own in files.items():
        if wanted.search(name):
            problems = Problems()
            run = read_run(name, own, problems)
            for sentence in problems.sentences:
                complain(f"{name}: {sentence}")
            if run is not None:
                count += 1
                yield run
    if not count:
        named = f" with {wanted.pattern!r} in its name" if wanted.pattern else ""
        complain(f"no run under {str(logdir)!r}{named} was recorded by gradclip")
