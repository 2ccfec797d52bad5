"""A series as a run of ours, through the ordinary recorder: what watches training watches it too."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import Floats, Rule
from tb_gradclip.imports.series import Series, WrongSourceError
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import EventFile

ALL = Parameter("all gradients")
"""What stands for the parameters, of which the log says nothing."""

BATCH = 1024


def write(series: Series, directory: Path, max_norm: float | None = None) -> Rule:
    """Record a series in a directory of its own.

    Args:
      series: what to record.
      directory: made if missing; without event files, of which TensorBoard follows one.
      max_norm: the threshold of clipping by global norm that was in force; 0 for none, None for what the log says.

    Returns:
      The rule that was recorded: `none` where no threshold is known.

    Raises:
      WrongSourceError: there are event files in the directory, or it cannot be written.
    """
    if directory.is_dir() and next(directory.glob("*tfevents*"), None) is not None:
        raise WrongSourceError(f"{directory}: has event files already. Choose another --logdir or --name.")
    thresholds = _thresholds(series, max_norm)
    rule = Rule("none") if thresholds is None else Rule("global_norm", thresholds[-1], epsilon=series.epsilon)
    with _told() as problems:
        try:
            recorder = Recorder(
                EventFile(directory),
                framework=series.framework,
                library=series.library,
                parameters=[ALL],
                histogram_every=0,
                start_step=int(series.steps[0]),
                imported=series.imported,
            )
            for measured in _batches(series, rule, thresholds):
                recorder.add_steps(measured)
            recorder.close()
        except OSError as error:
            raise WrongSourceError(f"{directory}: could not be written ({error})") from error
    if problems:
        raise WrongSourceError(f"{directory}: could not be written ({problems[0]})")
    return rule


@contextlib.contextmanager
def _told() -> Iterator[list[str]]:
    """What of it a recorder said that failed: it does so in a warning, and goes on. Other warnings are passed on."""
    problems: list[str] = []
    with warnings.catch_warnings(record=True) as told:
        warnings.filterwarnings("always", "gradclip")
        yield problems
    for warning in told:
        if str(warning.message).startswith("gradclip"):
            problems.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _thresholds(series: Series, max_norm: float | None) -> Floats | None:
    """A threshold for every step: the one given, else those in the log, else the setting in the log; None for none.

    Where a log has thresholds only now and then, each holds until the next, and the first one before it.
    """
    if max_norm is None and series.thresholds is not None:
        known = np.flatnonzero(~np.isnan(series.thresholds))
        last = np.maximum(np.searchsorted(known, np.arange(len(series.steps)), side="right") - 1, 0)
        return np.asarray(series.thresholds[known[last]])
    setting = series.max_norm if max_norm is None else max_norm
    if setting is None or not setting > 0 or math.isinf(setting):
        return None
    return np.full(len(series.steps), setting)


def _batches(series: Series, rule: Rule, thresholds: Floats | None) -> Iterator[Measurements]:
    """Steps in batches, all of whose steps have a loss or none: one that was not logged is not NaN."""
    changes = np.flatnonzero(series.given[1:] != series.given[:-1]) + 1
    edges = sorted({*changes.tolist(), *range(0, len(series.steps), BATCH), len(series.steps)})
    for first, end in pairwise(edges):
        part = slice(first, end)
        yield Measurements(
            rule,
            series.steps[part],
            series.times[part],
            series.losses[part] if series.given[first] else None,
            np.full(end - first, np.nan) if thresholds is None else thresholds[part],
            series.norms[part],
            series.norms[part, None],
            skipped=None if series.skipped is None else series.skipped[part],
        )
