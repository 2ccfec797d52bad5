"""Hugging Face: a callback for `transformers.Trainer` that records what its clipping does.

Strategy: `tb_gradclip.torch.watch` sees the clip call, which Accelerate makes, and the optimizer's update. A `Trainer`
tells its callbacks neither the loss of a step, nor that an exception ended training, nor which other callbacks there
are. So this one is given the trainer, and listens to what its `training_step` returns and how its `train` ends.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

try:
    from transformers import Trainer, TrainerCallback
    from transformers.integrations import TensorBoardCallback
except ImportError as error:
    raise ImportError(
        'tb_gradclip.transformers needs Transformers. Install it with: pip install "tb_gradclip[transformers]"'
    ) from error

from tb_gradclip.actions import OnAlert, action_of
from tb_gradclip.core.schedule import HISTOGRAM_EVERY
from tb_gradclip.recorder import check_settings
from tb_gradclip.torch import watch
from tb_gradclip.torch.arguments import is_summary_writer
from tb_gradclip.torch.watcher import Watcher

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["ClipCallback"]


class ClipCallback(TrainerCallback):  # type: ignore[misc]
    """Records the gradients of every update of a `Trainer` before and after its clipping, and the loss.

    The norm before clipping of the last step of a logging window is the `grad_norm` that the trainer logs. The loss of
    a step is the sum of what `training_step` returned for its micro-batches, which the trainer has divided by their
    number, or by that of their tokens: the `loss` that the trainer logs is the mean of these over a window. It is
    recorded as it is, also where the trainer leaves out losses that are not finite.

    Of several processes the first records: its own loss, and its gradients, which under DDP are everyone's. Each
    `train` is a new attempt of the same run; one that resumes from a checkpoint goes on with its steps. Weights and
    checkpoints are what they are without the callback.

    Args:
      trainer: the trainer to record; the callback is then to be added to it.
      logdir: directory of the run, or a `torch.utils.tensorboard.SummaryWriter`. By default the event file of the
        trainer's own `TensorBoardCallback`; if it has none, `logging_dir` of its arguments, or else `output_dir`.
      on_alert: None, "log", "warn", "raise" (`train` fails with a `DivergenceError`), "stop" (sets
        `control.should_training_stop`), a function of the alert, or (kinds, action) pairs of these; see
        `tb_gradclip.actions.action_of`. On a GPU alerts come up to 128 steps or half a second late.
      histogram_every: steps between histograms at first (they thin out as the run grows), beside which steps that stand
        out have one; 0 for none at all.

    Raises:
      TypeError: `trainer` is none.
      ValueError: a setting is out of range, or one of several processes would have to stop them all.
      TypeError, OSError: from `train`, before the first step: `logdir` is something else, or cannot be written.

    Example:
      >>> trainer = Trainer(model, TrainingArguments("out", report_to="tensorboard"), ...)   # doctest: +SKIP
      >>> trainer.add_callback(ClipCallback(trainer))                                        # doctest: +SKIP
      >>> trainer.train()                                                                    # doctest: +SKIP
    """

    def __init__(
        self,
        trainer: Trainer,
        logdir: str | os.PathLike[str] | SummaryWriter | None = None,
        *,
        on_alert: OnAlert = None,
        histogram_every: int = HISTOGRAM_EVERY,
    ) -> None:
        if not isinstance(trainer, Trainer):
            raise TypeError(
                f"`trainer` must be a transformers.Trainer, got {type(trainer).__name__}. "
                "Make the trainer first, then trainer.add_callback(ClipCallback(trainer))."
            )
        self._on_alert = action_of(on_alert, self._stop, trainer.args.world_size)
        check_settings(self._on_alert, histogram_every, 0)
        self._trainer, self._logdir, self._histogram_every = trainer, logdir, histogram_every
        self._watcher: Watcher | None = None
        self._loss: Any = None
        trainer.train = self._ended_by_exceptions(trainer.train)
        trainer.training_step = self._heard(trainer.training_step)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Get ready for a new attempt: called by `train`."""
        self._end()
        # First of all callbacks, so as to end before the one whose file this shares closes it, as it does at the end.
        callbacks = self._trainer.callback_handler.callbacks
        callbacks.remove(self)
        callbacks.insert(0, self)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start recording with the first step, by when every logger is there: called by `train`."""
        if self._watcher is None and state.is_world_process_zero:
            self._watcher = watch(
                kwargs["model"],
                kwargs["optimizer"],
                self._destination(args) if self._logdir is None else self._logdir,
                on_alert=self._on_alert,
                histogram_every=self._histogram_every,
                start_step=state.global_step,
            )

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Hand over the loss of the update that comes next: called by `train`."""
        loss, self._loss = self._loss, None
        if self._watcher is not None and loss is not None:
            self._watcher.log_loss(loss)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record what is left: called by `train`."""
        self._end()

    def _destination(self, args: Any) -> Any:
        """The writer of the trainer's `TensorBoardCallback`, or else the directory that the trainer writes to."""
        for callback in self._trainer.callback_handler.callbacks:
            if isinstance(callback, TensorBoardCallback) and is_summary_writer(callback.tb_writer):
                return callback.tb_writer
        return getattr(args, "logging_dir", None) or args.output_dir  # Transformers 4 has both

    def _heard(self, training_step: Callable[..., Any]) -> Callable[..., Any]:
        """That method, whose losses are added up here for the next update."""

        @functools.wraps(training_step)
        def heard(*args: Any, **kwargs: Any) -> Any:
            loss = training_step(*args, **kwargs)
            if self._watcher is not None:
                with self._watcher._writer._harmless():
                    self._loss = loss.detach() if self._loss is None else self._loss + loss.detach()
            return loss

        return heard

    def _ended_by_exceptions(self, train: Callable[..., Any]) -> Callable[..., Any]:
        """That method, of which an exception ends the record too."""

        @functools.wraps(train)
        def ending(*args: Any, **kwargs: Any) -> Any:
            try:
                return train(*args, **kwargs)
            except BaseException as error:
                self._end(error)
                raise

        return ending

    def _end(self, error: BaseException | None = None) -> None:
        """Close what a `train` recorded into; an alert that comes up now does not hide an error."""
        ended, self._watcher, self._loss = self._watcher, None, None
        if ended is not None:
            ended.__exit__(type(error), error, None)

    def _stop(self) -> None:
        self._trainer.control.should_training_stop = True
