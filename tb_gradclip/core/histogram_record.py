"""The `histograms` record of `schema`: the counts of one step, of all parameters, in the codes that occur.

Header: step, wall_time, rule, parameters, cosine if it was measured, and for each block its dtype and number of codes.
Body: for each block the codes (uint16), if it has any, and its items as byte planes; all of it zlib.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core import checked, framing
from tb_gradclip.core.histogram import CODES, GradientHistogram
from tb_gradclip.core.rules import Rule

MOST_HISTOGRAMS = 1 << 16
"""Parameters of a histogram record: unpacked, each takes 8 KB."""


def encode(histogram: GradientHistogram) -> bytes:
    """Frame of a `histograms` record. Only codes that occur are kept."""
    blocks: dict[str, Any] = {}
    body = b""
    for name in ("counts", "counts_after", "coefficients", "clipped"):
        block = getattr(histogram, name)
        if block is None:
            continue
        kept = {}
        if block.ndim == 2:
            codes = np.flatnonzero(histogram.total if name == "counts" else block.any(axis=0))
            kept = {"codes": len(codes)}
            body += codes.astype("<u2").tobytes()
            block = block[:, codes]
        dtype = "<f8" if name == "coefficients" else "<u4" if not block.size or block.max() < 2**32 else "<u8"
        blocks[name] = {"dtype": dtype, **kept}
        body += framing.planes(np.ascontiguousarray(block, dtype))
    header = {"step": histogram.step, "wall_time": histogram.wall_time, "rule": histogram.rule.to_json()}
    if histogram.cosine is not None:
        header["cosine"] = histogram.cosine
    return framing.pack({**header, "parameters": len(histogram.counts), "blocks": blocks}, zlib.compress(body, 1))


@checked.decoder
def step_of(frame: bytes) -> int:
    """Of a `histograms` record, the step; the body is not looked at."""
    return checked.whole(framing.unpack(frame)[0]["step"])


@checked.decoder
def decode(frame: bytes, parameters: tuple[str, ...]) -> GradientHistogram:
    """The histogram that `encode` framed; names of parameters come from the `run` record."""
    header, compressed = framing.unpack(frame)
    rows = checked.whole(header["parameters"])
    if rows != len(parameters):
        raise ValueError(f"a histogram must have the run's {len(parameters)} parameters, got {rows}.")
    blocks = [_Block.of(name, block) for name, block in header["blocks"].items()]
    body = framing.inflate(compressed, sum(block.size(rows) for block in blocks), "a histogram")
    fields: dict[str, NDArray[Any]] = {}
    for block in blocks:
        fields[block.name], body = block.read(body[: block.size(rows)], rows), body[block.size(rows) :]
    rule, cosine = Rule.from_json(header["rule"]), checked.optional(checked.finite, header.get("cosine"))
    if rule.kind == "value" and not rule.low <= rule.high:
        raise ValueError(f"bounds of a histogram's rule must ascend, got {rule.low} and {rule.high}.")
    step, time = checked.whole(header["step"]), checked.time(header["wall_time"])
    return GradientHistogram(step, time, rule, parameters, **fields, cosine=cosine)


class _Block(NamedTuple):
    """One block of a histogram: counts of `codes`, which are kept beside them, or a number for each parameter."""

    name: str
    dtype: np.dtype[Any]
    codes: int | None

    @classmethod
    def of(cls, name: str, fields: Mapping[str, Any]) -> _Block:
        """The block that a header describes."""
        numbers = ("<f8",) if name == "coefficients" else ("<u4", "<u8")
        dtype = np.dtype(checked.one_of(fields["dtype"], numbers))
        if name not in ("counts", "counts_after"):
            return cls(checked.one_of(name, ("coefficients", "clipped")), dtype, None)
        return cls(name, dtype, checked.whole(fields["codes"], 0, CODES))

    def size(self, rows: int) -> int:
        """Bytes of the block, with its codes."""
        columns = 1 if self.codes is None else self.codes
        return 2 * (self.codes or 0) + rows * columns * self.dtype.itemsize

    def read(self, body: bytes, rows: int) -> NDArray[Any]:
        """The numbers: shape [rows], or of counts [rows, CODES]."""
        if self.codes is None:
            return framing.from_planes(body, self.dtype).astype(np.float64 if self.dtype.kind == "f" else np.int64)
        if rows > MOST_HISTOGRAMS:
            raise ValueError(f"a histogram must have at most {MOST_HISTOGRAMS} parameters, got {rows}.")
        codes, counts = (
            np.frombuffer(body[: 2 * self.codes], "<u2"),
            framing.from_planes(body[2 * self.codes :], self.dtype),
        )
        if (counts > checked.MOST).any():
            raise ValueError(f"counts of a histogram must be at most {checked.MOST}, got {counts.max()}.")
        whole = np.zeros((rows, CODES), np.int64)
        whole[:, codes] = counts.reshape(rows, self.codes)
        return whole
