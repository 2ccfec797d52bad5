"""Records to events and back.

- `write`  an event file, and records as summaries under sharded tags
- `read`   a TensorBoard data provider to runs
"""
