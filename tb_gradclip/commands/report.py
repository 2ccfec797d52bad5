"""`tb-gradclip report`: what clipping did to each run, in the terminal, as JSON or, with `--out`, as an HTML page.

Strategy: in a terminal a few lines a run, as wide as it is, with colours and sparklines. Anywhere else plain lines: a
table with one line a run and two spaces at least between its columns, then a line for each alert, which begin with the
run's name, so that they can be searched. The words and figures are those of the dashboard's health line.

`--json` gives one object, whose fields stay what they are as long as `schema` is 1:

- `schema`: 1
- `runs`: in order of name; of each what `runs` of the HTTP API (plugin/http_api.md) says of it, but for `recorded`,
  `loss` and `parameters_left_out`: `name`, `framework`, `rule` (`kind`, `threshold`, `low`, `high`, `text`),
  `parameters`, `dtypes`, `replicas`, `gradients`, `imported`, `steps`, `first_step`, `last_step`, `first_wall_time`,
  `last_wall_time`, `complete`, `seams`, `clip_rate` and `recent_clip_rate` (`rate`, `low`, `high`, `steps`; null where
  the rule is `none` or no step counts), `throttle`, `overhead`, `nonfinite_steps`, `skipped_steps`, `histogram_steps`;
  and
    - `last_loss`: mean of the finite ones of the last 50 losses, null if there is none
    - `alerts`: all of them in order of step, with the fields of `core.alert.Alert`

A number that is missing or not finite is null.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tb_gradclip.commands import found, summary
from tb_gradclip.commands.plain import inert, say
from tb_gradclip.storage.figures import figures, last_losses, number
from tb_gradclip.storage.read import Run

if TYPE_CHECKING:
    from rich.console import Console

DESCRIPTION = """What clipping did to each run, in the words and figures of the dashboard's health line: in a terminal
a few lines a run with sparklines, elsewhere a table and a line for each alert, or one of the forms below. Exit status 2
if there is no run to look at."""

SCHEMA = 1
MOST_ALERTS = 20
"""Alerts of a run that are listed in a terminal."""

NARROWEST_SPARK, WIDEST_SPARK = 8, 60
BESIDE_SPARK = 72
"""Columns that label and words of a line take, where there are so many."""

STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan", "ok": "green"}


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser its arguments."""
    parser.description = DESCRIPTION
    found.fill(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="print JSON; `pydoc tb_gradclip.commands.report` describes it"
    )
    form.add_argument(
        "--out",
        type=Path,
        metavar="FILE.html",
        help="write the dashboard of these runs, and of those with a loss scalar, as one file for browsers: no server, "
        "no network, less than 2 MB",
    )


def carry_out(options: argparse.Namespace) -> int:
    """Report. Returns 0, or 2 if there is nothing to look at, or nowhere to write to."""
    if options.out is not None:
        from tb_gradclip.commands import html_report  # the dashboard's routes take a second to import

        return html_report.write(options)
    runs = found.runs(options.logdir, options.run)
    if options.json:
        told = [report_json(run) for run in runs]
        say(json.dumps({"schema": SCHEMA, "runs": told}, indent=1, allow_nan=False))
        return 0 if told else 2
    printed = _on_terminal(runs) if sys.stdout.isatty() else _plainly(runs)
    return 0 if printed else 2


def report_json(run: Run) -> dict[str, Any]:
    """What `--json` says of a run."""
    losses = last_losses(run)
    last = number(float(losses.mean())) if len(losses) else None
    return {**figures(run), "last_loss": last, "alerts": [vars(alert) for alert in run.alerts]}


def _plainly(runs: Iterable[Run]) -> int:
    """Print a table of all runs, then their alerts. Returns how many there are."""
    rows: list[tuple[str, ...]] = [summary.HEADINGS]
    notes: list[str] = []
    for run in runs:
        rows.append(summary.cells(run, figures(run)))
        notes += [f"{inert(run.name)}: {inert(run.imported.text)}"] if run.imported else []
        notes += [f"{inert(run.name)}: {inert(str(alert))}" for alert in run.alerts]
    if len(rows) > 1:
        say(*table(rows), *notes)
    return len(rows) - 1


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a table whose columns are as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _on_terminal(runs: Iterable[Run]) -> int:
    """Print a few lines for each run. Returns how many there are."""
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may lack the signs of a sparkline
    console, count = Console(highlight=False, markup=False, emoji=False), 0
    for run in runs:
        if count:
            console.print()
        _print_run(console, run)
        count += 1
    return count


def _print_run(console: Console, run: Run) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console.print(
        Text.assemble(
            (inert(run.name), "bold"), "  ", inert(summary.rule_words(run)), "  ", f"{summary.steps_words(run)} steps"
        )
    )
    width = min(max(console.width - BESIDE_SPARK, NARROWEST_SPARK), WIDEST_SPARK)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for line in summary.lines(run, figures(run), width):
        words = Text(line.words, STYLES.get(line.severity, ""))
        grid.add_row(line.label, Text.assemble((line.spark, "cyan"), "  ", words) if line.spark else words)
    console.print(Padding(grid, (0, 0, 0, 2)))
    for alert in run.alerts[:MOST_ALERTS]:
        text = Text(inert(str(alert)), STYLES.get(alert.severity, "") if alert.severity == "error" else "")
        console.print(Padding(text, (0, 0, 0, 2)))
    if len(run.alerts) > MOST_ALERTS:
        console.print(f"  and {len(run.alerts) - MOST_ALERTS} more alerts")
