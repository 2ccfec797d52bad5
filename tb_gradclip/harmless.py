"""What a writer does about its own failures, and about numbers that need a word: it says so once, and goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from tb_gradclip.telling import tell


class UsageError(ValueError):
    """A mistake in a call, told to the caller also where nothing else may be raised."""


class Harmless:
    """Warns in the place of raising."""

    _warned = False

    def __init__(self) -> None:
        self._said: set[str] = set()

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        """Turn a failure of ours into one warning: training is worth more than its record."""
        try:
            yield
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self._tell(error)

    def _call(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function with the same consequences; AutoGraph, which converts no generators, can look into this."""
        try:
            function(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            tell(f"gradclip missed a step: {error!r}. Training is not affected.", stacklevel=5)

    def _warn(self, problem: str) -> None:
        """Say, once for each problem, what makes numbers mean something else than they seem to."""
        if problem not in self._said:
            self._said.add(problem)
            tell(f"gradclip: {problem}.", stacklevel=5)
