"""Trainings that end in every way a program can, each in a process of its own.

Reads lines of `WAY ENDING STEPS LOGDIR` and forks for each, with PyTorch loaded already; prints its status. What the
training computed goes to LOGDIR.out, a line a step, and what was said to LOGDIR.err.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

import torch

from tests.trust.trained import Training


def end(ending: str, training: Training) -> None:
    """End the program, or leave it to go on."""
    if ending == "exit":
        sys.exit(3)
    if ending == "message":
        sys.exit("enough")
    if ending == "at_once":
        os._exit(4)
    if ending == "error":
        raise LookupError("of the user's own")
    if ending == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
    if ending == "terminate":
        os.kill(os.getpid(), signal.SIGTERM)
    if ending == "forks":
        fork(training)


def fork(training: Training) -> None:
    """Fork while threads hold every lock of the writer; the child goes on for a while, and ends as any program."""
    locks = []
    if training.way != "bare":
        locks = [training.recorder._collector._lock, training.recorder._recorder._lock]
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        for lock in locks:
            lock.acquire()
        held.set()
        done.wait()
        for lock in locks:
            lock.release()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if child == 0:
        for _ in range(5):
            training.step()
        sys.exit(7)
    assert os.waitpid(child, 0)[1] == 7 << 8
    done.set()
    holder.join()
    other = multiprocessing.get_context("fork").Process(target=go_on, args=(training,))
    other.start()
    other.join()
    assert other.exitcode == 0


def go_on(training: Training) -> None:
    """What somebody does who makes the writer first, and then the process that trains."""
    for _ in range(5):
        training.step()
    if training.way != "bare":
        training.recorder.flush()
        training.recorder.close()


def main(way: str, ending: str, steps: int, logdir: str) -> None:
    training = Training(way, Path(logdir), **({} if way == "bare" else {"histogram_every": 1}))
    if ending == "interrupt":
        training.step()
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        steps = 10**9
    for number in range(steps):
        if number == steps // 2 and ending != "interrupt":
            end(ending, training)
        print(training.step().hex())
        if ending == "interrupt":
            time.sleep(0.001)
    print(training.weights.hex())


if __name__ == "__main__":
    torch.set_num_threads(1)
    gc.freeze()  # a child need not look through what is loaded
    for line in sys.stdin:
        way, ending, steps, logdir = line.split()
        child = os.fork()
        if child == 0:
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(f"{logdir}.{name}", os.O_CREAT | os.O_WRONLY), number)
            break
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    else:
        sys.exit()
    main(way, ending, int(steps), logdir)
