"""Small trainings with the trainers of Lightning and Transformers, recorded or not, and what came out to the bit."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
import transformers
from pytorch_lightning.plugins.precision import MixedPrecision

from tb_gradclip.lightning import ClipCallback as LightningCallback
from tb_gradclip.transformers import ClipCallback as TransformersCallback
from tests import test_lightning, test_transformers
from tests.test_torch import bits

NETS: dict[str, type[test_lightning.Net]] = {"one": test_lightning.Net, "two": test_lightning.Adversaries}


def train_lightning(
    net: str, scaled: bool, logdir: Path | None, begun: Callable[[], object], on_thread: bool
) -> list[bytes]:
    """A `fit` as `bugs.Train` has it, with one optimizer or by hand with two, and a loss scale perhaps."""
    warnings.filterwarnings("ignore", module="pytorch_lightning|torch.utils.data")

    class Begun(lightning.Callback):
        def on_train_start(self, *_: Any) -> None:
            begun()

        def on_train_batch_start(self, *_: Any) -> None:
            time.sleep(0.002 * on_thread)

    module = test_lightning.net(NETS[net], breaks_at=4) if scaled else test_lightning.net(NETS[net])
    ours = [LightningCallback(logdir, **_recorded(on_thread))] if logdir else []
    plugins = [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=256.0))] if scaled else []
    with tempfile.TemporaryDirectory() as folder:
        made = test_lightning.trainer(
            Path(folder),
            *ours,
            Begun(),
            gradient_clip_val=module.threshold,
            logger=False,
            plugins=plugins,
        )
        made.fit(module, test_lightning.loader())
    return [*bits(module.parameters()), str(module.norms).encode(), str(module.batches).encode()]


def train_transformers(logdir: Path | None, begun: Callable[[], object], on_thread: bool) -> list[bytes]:
    """A `train` as `bugs.Train` has it, with two micro-batches a step."""
    warnings.filterwarnings("ignore", module="transformers|accelerate|torch.utils.data")

    class Begun(transformers.TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            time.sleep(0.002 * on_thread)
            if state.global_step == 0:
                begun()

    with tempfile.TemporaryDirectory() as folder:
        trainer = test_transformers.Trainer(
            folder,
            test_transformers.Network,
            report_to="none",
            gradient_accumulation_steps=2,
            max_steps=3 * test_transformers.STEPS,
        )
        if logdir:
            trainer.add_callback(TransformersCallback(trainer, logdir, **_recorded(on_thread)))
        trainer.add_callback(Begun())
        trainer.train()
    return [*bits(trainer.model.parameters()), *(str(trainer.logged(name)).encode() for name in ("loss", "grad_norm"))]


def _recorded(on_thread: bool) -> dict[str, Any]:
    return {"histogram_every": 2} if on_thread else {"on_alert": [].append, "histogram_every": 2}
