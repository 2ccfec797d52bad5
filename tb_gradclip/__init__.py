"""GradClip for TensorBoard: what gradient clipping does to training, next to the loss it acts on.

Training: `tb_gradclip.torch.ClipWriter`, `tb_gradclip.tensorflow.ClipWriter`, `tb_gradclip.keras.ClipCallback`.
A script that knows nothing of this: `tb-gradclip run --logdir DIR script.py`.
Afterwards: `tb_gradclip.read(logdir)` gives runs as NumPy arrays.

Inside:

- `core`      arithmetic and formats; pure
- `storage`   event files: write and read
- `recorder`  measurements to records and alerts
- `collector` the thread on which that happens
- `torch`, `tensorflow`, `keras`   one framework each
- `launch`    a script that is run as it is; `observation`: what the frameworks' parts in that share
- `plugin`    the TensorBoard tab and its HTTP API
- `cli`       the command line; `report`: runs in the terminal
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tb_gradclip.recorder import DivergenceError
    from tb_gradclip.storage.read import Run, read

__all__ = ["DivergenceError", "Run", "__version__", "read"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import public names on first use: a script under `tb-gradclip run` finds nothing imported that it did not."""
    if name == "DivergenceError":
        from tb_gradclip.recorder import DivergenceError

        return DivergenceError
    if name in ("Run", "read"):
        from tb_gradclip.storage import read

        return getattr(read, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
