"""An action that tells somebody elsewhere: alerts as JSON, posted from a thread of its own."""

from __future__ import annotations

import atexit
import functools
import json
import os
import queue
import threading
import time
import urllib.parse
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from tb_gradclip.core.alert import Alert
from tb_gradclip.telling import tell

MOST_WAITING = 100
"""Alerts that wait to be posted; what comes on top is dropped, and told."""

RETRIED = {408, 425, 429, 500, 502, 503, 504}
"""Statuses that may be others a moment later; any other one says that the request is wrong."""


def message(alert: Alert) -> dict[str, Any]:
    """The alert's fields, and `text`, all of it in a line, which chat services look for."""
    return {"text": str(alert), **vars(alert)}


class Webhook:
    """Posts alerts to an address as JSON. Training never waits for it.

    One thread posts them one after the other. A connection that fails, takes longer than `timeout`, or answers that it
    is busy, is tried again after 1, 2, 4, … seconds; what fails for good is told once as a warning. An address that
    redirects elsewhere fails: nothing goes where you did not say. At the end of the program, and in `close`, it has
    `timeout` seconds for what is left.

    Args:
      url: where to, http or https.
      timeout: seconds one attempt may take.
      retries: attempts after the first.
      headers: more headers, say for authorization.
      body: makes the JSON of an alert; by default its fields and `text`, all of it in a line.

    Raises:
      ValueError: `url` is not an address, or a number is out of range.

    >>> writer = ClipWriter("runs/lstm", model, on_alert=Webhook("https://hooks.example.com/x"))   # doctest: +SKIP
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 5.0,
        retries: int = 3,
        headers: Mapping[str, str] | None = None,
        body: Callable[[Alert], object] = message,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"`url` must be an http or https address, got {url!r}.")
        if not timeout > 0 or retries < 0:
            raise ValueError(f"`timeout` must be above 0 and `retries` 0 or more, got {timeout!r} and {retries!r}.")
        self._url, self._timeout, self._retries, self._body = url, timeout, retries, body
        self._headers = {"Content-Type": "application/json", "User-Agent": "tb-gradclip", **(headers or {})}
        self._warned = False
        self._start_afresh()
        _live.add(self)

    def _start_afresh(self) -> None:
        """Nothing waits, and nobody posts: so in a forked child, too, where what waits is its parent's to post."""
        self._waiting: queue.Queue[Alert] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def __call__(self, alert: Alert) -> None:
        """Leave an alert to be posted."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._post_all, name="gradclip-webhook", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # there may be no more; another alert tries again
                    self._warn(f"the alert of step {alert.step} is not posted to {self._place}: {error}")
                    return
                self._thread = thread
        try:
            self._waiting.put_nowait(alert)
        except queue.Full:
            self._warn(f"{MOST_WAITING} alerts are waiting, so that of step {alert.step} is dropped")

    def close(self) -> None:
        """Post what is left, for `timeout` seconds at most, without another attempt at what fails."""
        self._closing.set()
        end = time.monotonic() + self._timeout
        while self._waiting.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.01)

    def _post_all(self) -> None:
        while True:
            alert = self._waiting.get()
            try:
                self._post(alert)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next alert may get through
                self._warn(f"the alert of step {alert.step} was not posted to {self._place}: {error}")
            finally:
                self._waiting.task_done()

    def _post(self, alert: Alert) -> None:
        import urllib.error  # takes a while, which nobody has to wait for who posts nothing
        import urllib.request

        data = json.dumps(self._body(alert)).encode()
        request = urllib.request.Request(self._url, data, self._headers, method="POST")  # noqa: S310 - http or https
        for attempt in range(self._retries + 1):
            try:
                with _opener().open(request, timeout=self._timeout):
                    return
            except OSError as error:  # urllib's own errors are of that kind
                final = isinstance(error, urllib.error.HTTPError) and error.code not in RETRIED
                if final or attempt == self._retries or self._closing.wait(2.0**attempt):
                    raise

    @property
    def _place(self) -> str:
        """Where to, without the path, which often is a secret."""
        return urllib.parse.urlsplit(self._url).hostname or ""

    def _warn(self, problem: str) -> None:
        if not self._warned:
            self._warned = True
            tell(f"gradclip: {problem}. Training is not affected.", stacklevel=2)


@functools.cache
def _opener() -> Any:
    """Opens addresses, and follows none to another: that would get the headers too, which often authorize."""
    import urllib.request

    class Staying(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, request: Any, file: Any, code: int, text: str, headers: Any, new: str) -> None:
            place = urllib.parse.urlsplit(new).hostname or ""
            text = f"it redirects to {place!r}; give the address that answers"
            raise urllib.error.HTTPError(request.full_url, code, text, headers, file)

    return urllib.request.build_opener(Staying)


_live: weakref.WeakSet[Webhook] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for webhook in list(_live):
        webhook.close()


def _start_all_afresh() -> None:
    for webhook in list(_live):
        webhook._start_afresh()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_all_afresh)
