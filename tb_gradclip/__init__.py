"""GradClip for TensorBoard: what gradient clipping does to training, next to the loss it acts on.

Which loop, which call:

- PyTorch, your own, on one process or with DDP, FSDP2, tensor parallelism: `tb_gradclip.torch.ClipWriter`
- PyTorch, somebody else's; Accelerate: `tb_gradclip.torch.watch`
- Lightning: `tb_gradclip.lightning.ClipCallback`
- Hugging Face's `Trainer`: `tb_gradclip.transformers.ClipCallback`
- TensorFlow with a `GradientTape`, on one replica or under `MirroredStrategy`: `tb_gradclip.tensorflow.ClipWriter`
- Keras `fit`, on TensorFlow (`MirroredStrategy` too), PyTorch or JAX: `tb_gradclip.keras.ClipCallback`
- a script that knows nothing of this, PyTorch or Keras: `tb-gradclip run --logdir DIR script.py`

Alerts: `tb_gradclip.Alert`, `tb_gradclip.Webhook`, `tb_gradclip.Checkpoint`, `tb_gradclip.DivergenceError`.
Afterwards: `tb_gradclip.read(logdir)` gives runs as NumPy arrays; in a terminal: `tb-gradclip --help`.

Inside:

- `core`   arithmetic and formats; NumPy alone
- `storage`   event files: write and read
- `actions`, `webhook`   what alerts set off
- `recorder`   measurements to records and alerts
- `collector`   the thread on which that happens
- `harmless`   what is done about failures of ours; `telling`: how users are told of them
- `torch`, `tensorflow`, `keras`   one framework each
- `lightning`, `transformers`   trainers on PyTorch, watched
- `launch`   a script that is run as it is; `observation`: what the frameworks' parts in that share
- `plugin`   the TensorBoard tab and its HTTP API
- `offline`   the tab in one file, without TensorBoard
- `imports`   runs from logs that others wrote
- `cli`, `commands`   the command line, and its subcommands
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tb_gradclip.actions import Checkpoint, DivergenceError
    from tb_gradclip.core.alert import Alert
    from tb_gradclip.storage.read import Run
    from tb_gradclip.storage.runs import read
    from tb_gradclip.webhook import Webhook

__all__ = ["Alert", "Checkpoint", "DivergenceError", "Run", "Webhook", "__version__", "read"]
__version__ = "0.1.0"

_HOMES = {
    "Alert": "tb_gradclip.core.alert",
    "Checkpoint": "tb_gradclip.actions",
    "DivergenceError": "tb_gradclip.actions",
    "Run": "tb_gradclip.storage.read",
    "Webhook": "tb_gradclip.webhook",
    "read": "tb_gradclip.storage.runs",
}


def __getattr__(name: str) -> Any:
    """Import public names on first use: a script under `tb-gradclip run` finds nothing imported that it did not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
