"""What of a run could not be read, and why: counted, so that a thousand broken records are one sentence."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

from tb_gradclip.core.schema import SCHEMA, Tag

Decoded = TypeVar("Decoded")

MOST_NOTED = 10_000
"""Broken records that are told apart; of a run with more, the sentence says "10000 or more"."""

MOST_WHY = 300
"""Characters of a reason: it may quote what was found, which may be anything."""


class Problems:
    """What could not be read of one run; safe to share between threads.

    A record that is read again, because its tag has grown, counts once: what is noted under a key replaces what was.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[Hashable, tuple[str, str]] = {}

    def note(self, key: Hashable, what: str, why: str) -> None:
        """Take note of something.

        Args:
          key: tells it apart from the rest.
          what: what it is, a noun that takes an s: those of one `what` are counted together; "" for what has no number.
          why: a sentence without a full stop; of one `what`, the first that was noted is told.
        """
        with self._lock:
            if key in self._noted or len(self._noted) < MOST_NOTED:
                self._noted[key] = what, why[:MOST_WHY]

    def decoded(self, tag: Tag, decode: Callable[[bytes], Decoded], frames: Iterable[bytes]) -> Iterator[Decoded]:
        """Records of a tag; takes note of those that cannot be decoded."""
        for frame in frames:
            try:
                yield decode(frame)
            except ValueError as error:
                self.note((tag.kind, tag.attempt, hash(frame)), f"`{tag.kind}` record", str(error))

    def fits(self, parameters: int, expected: int) -> bool:
        """Whether a record has as many parameters as its run; takes note of it if not."""
        if parameters != expected:
            why = f"a run of {expected} parameters must have as many norms, got {parameters}"
            self.note(("fits", parameters), "sort of parameter record", why)
        return parameters == expected

    def note_version(self, theirs: int) -> None:
        """Take note of records of a later version of the format."""
        sentence = f"recorded in version {theirs} of the gradclip format, this is version {SCHEMA}. Upgrade tb_gradclip"
        self.note("version", "", sentence)

    def forget(self, key: Hashable) -> None:
        """What could not be read can be read now."""
        with self._lock:
            self._noted.pop(key, None)

    def holds(self, what: str) -> bool:
        """Whether anything of this sort was noted."""
        with self._lock:
            return any(noted == what for noted, _ in self._noted.values())

    @property
    def sentences(self) -> tuple[str, ...]:
        """What could not be read, a sentence for each sort of thing without its full stop; empty if all could."""
        with self._lock:
            noted = list(self._noted.values())
        first = dict(reversed(noted))
        more = " or more" if len(noted) >= MOST_NOTED else ""
        counts = Counter(what for what, _ in noted)
        return tuple(
            f"{n}{more} {what}{'s' * (n != 1)} could not be read: {first[what].rstrip('.')}" if what else first[what]
            for what, n in counts.items()
        )
