"""PyTorch: clip through a `ClipWriter` and every step is recorded.

Strategy: the clip call needs the norm of every gradient anyway, so recording costs no further pass over them. Norms
and loss stay on the device, and the step puts them into an outbox. A thread of our own takes several steps together,
brings them to the host, and works out there what they mean.

- `writer`       what users call
- `gradients`    what is read off gradients, and their scaling
- `norms`        their norms
- `counts`       their histograms
- `outbox`       the way to the host
"""

try:
    import torch as _torch  # noqa: F401 - the modules below need it, and this says what to do without
except ImportError as error:
    raise ImportError('tb_gradclip.torch needs PyTorch. Install it with: pip install "tb_gradclip[torch]"') from error

from tb_gradclip.torch.writer import ClipWriter

__all__ = ["ClipWriter"]
