"""Keras: a callback for `fit` that records what the optimizer's own clipping does.

Strategy: Keras clips inside `optimizer.apply`, in a step that may be compiled, so the callback replaces four methods
of the instances for the time of one `fit`. Each calls what it replaces and returns its result untouched: the weights
are the same to the last bit with the callback and without. (XLA promises that of no two programs; the tests find it
so but for a `LossScaleOptimizer` under XLA, whose sums may be rounded in another order.)

- `callback`   what users call
- `ring`       measurements, and their way to the host
"""

try:
    import keras as _keras  # noqa: F401 - the modules below need it, and this says what to do without
except ImportError as error:
    raise ImportError(
        'tb_gradclip.keras needs Keras. Install it with: pip install "tb_gradclip[tensorflow]"'
    ) from error

from tb_gradclip.keras.callback import ClipCallback

__all__ = ["ClipCallback"]
