"""Answers in one string of bytes: a frame whose header lists them, and their bodies, all of it deflated.

Header: `{"answers": [{"route", "run", "step", "parameter", "size", "start", "word"}, ...]}`, the bodies in that order.
`run`, `step` and `parameter` are what was asked for, null where nothing was. Where `word` is not 0, what a body has
from `start` on are numbers of so many bytes, condensed as `numbers.condensed` says.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tb_gradclip.core import framing
from tb_gradclip.offline.numbers import condensed, few_digits, rounded, whole_parts

EXACT = frozenset({"step", "first_step", "last_step", "threshold"})
"""Fields of binary bodies that are kept as they are."""

BITS = dict.fromkeys(("before", "after"), 9) | dict.fromkeys(("clip_rate", "low", "high", "throttle"), 12)
VALUE_BITS, CELL_BITS = 17, 10
"""Of a share that is a colour, and of one that is read off a line; of other values on lines; of a norm of a parameter:
decimal digits are three, four, five and three."""

MOMENTS = 1 << 16
"""Of a run's time, as many as are told apart: a screen is some thousand pixels wide."""


@dataclass(frozen=True)
class Answer:
    """A body, what it answers, and where its numbers of `word` bytes begin."""

    route: str
    run: str | None
    body: bytes
    step: int | None = None
    parameter: str | None = None
    start: int = 0
    word: int = 0

    @cached_property
    def size(self) -> int:
        """About how many bytes it adds to a package."""
        return len(zlib.compress(self.packed))

    @property
    def entry(self) -> dict[str, Any]:
        """What the header says of it."""
        asked = {name: getattr(self, name) for name in ("route", "run", "step", "parameter", "start", "word")}
        return {**asked, "size": len(self.body)}

    @property
    def packed(self) -> bytes:
        """The body as it stands in a package."""
        return condensed(self.body, self.start, self.word) if self.word else self.body


def pack(answers: Sequence[Answer]) -> bytes:
    """The package of these answers. The same answers give the same bytes."""
    bodies = b"".join(answer.packed for answer in answers)
    return gzip.compress(framing.pack({"answers": [answer.entry for answer in answers]}, bodies, align=8), 6, mtime=0)


def of_json(route: str, run: str | None, body: bytes, **asked: Any) -> Answer:
    """An answer in JSON, with fewer digits."""
    text = json.dumps(few_digits(json.loads(body)), allow_nan=False, separators=(",", ":"))
    return Answer(route, run, text.encode(), **asked)


def of_series(run: str, body: bytes) -> Answer:
    """An answer of the route `series`."""
    header, numbers = framing.unpack(body)
    fields = [
        (one["column"] if field == "value" else field, one["rows"])
        for one in header["series"]
        for field in one["fields"]
    ]
    return _framed("series", run, header, _fewer_bits(numbers, fields), 8)


def values(answer: Answer) -> list[float]:
    """Values of the one line of an answer of `series`."""
    header, numbers = framing.unpack(answer.body)
    (one,) = header["series"]
    found = np.frombuffer(numbers, "<f8", one["rows"], 16 * one["rows"])
    return found.tolist()


def of_map(run: str, body: bytes) -> Answer:
    """An answer of the route `histograms`."""
    header, numbers = framing.unpack(body)
    steps, bins = header["steps"], header["bins"]
    lengths = {"edges": bins + 1 if bins else 0, "before": steps * bins, "after": steps * bins}
    kept = _fewer_bits(numbers, [(field, lengths.get(field, steps)) for field in header["fields"]])
    return _framed("histograms", run, header, kept, 8)


def of_windows(run: str, body: bytes) -> Answer:
    """An answer of the route `parameters`."""
    header, numbers = framing.unpack(body)
    windows, cells = header["windows"], header["windows"] * len(header["parameters"])
    joint = rounded(np.frombuffer(numbers, "<f8", windows, 24 * windows), VALUE_BITS).tobytes()
    norms = rounded(np.frombuffer(numbers, "<f4", 3 * cells, 32 * windows), CELL_BITS).tobytes()
    kept = numbers[: 24 * windows] + joint + norms + numbers[32 * windows + 12 * cells :]
    return _framed("parameters", run, header, kept, 4)


def of_flight(run: str, step: int, body: bytes) -> Answer:
    """An answer of the route `flight`."""
    header, numbers = framing.unpack(body)
    steps = 8 * header["rows"]
    kept = numbers[:steps] + rounded(np.frombuffer(numbers, "<f4", offset=steps), CELL_BITS).tobytes()
    return replace(_framed("flight", run, header, kept, 4), step=step)


def _framed(route: str, run: str, header: dict[str, Any], numbers: bytes, word: int) -> Answer:
    body = framing.pack(header, numbers, align=8)
    return Answer(route, run, body, start=len(body) - len(numbers), word=word)


def _fewer_bits(numbers: bytes, fields: Sequence[tuple[str, int]]) -> bytes:
    """Blocks of float64, each with a name and a length, with the digits that are needed."""
    kept, offset = [], 0
    for name, length in fields:
        kept.append(_kept(name, np.frombuffer(numbers, "<f8", length, offset)).tobytes())
        offset += 8 * length
    return b"".join(kept)


def _kept(name: str, block: NDArray[np.float64]) -> NDArray[Any]:
    if name in EXACT:
        return block
    if name == "wall_time":
        return whole_parts(block, MOMENTS)
    return rounded(block, BITS.get(name, VALUE_BITS))
