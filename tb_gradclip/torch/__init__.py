"""PyTorch: clip through a `ClipWriter`, or `watch` a loop that clips by itself, and every step is recorded.

Strategy: the clip call needs the norm of every gradient anyway, so recording costs no further pass over them. Norms
and loss stay on the device, and the step puts them into an outbox. A thread of our own takes several steps together,
brings them to the host, and works out there what they mean.

What the numbers mean where more than one thing could be meant:

- A step is one call of the writer's `step`: with gradient accumulation that of the optimizer, not of a micro-batch.
- Norms are L2 norms, in float32 at least, of the gradients that the clip calls of the step were given; the norm that
  `clip_grad_norm_` is told to use under it. Where half precision makes the library's own norm another one, its factor,
  and whether it clipped, are still the library's.
- Several clip calls in a step, for groups with thresholds of their own, are one row: before the first, after the last.
  Of two for the same parameters between which their gradients changed, as when every micro-batch is clipped, the last
  one counts. Parameters that no call of the step was given count as having no gradient.
- Under a `GradScaler` norms are without its scale, and steps it skips are recorded as skipped. Clipping before
  `unscale_` is warned of; then the threshold that is recorded is the one that acted, without the scale too.
- A model from `torch.compile`, or in `DistributedDataParallel`, has the parameter names it has without.
- Of processes that train one model, all make the same calls, and the first one writes. Norms and histograms are those
  of whole gradients: under DDP the averaged ones, with `fully_shard` and tensor parallelism those of all shards
  together, without the angle by which clipping turns them. Of micro-batches under `no_sync`, clipped before gradients
  are averaged, the last call counts, as ever. The loss is the first process's own, unless it is passed an average.
- `on_alert="raise"` raises in the first process; what started the others has to end them, as `torchrun` does.

Modules:

- `writer`       what users call
- `watcher`      what they call for loops that are not theirs
- `updates`      steps told by the optimizer's hooks
- `autowatch`    every optimizer of a script that knows nothing of it, for `tb-gradclip run`
- `owners`       what modules call the tensors of an optimizer; `losses`: what `backward` was called on for it
- `clip_calls`   the library's clip calls, seen where they are made
- `arguments`    what they pass
- `measuring`    what every call of a writer measures
- `open_step`    the step that is being made
- `calls`        a clip call, and what its numbers say
- `gradients`    what is read off gradients, and their scaling
- `norms`        their norms
- `direction`    the angle by which clipping turns them
- `counts`       their histograms
- `sharded`      what processes hold of gradients, put together
- `processes`    who trains a model together, and who of them writes
- `outbox`       the way to the host
- `amp`          what a `GradScaler` does in between
- `patches`      functions of PyTorch that are replaced for a while
- `lint`         what a clip call does not tell in numbers
"""

try:
    import torch as _torch  # noqa: F401 - the modules below need it, and this says what to do without
except ImportError as error:
    raise ImportError('tb_gradclip.torch needs PyTorch. Install it with: pip install "tb_gradclip[torch]"') from error

from tb_gradclip.torch.watcher import watch
from tb_gradclip.torch.writer import ClipWriter

__all__ = ["ClipWriter", "watch"]
