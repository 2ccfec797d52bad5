"""One run read in two ways, in outline and whole, and what the charts show of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.context import RequestContext

from tb_gradclip.core.charts.lines import View
from tb_gradclip.core.schema import Tag
from tb_gradclip.plugin.answers import KINDS, series
from tb_gradclip.storage import source as source_module
from tb_gradclip.storage.outlined_source import OutlinedSource
from tb_gradclip.storage.provider import ProviderRuns
from tb_gradclip.storage.source import Recorded
from tests.storage.test_provider import Watched

STEPS = 20_000
COLUMNS = ("loss", "norm_before", "norm_after", "threshold", "clip_rate", "throttle")
WHOLE = (-np.inf, np.inf)


class Reader:
    """One way to read the run: in outline, or everything."""

    def __init__(self, logdir: Path, *, outlined: bool = True) -> None:
        self.provider = Watched(logdir)
        self._outlined, self._runs = outlined, ProviderRuns(self.provider, KINDS)

    def recorded(self) -> Recorded:
        self.provider.reload()
        with pytest.MonkeyPatch.context() as patched:
            if not self._outlined:
                patched.setattr(source_module, "LEAST_SHARDS", 10**9)
            return self._runs.runs(RequestContext(), "")["run"]

    def leave_out(self, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        """Lose the first record of each tag of a kind."""
        read_tensors = self.provider.read_tensors

        def sampled(*args: Any, **options: Any) -> Any:
            found = read_tensors(*args, **options)
            return {run: {t: s[1:] if f"/{kind}/" in t else s for t, s in tags.items()} for run, tags in found.items()}

        monkeypatch.setattr(self.provider, "read_tensors", sampled)

    def is_outlined(self) -> bool:
        return isinstance(self._runs._sources["run"], OutlinedSource)

    def read(self) -> dict[str, int]:
        """How many tags of each kind were read since the last call."""
        kinds = [tag.kind for tag in map(Tag.parse, self.provider.read) if tag]
        self.provider.read.clear()
        return {kind: kinds.count(kind) for kind in kinds}


def chart(recorded: Recorded, bounds: tuple[float, float] = WHOLE, points: int = 20, window: int = 100) -> list[Any]:
    return [series(recorded, column, View("step", bounds, points), window) for column in COLUMNS]
