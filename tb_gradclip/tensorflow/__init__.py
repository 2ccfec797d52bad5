"""TensorFlow: clip through a `ClipWriter` and every step is recorded, in eager code, in graphs and under XLA.

Strategy: norms and loss of a step are written into a ring of the last steps on the device, by ordinary ops that may
stand anywhere a training step can. The host drains the ring now and then. Clipping itself is the library's own call
on the gradients as they came, so its result is the library's to the last bit.

- `writer`     what users call
- `arguments`  what they pass, checked
- `measuring`  what every call of a writer measures
- `ops`        what is measured of a gradient, by which ops
- `ring`       the way to the host
- `replicas`   who records where several train
"""

try:
    import tensorflow as _tensorflow  # noqa: F401 - the modules below need it, and this says what to do without
except ImportError as error:
    raise ImportError(
        'tb_gradclip.tensorflow needs TensorFlow. Install it with: pip install "tb_gradclip[tensorflow]"'
    ) from error

from tb_gradclip.tensorflow.writer import ClipWriter

__all__ = ["ClipWriter"]
