"""Records of tags out of a TensorBoard data provider. A tag that cannot be read costs no other one.

A provider answers for many tags at once, and not at all if a single one of them holds a tensor that is none. So what
fails is asked for again in halves, until what cannot be read stands alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from tensorboard.data.provider import DataProvider, RunTagFilter

from tb_gradclip.core.schema import PLUGIN_NAME, Tag

ALL = 1_000_000_000
"""Providers must be told how many points to keep; a hint from the command line may be anything, 0 included."""

TAGS_PER_READ = (64, 200)
"""A provider looks at all it has at every call, so many tags must not take many calls; but a reply may have no more
than 256 MiB, and what it takes until it is decoded adds to the memory of the server."""

READS = 50
"""About as many calls as a refresh should make."""

MOST_FAILURES = 32
"""Tags of one run that are found out one by one; where more cannot be read, those asked for with them go too."""

Key = tuple[str, Tag]
"""A run, and a tag of it."""

Found = tuple[str, Tag, list[bytes]]
"""A run, a tag of it, and the frames of its records."""

ReadTags = Callable[[Sequence[Key]], Iterable[Found]]

Failed = Callable[[Key, str], None]
"""Is told of a tag that cannot be read, and why."""


class TagReader:
    """Reads tags of one experiment.

    Args:
      provider: where records come from.
      ctx: the provider's.
      experiment_id: the provider's.
      failed: is told of what cannot be read.
    """

    def __init__(self, provider: DataProvider, ctx: Any, experiment_id: str, failed: Failed) -> None:
        self._provider, self._failed = provider, failed
        self._where = {"ctx": ctx, "experiment_id": experiment_id, "plugin_name": PLUGIN_NAME}

    def read(self, wanted: Sequence[Key]) -> Iterator[Found]:
        """Records of these tags, some tags at a time, of several runs if need be."""
        size = int(np.clip(len(wanted) // READS, *TAGS_PER_READ))
        failures: Counter[str] = Counter()
        for start in range(0, len(wanted), size):
            yield from self._found(wanted[start : start + size], failures)

    def _found(self, part: Sequence[Key], failures: Counter[str]) -> Iterator[Found]:
        try:
            found = self._asked(part)
        except Exception as error:  # noqa: BLE001 - a provider raises what decoding a hostile tensor raises
            runs = {run for run, _ in part}
            if len(part) == 1 or (len(runs) == 1 and failures[part[0][0]] >= MOST_FAILURES):
                failures[part[0][0]] += len(part)
                for key in part:
                    self._failed(key, f"TensorBoard cannot read it, {type(error).__name__}: {error}")
                return
            middle = len(part) // 2
            yield from self._found(part[:middle], failures)
            yield from self._found(part[middle:], failures)
        else:
            yield from found

    def _asked(self, part: Sequence[Key]) -> list[Found]:
        data = self._provider.read_tensors(
            **self._where,
            downsample=ALL,
            run_tag_filter=RunTagFilter(runs={run for run, _ in part}, tags={str(tag) for _, tag in part}),
        )
        return [(run, tag, [_frame(point.numpy) for point in data.get(run, {}).get(str(tag), ())]) for run, tag in part]


def _frame(tensor: Any) -> bytes:
    """Bytes of a record; none of a tensor that holds anything but a row of bytes."""
    return bytes(tensor.tobytes()) if tensor.dtype == np.uint8 and tensor.ndim == 1 else b""
