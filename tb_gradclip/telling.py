"""How users are told of something while they train: as a Python warning, which must not end what it warns in."""

from __future__ import annotations

import contextlib
import sys
import warnings


def tell(text: str, stacklevel: int = 1) -> None:
    """Warn, and never raise: where warnings are errors, as with `python -W error`, standard error gets the same text.

    Args:
      text: what to say.
      stacklevel: whose line the warning names: 1 for the caller's, as of `warnings.warn`.
    """
    try:
        warnings.warn(text, stacklevel=stacklevel + 1)
    except Exception:  # noqa: BLE001 - the warning itself, or what a `showwarning` of the user's own raises
        if sys.stderr is not None:  # as it is under pythonw
            with contextlib.suppress(Exception):
                sys.stderr.write(f"{text}\n")
