"""The thread that carries measurements from a training step to the recorder.

A step only leaves its numbers where this thread finds them. It takes them, works out what they mean, encodes and
writes; it also looks after steps that are waiting while training hangs, so that a killed process loses little.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tb_gradclip.core.counted import HistogramCounts
from tb_gradclip.core.rows import Measurements
from tb_gradclip.recorder import Recorder
from tb_gradclip.telling import tell

SECONDS_PER_ROUND = 0.5
"""Longest time between two rounds; they come sooner when there is much to take."""

PATIENCE = 30.0
"""Seconds that training, or the end of the program, waits for a round that does not end, as when a disk hangs."""

Writer = TypeVar("Writer", bound="CollectedWriter")
Fetch = Callable[[], Iterable[HistogramCounts | Measurements]]


class Stopwatch:
    """Adds up the seconds spent in its `with` blocks; a block within a block counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since = 0.0
        self._depth = 0

    def __enter__(self) -> None:
        if self._depth == 0:
            self._since = time.perf_counter()
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._since


class Collector:
    """Calls `fetch` now and then on a thread of its own, and hands the recorder what it returns.

    Args:
      recorder: takes what is fetched; closed by `close`.
      fetch: returns what is new, a step's histogram before the step. Must not refer to the object that owns the
        collector, or that would never be freed.
      own: time the training thread spends for us; None if it cannot be known.
      drain: brings within reach of `fetch` what it may not touch while training runs; called by `close` alone.
    """

    def __init__(
        self,
        recorder: Recorder,
        fetch: Fetch,
        own: Stopwatch | None = None,
        drain: Callable[[], None] = lambda: None,
    ) -> None:
        self._recorder, self._fetch, self._own, self._drain = recorder, fetch, own, drain
        self._reported = 0.0
        self._lock = threading.RLock()
        self._due = threading.Event()
        self._tasks: queue.SimpleQueue[tuple[Callable[[], None], threading.Event]] = queue.SimpleQueue()
        self.closed = self._warned = False
        self._process = os.getpid()
        recorder.writes_at_once = False
        self._thread = threading.Thread(target=self._run, name="gradclip", daemon=True)
        self._thread.start()
        _remember(self)

    def wake(self) -> None:
        """Have a round soon."""
        if self._is_ours():
            self._due.set()

    def collect(self) -> None:
        """Have a round now, on the calling thread; all that could be fetched before the call is then recorded."""
        if self.closed or not self._is_ours():
            return
        if not self._lock.acquire(timeout=PATIENCE):
            self._give_up()
            return
        try:
            if not self.closed:
                self._have_round()
        finally:
            self._lock.release()
        if self._recorder.due and not self.closed:
            self._leave_to_thread(self._recorder.write_if_due)

    def _leave_to_thread(self, task: Callable[[], None]) -> None:
        """Have the thread do what a disk may hold up, and wait for it: it alone touches the disk, and takes no Ctrl-C.

        Nobody may hold a lock meanwhile that the thread could wait for.
        """
        if self._thread is threading.current_thread() or not self._thread.is_alive():
            task()
            return
        done, end = threading.Event(), time.monotonic() + PATIENCE
        self._tasks.put((task, done))
        self._due.set()
        while not done.wait(max(0.0, min(0.1, end - time.monotonic()))) and self._thread.is_alive():
            if time.monotonic() >= end:
                self._give_up()
                return

    def _carry_out(self) -> None:
        """Do what was left to the thread."""
        while not self._tasks.empty():
            task, done = self._tasks.get()
            start = time.thread_time()
            try:
                task()
            finally:
                done.set()
            if self._own is not None:
                self._recorder.add_own_time(time.thread_time() - start)

    def _have_round(self) -> None:
        start = time.thread_time()
        with self._warning():
            for found in self._fetch():
                if isinstance(found, HistogramCounts):
                    self._recorder.add_histogram(found)
                else:
                    self._recorder.add_steps(found)
        if self._thread is threading.current_thread():
            self._recorder.write_if_due()
        if self._own is not None:
            spent = self._own.seconds
            self._recorder.add_own_time(spent - self._reported + time.thread_time() - start)
            self._reported = spent

    def _give_up(self) -> None:
        """Leave the thread to whatever holds it up; it ends with the program."""
        self.closed = True
        self._recorder.abandon()
        self._warn(f"gradclip stopped recording: the log took nothing for {PATIENCE:.0f} s. Training is not affected.")

    def flush(self) -> None:
        """Bring everything so far into the file."""
        self.collect()
        if self._is_ours() and not self.closed:
            self._leave_to_thread(self._recorder.flush)

    def close(self) -> None:
        """Record what is left, stop the thread and close the recorder; closing twice is fine."""
        with self._warning():
            if self.closed or not self._is_ours():
                _open.discard(self)
                return
        with self._warning():
            self._drain()
        with self._warning():
            self.collect()
        if not self.closed:
            with self._warning():
                self._leave_to_thread(self._recorder.close)
        if not self.closed:  # nor given up
            self.closed = True
            self._due.set()
            if self._thread is not threading.current_thread():
                self._thread.join(PATIENCE)
        _open.discard(self)  # not before: interrupted, it is closed at exit

    @property
    def left_behind(self) -> bool:
        """Whether this is a process forked from the one that made it: it has the open file, but not the thread."""
        return not self._is_ours()

    def _is_ours(self) -> bool:
        return os.getpid() == self._process

    @contextlib.contextmanager
    def _warning(self) -> Iterator[None]:
        """Turn failures into one warning: training goes on, and so does what comes after."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._warn(f"gradclip missed some steps: {error!r}. Training is not affected.")

    def _warn(self, problem: str) -> None:
        if not self._warned:
            self._warned = True
            tell(problem, stacklevel=2)

    def _run(self) -> None:
        while not self.closed:
            self._due.wait(SECONDS_PER_ROUND)
            self._due.clear()
            with self._warning():
                self._carry_out()
            with self._warning():
                self.collect()
        with self._warning():
            self._carry_out()


class CollectedWriter:
    """What writers of every framework do with what they recorded."""

    _recorder: Recorder
    _collector: Collector

    def flush(self) -> None:
        """Bring every step so far into the file; waits for the device, so not to be called inside a graph."""
        self._collector.flush()
        self._recorder.act()

    def close(self) -> None:
        """Record what is left and close the file, unless it is the user's; closing twice is fine. Also done at exit."""
        self._collector.close()
        self._recorder.act()

    def __enter__(self: Writer) -> Writer:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._collector.close()
        if error is None:  # an alert must not hide it
            self._recorder.act()


_open: weakref.WeakSet[Collector] = weakref.WeakSet()


def _remember(collector: Collector) -> None:
    """Have it closed when the program ends, before the framework that was loaded before it shuts down."""
    if not _open:
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _open.add(collector)


def _close_all() -> None:
    for collector in list(_open):
        collector.close()


def _leave_all() -> None:
    """In a forked child: no lock may be waited for that a thread of the parent held, and nobody comes for steps."""
    for collector in list(_open):
        collector.closed = True
    _open.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_leave_all)
