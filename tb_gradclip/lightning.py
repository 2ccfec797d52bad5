"""Lightning: a callback for its `Trainer` that records what the trainer's clipping does.

Strategy: `tb_gradclip.torch.watch` sees the clip calls and the updates of the trainer's optimizers; the hook before
every backward pass gives the loss. Lightning is installed as `lightning` or as `pytorch_lightning`. Both have the same
hooks, and call them on whatever is in `callbacks`: a class made for one serves the other.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from tb_gradclip.actions import OnAlert, action_of
from tb_gradclip.core.schedule import HISTOGRAM_EVERY
from tb_gradclip.recorder import check_settings
from tb_gradclip.torch import watch
from tb_gradclip.torch.arguments import is_summary_writer
from tb_gradclip.torch.watcher import Watcher

if TYPE_CHECKING:
    import torch
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["ClipCallback"]


def _callback_class() -> Any:
    """That of the package which is used already, or else of the first that is installed."""
    packages = ("lightning.pytorch", "pytorch_lightning")
    for package in sorted(packages, key=lambda package: package not in sys.modules):
        with contextlib.suppress(ImportError):
            return importlib.import_module(package).Callback
    raise ImportError('tb_gradclip.lightning needs Lightning. Install it with: pip install "tb_gradclip[lightning]"')


_Callback: Any = _callback_class()


class ClipCallback(_Callback):  # type: ignore[misc]
    """Records the gradients of every update of a `fit` before and after the trainer's clipping, and the loss.

    The gradients before are those of the hook `on_before_optimizer_step`: accumulated, and without a loss scale. The
    loss of a step is the mean of what `training_step` returned for its batches, several with `accumulate_grad_batches`;
    in manual optimization that of what `manual_backward` was given. Several optimizers make a step together, which ends
    with the update of the last one; clipping with `self.clip_gradients` or PyTorch's own calls is seen there too.

    Of several processes the first records: its own loss, and its gradients, which under DDP are everyone's. Nothing is
    recorded under `fast_dev_run`. Each `fit` is a new attempt of the same run; one that resumes from a checkpoint goes
    on with its steps. Weights and checkpoints are what they are without the callback.

    Args:
      logdir: directory of the run, or a `torch.utils.tensorboard.SummaryWriter`. By default the event file of the
        trainer's own `TensorBoardLogger`; if it has none, the directory of its first logger, or `default_root_dir`.
      on_alert: None, "log", "warn", "raise" (`fit` fails with a `DivergenceError`), "stop" (sets
        `trainer.should_stop`), a function of the alert, or (kinds, action) pairs of these; see
        `tb_gradclip.actions.action_of`. On a GPU alerts come up to 128 steps or half a second late.
      histogram_every: steps between histograms at first (they thin out as the run grows), beside which steps that stand
        out have one; 0 for none at all.

    Raises:
      ValueError: a setting is out of range. From `fit`, before the first batch: an optimizer has none of the module's
        parameters, or one of several processes would have to stop them all.
      TypeError, OSError: from `fit`, before the first batch: `logdir` is something else, or cannot be written.

    Example:
      >>> trainer = Trainer(gradient_clip_val=1.0, callbacks=[ClipCallback()])       # doctest: +SKIP
      >>> trainer.fit(module, loader)                                                # doctest: +SKIP
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str] | SummaryWriter | None = None,
        *,
        on_alert: OnAlert = None,
        histogram_every: int = HISTOGRAM_EVERY,
    ) -> None:
        super().__init__()
        check_settings(action_of(on_alert, stop=object), histogram_every, 0)
        self._logdir, self._on_alert, self._histogram_every = logdir, on_alert, histogram_every
        self._watcher: Watcher | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start recording: called by `fit`."""
        self._end()
        stop = functools.partial(setattr, trainer, "should_stop", True)
        on_alert = action_of(self._on_alert, stop, trainer.world_size)
        if trainer.is_global_zero and not trainer.fast_dev_run:
            self._watcher = watch(
                pl_module,
                trainer.optimizers,
                _destination(trainer) if self._logdir is None else self._logdir,
                on_alert=on_alert,
                histogram_every=self._histogram_every,
                start_step=trainer.global_step // max(1, len(trainer.optimizers)),  # it counts the updates of each
            )

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: torch.Tensor) -> None:
        """Take the loss, as it was before the trainer divided and scaled it: called by `fit`."""
        if self._watcher is None or loss.numel() != 1:
            return
        with self._watcher._writer._harmless():
            loss = loss.detach()
            if pl_module.automatic_optimization:
                loss = loss * trainer.accumulate_grad_batches
            scaler = getattr(trainer.precision_plugin, "scaler", None)
            if scaler is not None:
                loss = loss / scaler.scale(loss.new_ones(()))  # get_scale() would wait for the device
            self._watcher.log_loss(loss)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Record what is left: called by `fit`."""
        self._end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Record what is left of a `fit` that fails."""
        self._end(exception)

    def _end(self, error: BaseException | None = None) -> None:
        """Close what a `fit` recorded into; an alert that comes up now does not hide an error."""
        ended, self._watcher = self._watcher, None
        if ended is not None:
            ended.__exit__(type(error), error, None)


def _destination(trainer: Any) -> Any:
    """The writer of the trainer's `TensorBoardLogger`, or else the directory that the trainer logs to."""
    for logger in trainer.loggers:
        writer: Any = getattr(logger, "experiment", None)
        if is_summary_writer(writer):
            writer._get_file_writer()  # opens a file again, as the logger would, where an earlier fit has closed it
            return writer
    logger = trainer.logger  # trainer.log_dir asks other processes, which do not get here
    return getattr(logger, "log_dir", None) or getattr(logger, "save_dir", None) or trainer.default_root_dir
