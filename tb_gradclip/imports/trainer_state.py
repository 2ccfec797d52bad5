"""`trainer_state.json` of Hugging Face's `Trainer`.

Every `logging_steps` it logs `grad_norm`, that of the last step, as `clip_grad_norm_` returns it: before clipping; and
`loss`, the mean since it logged before. The threshold is in `training_args.bin` beside it, a pickle, which is looked
through and not loaded: a pickle may run anything.

Source: `transformers/trainer.py`, `_maybe_log_save_evaluate` and `_clip_grad_norm`.
"""

from __future__ import annotations

import contextlib
import json
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tb_gradclip.core.imported import Imported
from tb_gradclip.core.rules import TORCH_EPSILON
from tb_gradclip.imports import rows
from tb_gradclip.imports.series import Names, Series, WrongSourceError

NAME = "trainer_state.json"
ARGUMENTS = "training_args.bin"
MOST_BYTES = 64 << 20
"""Arguments are a few kilobytes; more is not looked through."""


def newest(directory: Path) -> Path | None:
    """The state in an output directory of a trainer: its own, or that of the newest checkpoint."""
    own = directory / NAME
    if own.is_file():
        return own
    found = [path for path in directory.glob(f"checkpoint-*/{NAME}") if path.parent.name[11:].isdigit()]
    return max(found, key=lambda path: int(path.parent.name[11:]), default=None)


def read(path: Path, given: Names) -> Series:
    """The run in such a file."""
    state = json.loads(path.read_text(encoding="utf-8-sig"))
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list):
        raise WrongSourceError("it has no `log_history`, as the state of a Hugging Face Trainer has")
    try:
        found = rows.table(_rows(history, given), path.stat().st_mtime)
    except WrongSourceError as error:
        older = ". transformers logs `grad_norm` from version 4.38 on" if "no step with" in str(error) else ""
        raise WrongSourceError(f"{error}{older}") from None
    single = found.consecutive
    covers = ("step", "step") if single else ("last", "mean")
    return Series(
        _run_name(path),
        Imported("Hugging Face Trainer", path.name, *covers, before_clipping=True, times=found.has_times),
        *(found.steps, found.norms, found.losses, found.given, found.thresholds, found.times),
        max_norm=_max_norm(path),
        framework="torch",
        library="transformers",
        epsilon=TORCH_EPSILON,
    )


def _rows(history: list[Any], given: Names) -> Iterator[rows.Row]:
    names = {"step": "step", "loss": given.loss or "loss", "norm": given.norm or "grad_norm"}
    for place, entry in enumerate(history):
        if isinstance(entry, dict) and names["norm"] in entry:
            yield rows.taken(entry, names, f"entry {place} of `log_history`")


def _run_name(path: Path) -> str:
    """The output directory's name, whichever checkpoint the state is of."""
    folder = path.resolve().parent
    return (folder.parent if folder.name.startswith("checkpoint-") else folder).name or "trainer"


def _max_norm(path: Path) -> float | None:
    """`max_grad_norm` among the arguments that were saved beside the state or above it; None if they are not there."""
    for folder in (path.parent, path.parent.parent):
        arguments = folder / ARGUMENTS
        if arguments.is_file():
            with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
                return _pickled(arguments, "max_grad_norm")
    return None


def _pickled(path: Path, name: str) -> float | None:
    """The number that follows a name in a pickle that torch saved."""
    with zipfile.ZipFile(path) as archive:
        inside = next((info for info in archive.infolist() if info.filename.endswith("data.pkl")), None)
        if inside is None or inside.file_size > MOST_BYTES:
            return None
        operations = pickletools.genops(archive.read(inside))
        for operation, argument, _ in operations:
            if operation.name.startswith(("BINUNICODE", "SHORT_BINUNICODE", "UNICODE")) and argument == name:
                following = (o for o in operations if not o[0].name.startswith(("MEMOIZE", "BINPUT", "LONG_BINPUT")))
                _, value, _ = next(following)
                return float(value) if isinstance(value, int | float) else None
    return None
