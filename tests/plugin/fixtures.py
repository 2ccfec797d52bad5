"""Answers of the server that the front end's tests read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

FIXTURES = Path(__file__).parent.parent / "fixtures" / "http"

Decode = Callable[[bytes], Any]


def check_fixtures(sent: Mapping[str, tuple[Decode, bytes]]) -> None:
    """Fail if a file is not what the server sends, having rewritten it: a change of the API shows up in a diff.

    Args:
      sent: by name of the file, a body and what makes it comparable.
    """
    differs = []
    for name, (decode, body) in sent.items():
        path = FIXTURES / name
        if not path.exists() or not same(decode(path.read_bytes()), decode(body)):
            path.write_bytes(body)
            differs.append(name)
    assert not differs, f"the API changed; look at the new {differs} in {FIXTURES} and commit them"


def as_json(answer: Any) -> tuple[Decode, bytes]:
    """An answer for `check_fixtures`, laid out for people."""
    return json.loads, (json.dumps(answer, indent=1, ensure_ascii=False) + "\n").encode()


def same(old: Any, new: Any) -> bool:
    """Whether two answers are equal but for the last bits of numbers, in which processors differ."""
    if isinstance(old, dict):
        return isinstance(new, dict) and list(old) == list(new) and all(same(old[key], new[key]) for key in old)
    if isinstance(old, list):
        return isinstance(new, list) and len(old) == len(new) and all(map(same, old, new))
    if isinstance(old, float | np.ndarray):
        return np.shape(old) == np.shape(new) and np.allclose(old, new, rtol=1e-12, atol=0, equal_nan=True)
    return bool(old == new)
