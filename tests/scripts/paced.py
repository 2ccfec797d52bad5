"""Trainings at a given pace, each in a process of its own, that note in shared memory when they made each step.

Reads lines of `PACE START STEPS LOGDIR TIMES`, forks for each with PyTorch loaded already, and prints its process id; a
line `wait PID` waits for one. TIMES is a file of float64: the time of step START, of the one after it, and so on.
"""

from __future__ import annotations

import gc
import os
import sys
import time

import numpy as np
import torch

from tb_gradclip.torch import ClipWriter


def train(pace: float, start: int, steps: int, logdir: str, times: str) -> None:
    """Make so many steps a second, and end without closing the writer."""
    made = np.memmap(times, np.float64, "r+")
    model = torch.nn.Linear(3, 2)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    writer = ClipWriter(logdir, model, start_step=start)
    parameters = list(model.parameters())
    beginning = time.monotonic()
    for number in range(steps):
        time.sleep(max(0.0, beginning + number / pace - time.monotonic()))
        made[number] = time.time()
        writer.clip_grad_norm_(parameters, 1.0)
        writer.step(float(start + number))


if __name__ == "__main__":
    torch.set_num_threads(1)
    gc.freeze()
    for line in sys.stdin:
        if line.startswith("wait"):
            print(os.waitstatus_to_exitcode(os.waitpid(int(line.split()[1]), 0)[1]), flush=True)
            continue
        pace, start, steps, logdir, times = line.split()
        child = os.fork()
        if child == 0:
            break
        print(child, flush=True)
    else:
        sys.exit()
    train(float(pace), int(start), int(steps), logdir, times)
