"""GradClip for TensorBoard: what gradient clipping does to training, next to the loss it acts on.

Training: `tb_gradclip.torch.ClipWriter`, `tb_gradclip.torch.watch`, `tb_gradclip.tensorflow.ClipWriter`,
`tb_gradclip.keras.ClipCallback`, `tb_gradclip.lightning.ClipCallback`, `tb_gradclip.transformers.ClipCallback`.
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
- `plugin`   the TensorBoard tab and its HTTP API
- `cli`   runs in the terminal
"""

from tb_gradclip.actions import Checkpoint, DivergenceError
from tb_gradclip.storage.read import Run, read
from tb_gradclip.webhook import Webhook

__all__ = ["Checkpoint", "DivergenceError", "Run", "Webhook", "__version__", "read"]
__version__ = "0.1.0"
