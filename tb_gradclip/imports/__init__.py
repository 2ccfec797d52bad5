"""Runs from logs that we did not write.

- `detect`         which format a file or directory has
- `trainer_state`  Hugging Face `Trainer`
- `fairseq`        text logs of fairseq
- `megatron`       text logs of Megatron-LM and what follows it
- `tables`         CSV and JSON lines
- `scalars`        ordinary scalars in TensorBoard event files
- `names`          which column or tag is the loss, the norm, the step
- `series`         what comes out of each: steps with their norms, and what is known of them
- `rows`           lines of a log, put together to that
- `write`          that as a run of ours, through the ordinary recorder
"""
