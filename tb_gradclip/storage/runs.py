"""Every run under a directory, each read when somebody asks for it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from tb_gradclip.core.schema import Tag
from tb_gradclip.storage.events import Shard, event_files, read_records, read_shards
from tb_gradclip.storage.problems import Problems
from tb_gradclip.storage.read import Run, RunBuilder


class Runs(Mapping[str, Run]):
    """Runs by name, in order of name.

    Asking for one, `runs["lstm"]` or `"lstm" in runs`, looks at the files of that one alone. Going through all names
    looks into every directory with event files, as far as the first step that was recorded there. A run is read whole
    when it is asked for the first time, and kept; what was written later is seen by another `read`. What cannot be read
    is left out, with one warning for each run; it is among the run's `problems`.
    """

    def __init__(self, files: Mapping[str, list[Path]]) -> None:
        self._files = files
        self._kept: dict[str, Run] = {}
        self._known: dict[str, bool] = {}
        self._warned: set[str] = set()

    def __getitem__(self, name: str) -> Run:
        """The run. `KeyError` if there is none of that name with a recorded step."""
        if name not in self._kept:
            problems = Problems()
            run = read_run(name, self._files[name], problems)
            self._warn(name, problems)
            if run is None:
                raise KeyError(name)
            self._kept[name] = run
        return self._kept[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is such a run; it is not read for it."""
        if not isinstance(name, str) or name not in self._files:
            return False
        if name not in self._known:
            problems = Problems()
            self._known[name] = name in self._kept or _has_steps(name, self._files[name], problems)
            if not self._known[name]:
                self._warn(name, problems)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        """Names."""
        return (name for name in self._files if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        """Names."""
        return f"<runs: {', '.join(map(repr, self)) or 'none'}>"

    def _warn(self, name: str, problems: Problems) -> None:
        if (sentences := problems.sentences) and name not in self._warned:
            self._warned.add(name)
            warnings.warn(f"run {name!r}: {'; '.join(sentences)}.", stacklevel=3)


def read(logdir: str | os.PathLike[str]) -> Runs:
    """Runs that gradclip recorded, or imported, under a directory, by name ("." for `logdir` itself).

    It returns at once: a run is read when it is asked for, see `Runs`. What a `Run` has:

    - `steps`: structured array of shape [T], one row an optimizer step: `step` (int64), `wall_time` (float64, seconds
      since 1970), `loss`, `threshold`, `norm_before`, `norm_after`, `coefficient` (float64, NaN where there is none),
      `clipped`, `skipped` (bool), `nonfinite` (uint32). Norms are in the unit of the gradients.
    - `rule`, with its newest threshold; `parameters`: name, shape, dtype of each; `framework`, `library`.
    - `alerts`, in order of step; `histograms`, decoded when looked at; `windows` and `flights` of single parameters.
    - `clip_rate()`, `throttle()`, `what_if()`, `parameter_norms()`, `to_pandas()`.
    - `imported`: what it was made from, of a run that `tb-gradclip import` made; else None.
    - `problems`: what could not be read, a sentence each.

    Raises:
      FileNotFoundError: `logdir` does not exist.
    """
    return Runs(event_files(logdir))


def read_run(name: str, files: list[Path], problems: Problems) -> Run | None:
    """The run of these event files; None without a recorded step. `problems` takes note of what cannot be read."""
    builder = RunBuilder(name, problems)
    for tag, shard in read_shards(files, problems).items():
        builder.add(tag, shard)
    return builder.build()


def _has_steps(name: str, files: list[Path], problems: Problems) -> bool:
    """Whether these files have a run: they are read up to its first step, or to their end."""
    builder = RunBuilder(name, problems)
    contents: dict[Tag, bytes] = {}
    for tag, content, frame in read_records(files, problems):
        builder.add(tag, Shard(contents.setdefault(tag, content), [frame]))
        if tag.kind in ("run", "steps") and builder.build() is not None:
            return True
    return False
