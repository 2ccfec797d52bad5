"""Whether a log directory holds what the tab shows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from tb_gradclip.commands.finding import Finding
from tb_gradclip.core.schema import PLUGIN_NAME
from tb_gradclip.storage.events import event_files, read_events
from tb_gradclip.storage.problems import Problems
from tb_gradclip.storage.runs import read_run

CREATED = re.compile(r"tfevents\.(\d{9,11})")
"""Second since 1970 in which an event file was begun, in its name."""

MARGIN = 5.0
"""Seconds by which the end of one file may come after the beginning of the next: what is buffered is written then."""

RECORD = "Call the writer's clip functions and writer.step(loss), or watch(model, optimizer, logdir): see the README."


def findings(logdir: Path) -> Iterator[Finding]:
    """What there is to say of the logs in a directory."""
    if not logdir.is_dir():
        text = f"There is no directory {str(logdir)!r} here, in {Path.cwd()}."
        yield Finding("problem", text, "Give the directory that was given to the writer, and TensorBoard the same.")
        return
    runs = event_files(logdir)
    if not runs:
        text = f"No file under {str(logdir)!r} is an event file."
        yield Finding("problem", text, "Give the directory of the writer. If training just began, wait five seconds.")
        return
    ours = []
    for name, files in runs.items():
        yield from _two_writers(name, files)
        if _has_records(files):
            ours.append(name)
            yield from _run(name, files)
    if not ours:
        text = f"{len(runs)} run{'s' * (len(runs) != 1)} under {str(logdir)!r}, none with data of ours: no gradients."
        yield Finding("problem", f"{text} The tab shows only a loss, if a scalar is called so.", RECORD)


def _has_records(files: list[Path]) -> bool:
    """Whether there is any record of ours."""
    prefix = f"{PLUGIN_NAME}/"
    return any(
        value.tag.startswith(prefix) for file in files for event in read_events(file) for value in event.summary.value
    )


def _run(name: str, files: list[Path]) -> Iterator[Finding]:
    problems = Problems()
    run = read_run(name, files, problems)
    for sentence in problems.sentences:
        yield Finding("note", f"Run {name!r}: {sentence}.", "If its files were copied or synchronised, do so again.")
    if run is None:
        text = f"Run {name!r} has no step yet: its writer was made, and `step` was not called or not written."
        yield Finding(
            "problem", text, "Call writer.step(loss) after each optimizer step. It is written within 5 seconds."
        )
        return
    steps = f"{len(run.steps):,} steps, {run.steps['step'][0]:,} to {run.steps['step'][-1]:,}"
    if not run.complete:
        yield Finding("note", f"Run {name!r} lacks steps: {steps} are there, and others were lost or are damaged.")
    else:
        yield Finding("ok", f"Run {name!r}: {steps}, {'no clipping' if run.rule.kind == 'none' else run.rule.text}.")


def _two_writers(name: str, files: list[Path]) -> Iterator[Finding]:
    """Files of one run that were written to at the same time; of those one after another none is lost."""
    begun = sorted((int(match[1]), file) for file in files if (match := CREATED.search(file.name)))
    for (_, earlier), (start, later) in itertools.pairwise(begun):
        last = max((event.wall_time for event in read_events(earlier)), default=0.0)
        if last > start + MARGIN:
            yield Finding(
                "problem",
                f"Two writers were at work in run {name!r}: {earlier.name} was still written after {later.name} began. "
                "TensorBoard's slower loader reads on in the newest file alone.",
                "Give ClipWriter the SummaryWriter in place of the directory, or a directory of its own. For these, "
                "start TensorBoard with --reload_multifile=true.",
            )
            return
