"""What can go wrong in a run, one monitor each; `core.trouble` feeds them all and tells who is to blame.

A monitor takes steps in their order and returns alerts. An alert that lasts comes when it is noticed, and once more,
complete, when it is over: of two alerts of a kind at a step the later one holds. In between, `alert` is what is known
of it so far.
"""
