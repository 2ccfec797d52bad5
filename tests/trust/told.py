"""What users are told while they train."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def caught() -> Iterator[list[str]]:
    """What users are warned of, on any thread."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        told: list[str] = []
        yield told
    told += [str(warning.message) for warning in found if issubclass(warning.category, UserWarning)]


def assert_recording_stopped(told: list[str]) -> None:
    """That they were told once, and of nothing else."""
    assert len(told) == 1, told
    assert told[0].startswith("gradclip stopped recording: ")
    assert told[0].endswith("Training is not affected.")
