"""Functions of PyTorch that are replaced while somebody listens, and put back afterwards."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import torch

_lock = threading.RLock()  # a writer may be collected, and let go of its patches, while another one takes them


class Patch:
    """One attribute of a module or class, around which `around` is called while the patch has users.

    Args:
      owner, name: where the function is looked up when it is called.
      around: called with the original function and its arguments; returns its result.

    Who patched the same name later keeps his patch: ours then stays beneath it and only passes calls on. Calls from
    within a call, and those that `torch.compile` traces, are passed on as well.
    """

    def __init__(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        self._owner, self._name, self._around = owner, name, around
        self._users = 0
        self._original: Callable[..., Any] | None = None
        self._patched: Callable[..., Any] | None = None
        self._inside = threading.local()

    @property
    def possible(self) -> bool:
        """Whether this version of PyTorch has the function."""
        return callable(getattr(self._owner, self._name, None))

    def start(self) -> None:
        """Add a user; the first one puts the patch in place."""
        with _lock:
            self._users += 1
            if self._users == 1:
                self._original = getattr(self._owner, self._name)
                self._patched = self._wrapped(self._original)
                setattr(self._owner, self._name, self._patched)

    def stop(self) -> None:
        """Remove a user; with the last one the original comes back."""
        with _lock:
            self._users -= 1
            if self._users == 0 and getattr(self._owner, self._name) is self._patched:
                setattr(self._owner, self._name, self._original)

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def patched(*args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling() or not self._users or getattr(self._inside, "yes", False):
                return original(*args, **kwargs)
            self._inside.yes = True
            try:
                return self._around(original, *args, **kwargs)
            finally:
                self._inside.yes = False

        return patched
