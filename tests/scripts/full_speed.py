"""Trains as fast as it can for some seconds, on 20 matrices, while alerts fire; then prints what came of it.

    python -m tests.scripts.full_speed LOGDIR SECONDS heard|unheard ROWS LEAK

ROWS are those of an outline, until which the process grows. LEAK bytes are kept at every step, to see that whoever
watches the memory would notice.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter

import torch

import tb_gradclip.recorder
from tb_gradclip.torch import ClipWriter

EPISODE = 1000
"""Steps between two events: in turns a leap of the loss, and a gradient that is not finite."""


def main(logdir: str, seconds: float, heard: bool, leak: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    named = [(f"layers.{i}.weight", torch.nn.Parameter(torch.randn(16, 16))) for i in range(20)]
    parameters = [parameter for _, parameter in named]
    usual = [0.03 * torch.randn(16, 16) for _ in parameters]
    for parameter in parameters:
        parameter.grad = torch.zeros(16, 16)
    alerts: Counter[str] = Counter()
    writer = ClipWriter(logdir, named, on_alert=(lambda alert: alerts.update([alert.kind])) if heard else None)
    print("trains", flush=True)
    end, step, kept = time.monotonic() + seconds, 0, []
    while time.monotonic() < end:
        event = step % EPISODE == EPISODE - 1
        factor = 0.5 + (step * 0.6180339887) % 1  # no two steps alike
        for parameter, gradient in zip(parameters, usual, strict=True):
            torch.mul(gradient, factor, out=parameter.grad)
        if event and step // EPISODE % 2:
            parameters[7].grad[0, 0] = float("nan")
        writer.clip_grad_norm_(parameters, 1.0)
        writer.step((20.0 if event else 1.0) + 0.1 * factor)
        if leak:
            kept.append(bytearray(leak))
        step += 1
    writer.close()
    print(json.dumps({"steps": step, "alerts": alerts}))


if __name__ == "__main__":
    tb_gradclip.recorder.ROWS_PER_OUTLINE = int(sys.argv[4])
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3] == "heard", int(sys.argv[5]))
