"""Gradient clipping in the terminal: `run` a training script to record it, `report` on runs, `check` if one broke."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

RUN = """Runs a training script as `python` would, and records the gradient clipping it does, without a change to it.

Every torch.optim optimizer that makes a step is recorded, with the clip calls of torch.nn.utils before it and what
backward() was called on as its loss; and every fit of a Keras model, with the clipping of its optimizer. The first run
goes to DIR, others to directories below it. What the script does, prints and returns stays as it is."""

SEEN = """not seen: updates without an optimizer of torch.optim, or compiled by torch.compile; TensorFlow loops of your
own and Keras' train_on_batch; processes that the script starts. Of those that torchrun starts, only rank 0 records:
torchrun -m tb_gradclip run --logdir DIR script.py"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line (this program's own by default).

    Returns:
      Exit status: 0; 1 from `check` if any run has an alert of severity `error`, as no `lint` has; 2 if there is
      nothing to look at, or to run. A script that ends with an exit status or an exception of its own ends `run` too.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "run":
        from tb_gradclip.launch import run  # imports no more than the script does

        if not options.script:
            parser.error("`run` must be given a script, got none. Write: tb-gradclip run --logdir DIR script.py ...")
        return run(options.script, options.logdir, as_module=options.as_module)
    from tb_gradclip.report import check, report

    return (check if options.command == "check" else report)(options.logdir)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tb-gradclip", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run",
        help="a training script, to record its clipping",
        description=RUN,
        epilog=SEEN,
        usage="tb-gradclip run [-h] --logdir DIR (script.py | -m module) ...",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("--logdir", type=Path, metavar="DIR", required=True, help="directory of the runs")
    run.add_argument("-m", dest="as_module", action="store_true", help="what comes next is the name of a module")
    run.add_argument("script", nargs=argparse.REMAINDER, help="the script and its own arguments")
    for name, purpose in (
        ("report", "a line for every run, then its alerts"),
        ("check", "alerts of runs that broke; exit status 1 if there are any"),
    ):
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.add_argument("logdir", type=Path, help="directory of the runs")
    return parser
