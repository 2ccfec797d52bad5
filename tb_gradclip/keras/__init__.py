"""Keras: a callback for `fit` that records what the optimizer's own clipping does.

Strategy: Keras clips inside `optimizer.apply`, in a step that may be compiled, so the callback replaces some methods
of the instances for the time of one `fit`. Each calls what it replaces and returns its result untouched: the weights
are the same to the last bit with the callback and without. (TensorFlow promises that of no two programs. The tests find
it so but where its compilers merge or move operations around gradients that nobody reads otherwise: gradients that are
accumulated and not clipped in a graph, and a `LossScaleOptimizer` under XLA.)

- `callback`   what users call
- `autowatch`  every `fit` of a script that knows nothing of it, for `tb-gradclip run`
- `hooks`      what stands before the methods of model and optimizer; `stateless`: the same on JAX
- `ring`       the last steps on the device, and their way to the host
- `schedule`   at which of them gradients are counted
- `measures`   what is measured of a gradient
"""

try:
    import keras as _keras  # noqa: F401 - the modules below need it, and this says what to do without
except ImportError as error:
    raise ImportError(
        'tb_gradclip.keras needs Keras. Install it with: pip install "tb_gradclip[tensorflow]"'
    ) from error

from tb_gradclip.keras.callback import ClipCallback

__all__ = ["ClipCallback"]
