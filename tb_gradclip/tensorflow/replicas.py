"""Training on several replicas: which strategies can be recorded, and where a call comes from."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def replicas_of(strategy: Any) -> int:
    """How many replicas train together under a strategy.

    Raises:
      ValueError: they cannot be recorded: they are not in one process, or not traced one by one.
    """
    replicas = int(strategy.num_replicas_in_sync)
    elsewhere = isinstance(strategy, tf.distribute.ParameterServerStrategy)
    if elsewhere or (replicas > 1 and not isinstance(strategy, tf.distribute.MirroredStrategy)):
        raise ValueError(
            "several replicas must train under a tf.distribute.MirroredStrategy to be recorded, "
            f"got {replicas} of a {type(strategy).__name__}. Train under one, or without recording."
        )
    return replicas


def strategy_of(variable: Any) -> Any:
    """The strategy that a variable, of TensorFlow or Keras, was made under; else the one whose scope this is in."""
    made = [getattr(v, "distribute_strategy", None) for v in (variable, getattr(variable, "value", None))]
    return next(filter(None, made), tf.distribute.get_strategy())


def replica() -> int | None:
    """Number of the replica whose step is being run or traced; None outside of one, or where there is but one."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return None
    return int(tf.get_static_value(context.replica_id_in_sync_group))


def of_first(tensor: Any) -> Any:
    """What the first replica has of a tensor that each computes. Every one must call this, outside of conditionals.

    Where XLA compiles the replicas they cannot ask each other, and each gets its own.
    """
    if replica() is None or tf.__internal__.distribute.strategy_supports_no_merge_call():
        return tensor
    context = tf.distribute.get_replica_context()
    return context.merge_call(lambda strategy, each: strategy.experimental_local_results(each)[0], args=(tensor,))


def first_component(variable: Any) -> Any:
    """A variable that every step may change by itself: in the scope of a strategy, what the first replica has of it."""
    return tf.distribute.get_strategy().experimental_local_results(variable)[0]
