"""What can go wrong in a run, one monitor each; `core.trouble` feeds them all and tells who is to blame.

A monitor takes steps in their order and returns alerts. An alert that lasts comes when it is noticed, and once more,
complete, when it is over: of two alerts of a kind at a step the later one holds. In between, `alert` is what is known
of it so far.

- `loss`        divergence and spikes
- `nonfinite`   losses and gradients that are NaN or infinite
- `explosion`   norms that rise by an order of magnitude and stay
- `vanishing`   weights that next to no gradient reaches, and norms that vanish while the loss stays high
- `zero_step`   updates that clipping made 0
- `regime`      clip rates that change for good
- `plateau`     losses that fall no more
- `episode`     how long what went wrong with a loss lasted
"""
