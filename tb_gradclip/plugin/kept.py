"""Bodies of answers, made once for all who ask the same: many look at the same charts, and pages ask again."""

from __future__ import annotations

import gzip
import hashlib
import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from tensorboard.backend import http_util
from werkzeug import wrappers
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

BINARY = "application/octet-stream"
"""Numbers: packing them takes longer than sending them."""

MOST_BYTES = 64 << 20
"""Of all bodies that are kept, those asked for last."""

MOST_ANSWERS = 256

AT_ONCE = 2
"""Answers that are worked on at a time. More would not be ready sooner, since Python computes one thing at a time, but
all of them later. And each takes memory, of which the C library keeps small pieces for the thread that had them: so
these two threads work for all connections."""

COMPRESSION = 3
"""As TensorBoard compresses: a better level takes longer than it saves."""


class Body(NamedTuple):
    """What is sent: plain, gzipped if it is text, its type, and a tag that differs whenever the content does."""

    plain: bytes
    gzipped: bytes | None
    content_type: str
    tag: str

    @property
    def nbytes(self) -> int:
        """Bytes that keeping it takes."""
        return len(self.plain) + len(self.gzipped or b"")


def body(plain: bytes, content_type: str) -> Body:
    """A body, packed once for everybody."""
    gzipped = None if content_type == BINARY else gzip.compress(plain, COMPRESSION, mtime=0)
    return Body(plain, gzipped, content_type, hashlib.blake2b(plain, digest_size=16).hexdigest())


class _NotModified(wrappers.Response):
    """304 with the type of what the browser has: Werkzeug takes it away, and TensorBoard warns of every answer without.

    A page asks every ten seconds whether there is anything new: that would be most of what a terminal shows.
    """

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Headers as they are sent."""
        headers = super().get_wsgi_headers(environ)
        headers["Content-Type"] = self.headers["Content-Type"]
        return headers


def sent(request: wrappers.Request, answer: Body) -> wrappers.Response:
    """A body as HTTP; no content, 304, for a browser that has it."""
    headers = [("ETag", f'"{answer.tag}"')]
    if request.if_none_match.contains(answer.tag):
        always = [("Cache-Control", "no-cache, must-revalidate"), ("X-Content-Type-Options", "nosniff")]
        as_sent = http_util.Respond(request, b"", answer.content_type).content_type  # with a charset, if it is text
        return _NotModified(status=304, headers=[*headers, *always], content_type=as_sent)
    if answer.gzipped is None or not request.accept_encodings["gzip"]:
        return http_util.Respond(request, answer.plain, answer.content_type, headers=headers)
    return http_util.Respond(request, answer.gzipped, answer.content_type, content_encoding="gzip", headers=headers)


class _Entry:
    """An answer, and what it was made of: values, and objects that it does not keep alive: tables are large."""

    def __init__(self, state: Sequence[object], values: object) -> None:
        self._state, self._values = [weakref.ref(each) for each in state], values
        self.making = threading.Lock()
        self.body: Body | None = None

    def holds(self, state: Sequence[object], values: object) -> bool:
        """Whether it is made of these."""
        if len(state) != len(self._state) or values != self._values:
            return False
        return all(a is b() for a, b in zip(state, self._state, strict=True))


class KeptAnswers:
    """Answers by question, each as long as what it was made of is the same; safe to share between threads.

    Who asks what another is just being answered waits for that answer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[Hashable, _Entry] = {}
        self._workers = ThreadPoolExecutor(AT_ONCE, "gradclip-answers")

    def answer(
        self,
        question: Hashable,
        state: Sequence[object],
        make: Callable[[], Body],
        *,
        values: object = None,
        quick: bool = False,
    ) -> Body:
        """The answer to a question, kept or made.

        Args:
          question: tells it from all others.
          state: what it is made of. An answer holds as long as these are the very same objects.
          make: makes it. Whatever that raises reaches everybody who asks.
          values: what else it is made of; it holds as long as these are equal.
          quick: whether that takes so little that it need not wait for others.
        """
        with self._lock:
            entry = self._entries.pop(question, None)
            if entry is None or not entry.holds(state, values):
                entry = _Entry(state, values)
            self._entries[question] = entry
        with entry.making:
            if entry.body is None:
                try:
                    entry.body = make() if quick else self._workers.submit(make).result()
                finally:
                    self._forget_old()  # failures are entries too
            return entry.body

    def _forget_old(self) -> None:
        with self._lock:
            room = MOST_BYTES
            for place, (question, entry) in enumerate(reversed(list(self._entries.items()))):
                room -= entry.body.nbytes if entry.body is not None else 0
                if room < 0 or place >= MOST_ANSWERS:
                    del self._entries[question]
