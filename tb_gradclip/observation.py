"""What is recorded of a script that knows nothing of it, shared by the parts that observe one framework each."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


class Observation:
    """Names the directories of runs, and says on stderr what there is to say.

    Args:
      logdir: directory of the first run; others are below it. Where the script goes later does not move it.
    """

    def __init__(self, logdir: str | os.PathLike[str]) -> None:
        self._given, self._logdir = os.fspath(logdir), Path(logdir).absolute()
        self._process = os.getpid()
        self._runs = 0
        self._recorded: set[Path] = set()
        self._said: set[str] = set()

    @property
    def here(self) -> bool:
        """Whether this is the process that was started: what a fork of it trains is not recorded."""
        return os.getpid() == self._process

    def new_run(self, name: str) -> Path:
        """Directory of a run: `logdir` itself for the first, `logdir/NAME-2` and so on for those after it."""
        self._runs += 1
        return self._logdir / f"{name}-{self._runs}".replace("/", "_") if self._runs > 1 else self._logdir

    def recorded(self, run: Path) -> None:
        """Take note that there is something in a run."""
        self._recorded.add(run)

    @contextlib.contextmanager
    def harmless(self) -> Iterator[None]:
        """Turn a failure of ours into one line: what the script does is worth more than its record."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.say(f"not recorded: {type(error).__name__}: {error} The script is not affected")

    def say(self, what: str, end: str = ".") -> None:
        """Say something once. Not as a Python warning, which the script may have turned into an error."""
        if what not in self._said:
            self._said.add(what)
            with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr may be closed, or None
                print(f"gradclip: {what}{end}", file=sys.stderr, flush=True)

    def conclude(self) -> None:
        """Say where the record is, or why there is none."""
        if not self.here:
            return
        if self._recorded:
            runs = "1 run" if len(self._recorded) == 1 else f"{len(self._recorded)} runs"
            self.say(f"{runs} recorded. To see what clipping did: tensorboard --logdir {self._given}", end="")
        else:
            self.say(
                "nothing was recorded, because in this process no step of a torch.optim optimizer and no fit of a "
                "Keras model was seen. `tb-gradclip run --help` says what is not"
            )
