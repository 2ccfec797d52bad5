"""`tb-gradclip run`: a training script, to record its clipping."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Runs a training script as `python` would, and records the gradient clipping it does, without a change to it.

Every torch.optim optimizer that makes a step is recorded, with the clip calls of torch.nn.utils before it and what
backward() was called on as its loss; and every fit of a Keras model, with the clipping of its optimizer. The first run
goes to DIR, others to directories below it. What the script does, prints and returns stays as it is."""

NOT_SEEN = """\
not seen: updates without an optimizer of torch.optim, or compiled by torch.compile; TensorFlow loops of your
own and Keras' train_on_batch; processes that the script starts. Of those that torchrun starts, only rank 0 records:
torchrun -m tb_gradclip run --logdir DIR script.py"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser its arguments."""
    parser.description, parser.epilog = DESCRIPTION, NOT_SEEN
    parser.usage = "tb-gradclip run [-h] --logdir DIR (script.py | -m module) ..."
    parser.allow_abbrev = False
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--logdir", type=Path, metavar="DIR", required=True, help="directory of the runs")
    parser.add_argument("-m", dest="as_module", action="store_true", help="what comes next is the name of a module")
    parser.add_argument("script", nargs=argparse.REMAINDER, help="the script and its own arguments")
    parser.set_defaults(wrong=parser.error)


def carry_out(options: argparse.Namespace) -> int:
    """Run it. Returns its exit status."""
    from tb_gradclip.launch import run  # imports no more than the script does

    if not options.script:
        options.wrong("`run` must be given a script, got none. Write: tb-gradclip run --logdir DIR script.py ...")
    return run(options.script, options.logdir, as_module=options.as_module)
