"""Frames: a JSON header and a body in one string of bytes, and arrays as few bytes.

A frame is a little-endian uint32 with the length of the header, the header, then the body.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core.checked import LATEST, MOST, mapping, printable
from tb_gradclip.core.rows import add_guesses, without_guesses

MOST_ROWS = 1 << 16
"""Rows of a record: 64 times what the recorder puts into one."""

MOST_BYTES = 1 << 27
"""Bytes of an unpacked body: far more than a histogram of 65,536 parameters has. Most records have a few kilobytes."""


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


def pack(header: Mapping[str, Any], body: bytes = b"", align: int = 1) -> bytes:
    """Frame a header and a body. The header is padded with spaces so that the body starts at a multiple of `align`."""
    text = encoded(header)
    text += b" " * (-(4 + len(text)) % align)
    return struct.pack("<I", len(text)) + text + body


def unpack(frame: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and body of a frame. `ValueError` for bytes that are none."""
    if len(frame) < 4 or len(frame) < 4 + (length := struct.unpack_from("<I", frame)[0]):
        raise ValueError(f"a record must be a frame with its whole header, got {len(frame)} bytes.")
    try:
        header = _JSON.decode(frame[4 : 4 + length].decode())
    except RecursionError as error:
        raise ValueError("a header must be a flat JSON object, got one that is nested too deeply.") from error
    return mapping(header), frame[4 + length :]


def _refuse(constant: str) -> float:
    raise ValueError(f"a header must be JSON, which has no {constant}.")


_JSON = json.JSONDecoder(parse_constant=_refuse)


def inflate(body: bytes, size: int, what: str = "a record") -> bytes:
    """The `size` bytes that were compressed to this body. `ValueError` if there are not so many.

    No more memory is taken than that, whatever a corrupt body would expand to, and no more than `MOST_BYTES`.
    """
    expanding = zlib.decompressobj()
    try:
        data = expanding.decompress(body, min(size, MOST_BYTES) + 1)
    except zlib.error as error:
        raise ValueError(f"{what} must be whole, got a body that does not unpack: {error}.") from error
    if len(data) != size or not expanding.eof:
        raise ValueError(f"{what} must hold {size} bytes, got {len(data)}.")
    return data


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
    if count > MOST_ROWS:
        raise ValueError(f"a record must have at most {MOST_ROWS} steps, got {count}.")
    rows = from_planes(inflate(body, count * dtype.itemsize, f"a record of {count} steps"), dtype)
    _check(rows)
    add_guesses(rows)
    return rows


def _check(rows: NDArray[np.void]) -> None:
    """Refuse rows that no table has. NaN and infinity are what a loss or a norm may well be; a time is a time."""
    step, time = rows["step"], rows["wall_time"]
    if len(rows) and not (step[0] >= 0 and step[-1] <= MOST and (step[1:] > step[:-1]).all()):
        raise ValueError(f"steps of a record must ascend from 0 or more, got {step[0]} to {step[-1]}.")
    if not ((time >= 0) & (time < LATEST)).all():
        raise ValueError("times of a record must be seconds from 1970 to the year 9999, got others.")
    if any((rows[name].view(np.uint8) > 1).any() for name in ("clipped", "skipped")):
        raise ValueError("flags of a record must be 0 or 1, got other bytes.")
