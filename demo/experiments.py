"""What there is to train, and what to look at afterwards. Nothing here imports what the experiments are made with."""

from __future__ import annotations

from typing import NamedTuple


class Experiment(NamedTuple):
    """The package that it is made with, what to look at in the dashboard, and whether it can be given `--data`."""

    package: str
    look: str
    has_data: bool = False


EXPERIMENTS = {
    "lstm": Experiment(
        "torch",
        "Loss: the markers of `unclipped` say when it broke and which layer's gradient grew first. Gradient norm "
        "before and after: with `global_norm` the one stands above the threshold as the learning rate rises, the "
        "other never does.",
    ),
    "depth": Experiment(
        "torch",
        "`exploding` ends in NaN within a few steps; clipped, it learns. `vanishing` learns nothing either way, "
        "and its alert names the layers that no gradient reaches. `fast_clipped` is below a loss of 1 before "
        "`slow_unclipped`.",
    ),
    "digits": Experiment(
        "tensorflow",
        "Clip rate: two steps in three are clipped, by value and by norm, and the three loss curves are much the "
        "same: Adam divides by the size of recent gradients, so that their length hardly matters. Distribution: "
        "where the two cut.",
    ),
    "classifier": Experiment(
        "keras",
        "Clip rate: with `clipnorm` each variable is clipped by itself, so a step counts as soon as one was. "
        "Distribution: `clipvalue` cuts the tails off, `clipnorm` moves all of a variable closer to 0.",
        has_data=True,
    ),
    "regression": Experiment(
        "keras",
        "Loss: `power_1` gets over its jump by itself, and at power 3 `unclipped` is NaN within a few steps: its "
        "marker says when, Alerts what broke first. With the same data and learning rate `clipnorm_1` and "
        "`clipvalue_3` stay finite and improve.",
    ),
    "convnet": Experiment(
        "torch",
        "Clip rate: `value_1` clips nothing, since no element is ever above 1, and `norm_2` a few steps early on. "
        "Threshold what-if says what other thresholds would have clipped.",
        has_data=True,
    ),
}
"""By name, in the order in which they are trained."""
