"""How the contract suite trains through the callbacks for Lightning and Transformers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytorch_lightning as lightning
import torch
import transformers

from tb_gradclip.lightning import ClipCallback as LightningCallback
from tb_gradclip.transformers import ClipCallback as TransformersCallback
from tests.contract import Array, Steps


class Given(torch.autograd.Function):
    """A loss of a given value, whose gradients are given too."""

    @staticmethod
    def forward(ctx: Any, loss: float, gradients: list[Array], *parameters: torch.Tensor) -> torch.Tensor:
        ctx.gradients = gradients
        return torch.tensor(loss)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> Any:
        return None, None, *(torch.tensor(gradient) for gradient in ctx.gradients)


class Model(torch.nn.Module):
    """One parameter for each array of gradients; takes the number of a step and returns its loss."""

    def __init__(self, gradients: Steps, losses: list[float]) -> None:
        super().__init__()
        self.steps = list(zip(losses, gradients, strict=True))
        self.trained = torch.nn.ParameterList([torch.zeros(gradient.shape) for gradient in gradients[0]])
        self.clipped: Steps = []

    def forward(self, step: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": Given.apply(*self.steps[int(step)], *self.trained)}

    def note_clipped(self) -> None:
        self.clipped.append([parameter.grad.numpy().copy() for parameter in self.trained])


class Module(lightning.LightningModule):
    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def training_step(self, step: torch.Tensor, _: int) -> Any:
        return self.model(step)

    def configure_gradient_clipping(self, *args: Any, **kwargs: Any) -> None:
        super().configure_gradient_clipping(*args, **kwargs)
        self.model.note_clipped()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Notes(transformers.TrainerCallback):
    def on_pre_optimizer_step(self, *args: Any, model: Model, **kwargs: Any) -> None:
        model.note_clipped()


def record_lightning(logdir: str, kind: str, threshold: float, gradients: Steps, losses: list[float]) -> Steps:
    model = Model(gradients, losses)
    trainer = lightning.Trainer(
        accelerator="cpu",
        callbacks=[LightningCallback(logdir, histogram_every=1)],
        default_root_dir=logdir,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        gradient_clip_algorithm="value" if kind == "value" else "norm",
        gradient_clip_val=None if kind == "none" else threshold,
        logger=False,
        max_epochs=1,
    )
    trainer.fit(Module(model), torch.utils.data.DataLoader(range(len(losses))))
    return model.clipped


def record_transformers(logdir: str, kind: str, threshold: float, gradients: Steps, losses: list[float]) -> Steps:
    model = Model(gradients, losses)
    arguments = transformers.TrainingArguments(
        str(Path(logdir) / "out"),
        disable_tqdm=True,
        logging_strategy="no",
        max_grad_norm=threshold,
        num_train_epochs=1,
        per_device_train_batch_size=1,
        report_to="none",
        save_strategy="no",
        train_sampling_strategy="sequential",
        use_cpu=True,
    )
    trainer = transformers.Trainer(
        model, arguments, train_dataset=[{"step": step} for step in range(len(losses))], callbacks=[Notes()]
    )
    trainer.add_callback(TransformersCallback(trainer, logdir, histogram_every=1))
    trainer.train()
    return model.clipped
