"""What users of TensorFlow pass to a writer, checked before anything is done with it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tb_gradclip.core.parameter import Parameter, gain


def parameters_of(variables: Sequence[Any]) -> list[Parameter]:
    """Names and shapes of the variables; a name that occurs again gets a number."""
    variables = list(variables)
    if not variables:
        raise ValueError("`variables` must not be empty. Build the model first, then pass model.trainable_variables.")
    if len({id(variable) for variable in variables}) < len(variables):
        raise ValueError(
            "`variables` must not have an entry twice: its gradient would be counted twice. Pass each once."
        )
    found: dict[str, Parameter] = {}
    for variable in variables:
        if not hasattr(variable, "assign"):
            raise ValueError(
                f"`variables` must be a list of variables, got {variable!r} in it. Pass trainable_variables."
            )
        base = getattr(variable, "path", None) or variable.name.split(":")[0]
        name, number = base, 0
        while name in found:
            number += 1
            name = f"{base}_{number}"
        found[name] = Parameter(name, tuple(variable.shape), tf.as_dtype(variable.dtype).name, _gain(variable))
    return list(found.values())


def _gain(variable: Any) -> float | None:
    """Gain of a weight. A layer's outputs are its last dimension."""
    if len(variable.shape) < 2:
        return None
    with contextlib.suppress(Exception):  # inside a graph, or spread over replicas, it may have no value to read
        return gain(float(tf.norm(tf.cast(variable, tf.float32))), variable.shape[-1])
    return None


def scalar(name: str, value: Any) -> float | None:
    """A threshold as a number, or None if it is a tensor whose value is not known yet."""
    if tf.is_tensor(value) or isinstance(value, tf.Variable):
        if value.shape.rank not in (0, None):
            raise ValueError(f"`{name}` must be a scalar, got a tensor of shape {tuple(value.shape)}.")
        return None
    number = float(value)
    if math.isnan(number):
        raise ValueError(f"`{name}` must be a number, got {value!r}.")
    return number


def check_norm(clip_norm: Any) -> None:
    """Refuse a norm that the library cannot clip to."""
    number = scalar("clip_norm", clip_norm)
    if number is not None and not 0 <= number < math.inf:
        raise ValueError(
            f"`clip_norm` must be 0 or more and finite, got {clip_norm!r}. "
            "Use observe(grads) to record without clipping."
        )


def scalar_loss(loss: Any) -> Any:
    """A loss that is a scalar by its shape, or will be found to be one when it is computed."""
    several = isinstance(loss, tf.distribute.DistributedValues) and not isinstance(loss, tf.Variable)
    if several:
        raise ValueError(
            "`loss` must be a scalar, got one for each replica. "
            'Pass strategy.reduce("MEAN", loss, axis=None), or call step inside of strategy.run.'
        )
    shape = tf.TensorShape(getattr(loss, "shape", ()))
    if shape.rank not in (0, None):
        raise ValueError(f"`loss` must be a scalar, got a tensor of shape {tuple(shape)}. Pass tf.reduce_mean(loss).")
    return tf.ensure_shape(loss, ()) if shape.rank is None else loss


def check_gradients(gradients: Any) -> None:
    """Refuse what does not say whose gradients are clipped."""
    if gradients not in ("replica", "whole"):
        raise ValueError(
            f'`gradients` must be "replica" or "whole", got {gradients!r}. '
            'Pass "whole" if you reduce gradients over the replicas before you clip them.'
        )
