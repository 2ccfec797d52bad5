"""Functions of PyTorch that are replaced while somebody listens, and put back afterwards."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from types import CellType
from typing import Any

import torch

_lock = threading.RLock()  # a writer may be collected, and let go of its patches, while another one takes them


class Patch:
    """One function, around which `around` is called while the patch has users.

    Args:
      owner, name: the module or class that has the function.
      around: called with the original function and its arguments; returns its result.
      inside: patches that share it do not see calls that one of them makes.

    PyTorch's clip functions are wrappers that look up what they wrap in a closure. There the patch goes, so that it is
    met by those too who imported the wrapper by name long ago; anything else is replaced in its owner. Who patched the
    same name later keeps his patch: ours then stays beneath it and only passes calls on. What `torch.compile` traces
    is passed on as well.
    """

    def __init__(
        self, owner: Any, name: str, around: Callable[..., Any], inside: threading.local | None = None
    ) -> None:
        self._owner, self.name, self._around = owner, name, around
        self._inside = threading.local() if inside is None else inside
        self._users = 0
        self._cell: CellType | None = None
        self._original: Any = None
        self._patched: Any = None

    @property
    def reaches_earlier_imports(self) -> bool:
        """Whether it is met by those who imported the function by name before; only while it has users."""
        return self._cell is not None

    def start(self) -> None:
        """Add a user; the first one puts the patch in place."""
        with _lock:
            self._users += 1
            if self._users == 1:
                self._cell = _wrapped_by(getattr(self._owner, self.name))
                self._original = self._now()
                self._patched = self._around_original(self._original)
                self._set(self._patched)

    def stop(self) -> None:
        """Remove a user; with the last one the original comes back."""
        with _lock:
            self._users -= 1
            if self._users == 0 and self._now() is self._patched:
                self._set(self._original)

    def _now(self) -> Any:
        return getattr(self._owner, self.name) if self._cell is None else self._cell.cell_contents

    def _set(self, function: Any) -> None:
        if self._cell is None:
            setattr(self._owner, self.name, function)
        else:
            self._cell.cell_contents = function

    def _around_original(self, original: Callable[..., Any]) -> Callable[..., Any]:
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


def _wrapped_by(function: Any) -> CellType | None:
    """Where a wrapper keeps the function it calls, if that is all it keeps."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    return function.__closure__[0] if names == ("func",) else None
