"""`tb-gradclip import`: a run from a log that we did not write, so that what-if and markers need no new training."""

from __future__ import annotations

import argparse
from pathlib import Path

from tb_gradclip.commands.arguments import max_norm
from tb_gradclip.commands.plain import complain, inert, say
from tb_gradclip.core.health import integer
from tb_gradclip.imports import detect
from tb_gradclip.imports.series import Names, Series, WrongSourceError
from tb_gradclip.imports.write import write

DESCRIPTION = """Makes a run from a log on disk: Hugging Face's trainer_state.json (or the output directory it is in),
text logs of fairseq and Megatron-LM, TensorBoard scalars (an event file, or a directory of runs), CSV, JSON lines. The
format is told from what is in it. A log needs a gradient norm, before clipping; losses, times and thresholds are taken
where it has them. Steps keep their numbers. The log stays as it is."""

EPILOG = """Columns of CSV and JSON, and tags of scalars, are told from their names (loss, train/loss; grad_norm, gnorm,
total_norm; step, iteration; time, timestamp; max_norm, clip_norm), or given by these options."""


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser its arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the log: a file or a directory")
    parser.add_argument("--logdir", type=Path, metavar="DIR", required=True, help="directory of the runs")
    parser.add_argument("--name", metavar="NAME", help="name of the run, a directory in DIR (default: as the source)")
    parser.add_argument("--format", choices=list(detect.FORMATS), help="the format, if it is not told rightly")
    parser.add_argument(
        "--max-norm",
        type=max_norm,
        metavar="N",
        help="threshold of clipping by global norm that was in force, 0 for none (default: what the log says; where it "
        "says nothing, the rule is `none`)",
    )
    for name, what in (
        ("loss", "the loss"),
        ("norm", "the norm of all gradients before clipping"),
        ("threshold", "the threshold of each step"),
        ("step", "the step"),
        ("time", "the time: seconds since 1970 or since the start, or a date"),
    ):
        parser.add_argument(f"--{name}", metavar="COLUMN", help=f"column or tag that is {what}")


def carry_out(options: argparse.Namespace) -> int:
    """Import. Returns 0, or 2 if there is nothing that can be imported."""
    names = Names(options.loss, options.norm, options.threshold, options.step, options.time)
    try:
        found = detect.read(options.source, names, options.format)
        for series in found:
            _import(
                series, options, f"{options.name}/{series.name}" if options.name and len(found) > 1 else options.name
            )
    except WrongSourceError as error:
        complain(error)
        return 2
    say(inert(f"To see what clipping did: tensorboard --logdir {options.logdir}"))
    return 0


def _import(series: Series, options: argparse.Namespace, given: str | None) -> None:
    """Write one run, called as it was given or as its source is, and say what it is."""
    name = given or series.name
    rule = write(series, options.logdir / name, options.max_norm)
    steps = f"{integer(len(series.steps))} steps, {series.steps[0]} to {series.steps[-1]}"
    say(inert(f"{name}: {steps}, rule {rule.text}; {series.imported.text}"))
    if rule.kind == "none" and options.max_norm is None and series.max_norm is None:
        say("  No threshold is known. If gradients were clipped by global norm, say at what: --max-norm N")
