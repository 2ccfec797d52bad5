"""Runs out of a TensorBoard data provider, keeping what was read and reading only what is new."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import Any

import numpy as np
from tensorboard.data.provider import DataProvider, RunTagFilter

from tb_gradclip.core.schema import PLUGIN_NAME, Tag
from tb_gradclip.storage.events import Shard
from tb_gradclip.storage.read import Run, RunBuilder

ALL = 1_000_000_000
"""Providers must be told how many points to keep; a hint from the command line may be anything, 0 included."""

TAGS_PER_READ = 200
"""A reply may have 256 MiB; 200 tags of 8 records of 64 KB stay below half of that."""

FRESH_SECONDS = 1.0
"""Listing thousands of tags takes a while, and TensorBoard itself looks at the files only every few seconds."""


class ProviderRuns:
    """Runs of one experiment, refreshed from the provider when asked for; safe to share between threads."""

    def __init__(self, provider: DataProvider) -> None:
        self._provider = provider
        self._lock = threading.Lock()
        self._builders: dict[str, RunBuilder] = {}
        self._seen: dict[str, dict[str, tuple[int, float]]] = defaultdict(dict)
        self._listed_at = -np.inf

    def runs(self, ctx: Any, experiment_id: str) -> dict[str, Run]:
        """Every run with data of ours, by name."""
        with self._lock:
            if time.monotonic() - self._listed_at > FRESH_SECONDS:
                self._refresh(ctx, experiment_id)
                self._listed_at = time.monotonic()
            built = {name: builder.build() for name, builder in sorted(self._builders.items())}
        return {name: run for name, run in built.items() if run is not None}

    def _refresh(self, ctx: Any, experiment_id: str) -> None:
        listing = self._provider.list_tensors(ctx, experiment_id=experiment_id, plugin_name=PLUGIN_NAME)
        for run in self._builders.keys() - listing.keys():
            del self._builders[run], self._seen[run]
        for run, series in listing.items():
            if self._seen[run].keys() - series.keys() or run not in self._builders:
                self._builders[run] = RunBuilder(run)
                self._seen[run] = {}
            state = {tag: (s.max_step, s.max_wall_time) for tag, s in series.items() if Tag.parse(tag)}
            changed = [tag for tag, version in state.items() if self._seen[run].get(tag) != version]
            for start in range(0, len(changed), TAGS_PER_READ):
                self._read(ctx, experiment_id, run, changed[start : start + TAGS_PER_READ], series)
            self._seen[run] = state

    def _read(self, ctx: Any, experiment_id: str, run: str, tags: list[str], series: Any) -> None:
        data = self._provider.read_tensors(
            ctx,
            experiment_id=experiment_id,
            plugin_name=PLUGIN_NAME,
            downsample=ALL,
            run_tag_filter=RunTagFilter(runs=[run], tags=tags),
        )
        for name, points in data.get(run, {}).items():
            tag = Tag.parse(name)
            if tag is not None:
                frames = [point.numpy.tobytes() for point in points]
                self._builders[run].add(tag, Shard(series[name].plugin_content, frames))
