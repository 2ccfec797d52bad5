"""Records to events and back.

- `write`           an event file, and records as summaries under sharded tags
- `appended`        the file beneath it: bytes, and how they survive forks and signals
- `attempts`        when a writer's life begins, so that what it writes is the newest
- `events`          event files on a local disk
- `read`            records to runs
- `derived`         what follows from a run's steps: the methods of `Run`
- `figures`         what is listed and reported of a run
- `runs`            every run under a directory, read when asked for
- `problems`        what of a run could not be read, and why
- `history`         the step table of a run, from records in any order
- `provider`        runs out of a TensorBoard data provider
- `tags`            records of tags out of one, and what to do where a tag cannot be read
- `scalars`         ordinary scalars out of one: their tags, and curves of a few
- `source`          what is read of one of them, and when
- `outlined_source` of a long one
- `details`         its windows and flights, read when they are looked at
"""
