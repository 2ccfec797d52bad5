"""`tb-gradclip doctor`: why the tab is missing or empty, in plain words, each with its remedy.

Looked at, in this order:

- the TensorBoard that the command `tensorboard` starts: whether there is one, whether this package is installed beside
  it, whether it can start at all, how old it is, and whether it has its fast loader (`installation`);
- the logs, if a directory is given: whether they hold runs, whether these have steps, whether some are missing or
  damaged, whether two writers are at work in one directory (`recordings`);
- every TensorBoard that is running, on those logs or on any: whether it shows the tab, and all the steps (`servers`).
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from pathlib import Path

from tb_gradclip.commands import installation, recordings, servers
from tb_gradclip.commands.finding import Finding
from tb_gradclip.commands.plain import inert, say

DESCRIPTION = """Says in plain words why the tab is missing or empty, and what to do. Exit status 1 if something is
wrong or there is nothing to show, else 0."""

WIDTH = 100
MARKS = {"ok": "ok       ", "note": "note     ", "problem": "PROBLEM  "}


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser its arguments."""
    parser.description = DESCRIPTION
    parser.add_argument("logdir", type=Path, metavar="LOGDIR", nargs="?", help="directory that TensorBoard is given")


def carry_out(options: argparse.Namespace) -> int:
    """Look, and say what was found. Returns 0, or 1 if there is a problem."""
    healthy = True
    for finding in _findings(options.logdir):
        healthy &= finding.severity != "problem"
        say(*lines(finding))
    return 0 if healthy else 1


def _findings(logdir: Path | None) -> Iterator[Finding]:
    yield from installation.findings()
    if logdir is not None:
        yield from recordings.findings(logdir)
    yield from servers.findings(logdir)


def lines(finding: Finding) -> list[str]:
    """A finding in lines of text, its remedy below it. Paths and commands stay whole."""
    mark = MARKS[finding.severity]
    texts = [(mark, finding.text)]
    if finding.remedy:
        texts.append((" " * len(mark) + "→ ", finding.remedy))
    return [
        line
        for start, text in texts
        for line in textwrap.wrap(
            start + inert(text),
            WIDTH,
            subsequent_indent=" " * len(start),
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
