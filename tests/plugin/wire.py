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


def decode_windows(body: bytes) -> dict[str, Any]:
    """The header of `parameters` with its numbers: edges of shape [W], the rest of shape [P, W]."""
    header, offset = _header(body)
    windows, parameters = header["windows"], len(header["parameters"])
    for name in ("first_step", "last_step", "steps", "norm"):
        header[name] = np.frombuffer(body, "<f8", windows, offset)
        offset += 8 * windows
    for name in ("norm_before_mean", "norm_before_max", "norm_after_mean", "clipped", "nonfinite"):
        dtype = "<u4" if name in ("clipped", "nonfinite") else "<f4"
        header[name] = np.frombuffer(body, dtype, windows * parameters, offset).reshape(parameters, windows)
        offset += 4 * windows * parameters
    assert offset == len(body)
    return header


def decode_flight(body: bytes) -> dict[str, Any]:
    """The header of `flight` with its numbers: `steps`, shape [R], and `norms`, shape [P, R]."""
    header, offset = _header(body)
    rows, parameters = header["rows"], len(header["parameters"])
    header["steps"] = np.frombuffer(body, "<f8", rows, offset)
    header["norms"] = np.frombuffer(body, "<f4", rows * parameters, offset + 8 * rows).reshape(parameters, rows)
    assert offset + 8 * rows + 4 * rows * parameters == len(body)
    return header


def decode_histograms(body: bytes) -> dict[str, Any]:
    """The header, and its numbers as arrays under the names of its fields; maps of shape [steps, bins]."""
    header, offset = _header(body)
    steps, bins, numbers = header["steps"], header["bins"], {}
    shapes = {"edges": (bins + 1 if bins else 0,), "before": (steps, bins), "after": (steps, bins)}
    for field in header["fields"]:
        shape = shapes.get(field, (steps,))
        numbers[field] = np.frombuffer(body, "<f8", int(np.prod(shape)), offset).reshape(shape)
        offset += numbers[field].nbytes
    assert offset == len(body)
    return {**header, **numbers}


def _header(body: bytes) -> tuple[dict[str, Any], int]:
    (length,) = struct.unpack_from("<I", body)
    assert (4 + length) % 8 == 0
    return json.loads(body[4 : 4 + length]), 4 + length
