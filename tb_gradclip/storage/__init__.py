"""Records to events and back.

- `write`     an event file, and records as summaries under sharded tags
- `events`    event files on a local disk
- `read`      records to runs
- `derived`   what follows from a run's steps: the methods of `Run`
- `figures`   what is listed and reported of a run
- `runs`      every run under a directory, read when asked for
- `history`   the step table of a run, from records in any order
- `provider`  runs out of a TensorBoard data provider
- `scalars`   ordinary scalars out of one: their tags, and curves of a few
- `source`    what is read of one of them, and when
- `details`   its windows and flights, read when they are looked at
"""
