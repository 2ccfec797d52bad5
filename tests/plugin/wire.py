"""Bodies of the HTTP API, decoded as its page says and not with the code that made them."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np


def decode_series(body: bytes) -> list[dict[str, Any]]:
    """Each series with its numbers as arrays under the names of its fields."""
    (length,) = struct.unpack_from("<I", body)
    header = json.loads(body[4 : 4 + length])
    assert (4 + length) % 8 == 0
    offset, series = 4 + length, []
    for line in header["series"]:
        numbers = {}
        for field in line["fields"]:
            numbers[field] = np.frombuffer(body, "<f8", line["rows"], offset)
            offset += 8 * line["rows"]
        series.append({**line, **numbers})
    assert offset == len(body)
    return series


def decode_histograms(body: bytes) -> dict[str, Any]:
    """The header, and its numbers as arrays under the names of its fields; maps of shape [steps, bins]."""
    (length,) = struct.unpack_from("<I", body)
    header = json.loads(body[4 : 4 + length])
    steps, bins = header["steps"], header["bins"]
    shapes = {"edges": (bins + 1 if bins else 0,), "before": (steps, bins), "after": (steps, bins)}
    offset, numbers = 4 + length, {}
    assert offset % 8 == 0
    for field in header["fields"]:
        shape = shapes.get(field, (steps,))
        numbers[field] = np.frombuffer(body, "<f8", int(np.prod(shape)), offset).reshape(shape)
        offset += numbers[field].nbytes
    assert offset == len(body)
    return {**header, **numbers}
