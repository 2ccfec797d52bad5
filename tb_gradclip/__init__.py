"""GradClip for TensorBoard: what gradient clipping does to training, next to the loss it acts on.

Training: `tb_gradclip.torch.ClipWriter`, `tb_gradclip.torch.watch`, `tb_gradclip.tensorflow.ClipWriter`,
`tb_gradclip.keras.ClipCallback`, `tb_gradclip.lightning.ClipCallback`, `tb_gradclip.transformers.ClipCallback`.
A script that knows nothing of this: `tb-gradclip run --logdir DIR script.py`.
Alerts: `tb_gradclip.Webhook`, `tb_gradclip.Checkpoint`, `tb_gradclip.DivergenceError`.
Afterwards: `tb_gradclip.read(logdir)` gives runs as NumPy arrays.

Inside:

- `core`   arithmetic and formats; NumPy alone
- `storage`   event files: write and read
- `actions`, `webhook`   what alerts set off
- `recorder`   measurements to records and alerts
- `collector`   the thread on which that happens
- `torch`, `tensorflow`, `keras`   one framework each
- `lightning`, `transformers`   trainers on PyTorch, watched
- `launch`   a script that is run as it is; `observation`: what the frameworks' parts in that share
- `plugin`   the TensorBoard tab and its HTTP API
- `cli`   the command line; `report`: runs in the terminal
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tb_gradclip.actions import Checkpoint, DivergenceError
    from tb_gradclip.storage.read import Run, read
    from tb_gradclip.webhook import Webhook

__all__ = ["Checkpoint", "DivergenceError", "Run", "Webhook", "__version__", "read"]
__version__ = "0.1.0"

_HOMES = {
    "Checkpoint": "tb_gradclip.actions",
    "DivergenceError": "tb_gradclip.actions",
    "Run": "tb_gradclip.storage.read",
    "Webhook": "tb_gradclip.webhook",
    "read": "tb_gradclip.storage.read",
}


def __getattr__(name: str) -> Any:
    """Import public names on first use: a script under `tb-gradclip run` finds nothing imported that it did not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
