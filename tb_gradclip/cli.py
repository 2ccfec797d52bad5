"""Gradient clipping in the terminal: record, report, check, import, and find out what is wrong."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "run": ("run", "a training script, to record its clipping"),
    "report": ("report", "what clipping did to each run"),
    "check": ("check", "whether runs keep to limits; exit status 1 if one does not"),
    "import": ("import_logs", "a run from a log of Hugging Face, fairseq, Megatron-LM, TensorBoard, CSV or JSON lines"),
    "doctor": ("doctor", "why the tab is missing or empty, and what to do"),
}
"""Module in `commands` and purpose of each."""

EPILOG = "tb-gradclip COMMAND --help says all of a command. pydoc tb_gradclip says what to call in a training."


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line (this program's own by default).

    Returns:
      Exit status: 0; 1 if `check` found a reason or `doctor` a problem; 2 if there is nothing to look at, to run or to
      import, or if the command line is wrong. A script that ends with an exit status or an exception of its own ends
      `run` too.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    asked = next((word for word in given if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(prog="tb-gradclip", description=__doc__, epilog=EPILOG)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        if name == asked:  # no other is imported: `run` must find nothing imported that its script did not
            importlib.import_module(f"tb_gradclip.commands.{module}").fill(command)
    options = parser.parse_args(given)
    module, _ = COMMANDS[options.command]
    return int(importlib.import_module(f"tb_gradclip.commands.{module}").carry_out(options))
