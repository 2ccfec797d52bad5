"""Frames: a JSON header and a body in one string of bytes, and arrays as few bytes.

A frame is a little-endian uint32 with the length of the header, the header, then the body.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.rows import add_guesses, without_guesses

LONE_SURROGATES = re.compile("[\ud800-\udfff]")
"""Halves of characters, as Python has them for bytes of file names that are no UTF-8. No encoding knows them."""


def encoded(value: Any) -> bytes:
    """JSON in UTF-8, with U+FFFD in place of each lone surrogate: browsers read and send them as that anyway.

    Raises:
      ValueError: a number is not finite.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return printable(text).encode()


def printable(text: str) -> str:
    """A text that can be encoded: U+FFFD stands for each lone surrogate."""
    return LONE_SURROGATES.sub("\ufffd", text)


def pack(header: Mapping[str, Any], body: bytes = b"", align: int = 1) -> bytes:
    """Frame a header and a body. The header is padded with spaces so that the body starts at a multiple of `align`."""
    text = encoded(header)
    text += b" " * (-(4 + len(text)) % align)
    return struct.pack("<I", len(text)) + text + body


def unpack(frame: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and body of a frame. `ValueError` for bytes that are none."""
    if len(frame) < 4 or len(frame) < 4 + (length := struct.unpack_from("<I", frame)[0]):
        raise ValueError(f"a record must be a frame with its whole header, got {len(frame)} bytes.")
    return json.loads(frame[4 : 4 + length]), frame[4 + length :]


def planes(array: NDArray[Any]) -> bytes:
    """Byte 0 of every item, then byte 1 of every item, and so on: compresses far better than item after item."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).reshape(-1, array.itemsize).T.tobytes()


def from_planes(planes: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The items that `planes` was given, as one dimension, in memory of their own."""
    array = np.frombuffer(planes, np.uint8).reshape(dtype.itemsize, -1)
    return np.array(array.T, order="C").reshape(-1).view(dtype)


def pack_rows(rows: NDArray[np.void]) -> bytes:
    """Rows of the step table, whatever else they have, as few bytes."""
    return zlib.compress(planes(without_guesses(rows)), 1)


def unpack_rows(body: bytes, count: int, dtype: np.dtype[Any]) -> NDArray[np.void]:
    """The rows that `pack_rows` was given. `ValueError` if there are not so many."""
    size = count * dtype.itemsize
    planes = zlib.decompressobj().decompress(body, size + 1)  # no more, whatever a corrupt body would expand to
    if len(planes) != size:
        raise ValueError(f"a record of {count} steps must hold {size} bytes, got {len(planes)}.")
    rows = from_planes(planes, dtype)
    add_guesses(rows)
    return rows
