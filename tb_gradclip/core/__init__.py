"""Pure arithmetic and formats: NumPy and the standard library, no I/O, no framework.

- `rules`          what each way of clipping does to norms
- `rows`           the step table and the measurements it is made from
- `ring`           rows on a device that cannot call the host
- `histogram`      distributions of gradients in signed logarithmic bins
- `counted`        counts of one step on their way to a histogram
- `histogram_map`  distributions of many steps as one matrix
- `schedule`       how windows and histograms thin out as a run grows
- `standout`       which steps have a histogram beside the schedule
- `alert`          what is said of a step
- `monitors`       from streams of losses and norms to alerts, a folder of its own
- `blame`          which parameter went first
- `trouble`        all of these at once, for every step of a run
- `flight`         every parameter's norm at every step around an event
- `lint`           clipping that is set up wrongly or does nothing
- `loss_tag`       which of a run's ordinary scalars is the loss
- `computed`       alerts computed from its points
- `rates`          clip rate with its confidence interval, throttle
- `what_if`        what other thresholds would have done to recorded norms
- `zclip`          the same for one that moves along
- `windows`        statistics of parameters over stretches of steps
- `cost`           when the log is told what recording costs
- `parameter`      a trained tensor
- `schema`         the format on disk
- `framing`        records as bytes
- `growing`        arrays that grow at their end
- `totals`         counts over all rows of a run
- `charts`         lines of charts, a folder of its own
"""
