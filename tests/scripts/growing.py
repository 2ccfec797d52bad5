"""Trains something that never was: records steps at a pace, alerts among them.

    python growing.py RUN_DIRECTORY STEPS STEPS_A_SECOND

It prints one line of JSON: the steps, seconds it took, and seconds of processor time of this process, the making up of
numbers included.
"""

import json
import sys
import time

from tb_gradclip.storage.write import EventFile
from tests.benchmarks.synthetic import BATCH, Training

directory, steps, pace = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
training = Training(20, pace=pace)
recorder = training.recorder(EventFile(directory))
begun, spent = time.monotonic(), time.process_time()
for first in range(0, steps, BATCH):
    time.sleep(max(0.0, begun + first / pace - time.monotonic()))
    for measured in training.batches(min(BATCH, steps - first), first):
        for step in measured.steps.tolist():
            if recorder.histogram_due(step):
                recorder.add_histogram(training.histogram(step))
        recorder.add_steps(measured)
seconds, spent = time.monotonic() - begun, time.process_time() - spent
recorder.close()
print(json.dumps({"steps": steps, "seconds": seconds, "processor": spent}))
