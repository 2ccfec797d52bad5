"""Records to events and back.

- `write`     an event file, and records as summaries under sharded tags
- `appended`  the file beneath it: bytes, and how they survive forks and signals
- `events`    event files on a local disk
- `read`      records to runs
- `history`   the step table of a run, from records in any order
- `provider`  runs out of a TensorBoard data provider
- `scalars`   ordinary scalars out of one: their tags, and curves of a few
- `source`    what is read of one of them, and when
- `details`   its windows and flights, read when they are looked at
"""
