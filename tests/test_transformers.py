"""What `tb_gradclip.transformers.ClipCallback` records of a `Trainer`, and that it leaves no trace in training."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pytest
import torch
import transformers
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter
from transformers.integrations import TensorBoardCallback

import tb_gradclip
from tb_gradclip.transformers import ClipCallback
from tests.contract import Array, assert_recorded
from tests.test_torch import bits

STEPS, THRESHOLD = 4, 0.5
EXAMPLES = 2 * 3 * STEPS

pytestmark = pytest.mark.usefixtures("fresh_accelerate", "one_thread")
transformers.logging.disable_progress_bar()


class Network(torch.nn.Module):
    """A model that knows nothing of tokens: the trainer divides its losses by the number of micro-batches."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(17, 8)
        self.head = torch.nn.Linear(8, 17)

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.head(self.embedding(input_ids))
        return {"loss": torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())}


def language_model() -> torch.nn.Module:
    """A model whose losses the trainer adds up over the tokens of all micro-batches."""
    sizes = {"vocab_size": 17, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **heads))


def examples() -> list[dict[str, torch.Tensor]]:
    """Sequences of eight tokens; some leave out more of them than others."""
    random = torch.Generator().manual_seed(1)
    found = []
    for number in range(EXAMPLES):
        tokens = torch.randint(0, 17, (8,), generator=random)
        labels = tokens.where(torch.arange(8) >= number % 7, -100)
        found.append({"input_ids": tokens, "labels": labels})
    return found


class Trainer(transformers.Trainer):
    """Notes what it saw of every update; its loss at the micro-batch of number `breaks_at` is infinite."""

    def __init__(
        self,
        directory: Path | str,
        make: Callable[[], torch.nn.Module] = language_model,
        breaks_at: int = -1,
        **settings: Any,
    ) -> None:
        torch.manual_seed(0)
        self.breaks_at = breaks_at
        chosen = {
            "max_steps": STEPS,
            "max_grad_norm": THRESHOLD,
            "report_to": "tensorboard",
            "save_strategy": "no",
            **settings,
        }
        arguments = transformers.TrainingArguments(
            str(directory),
            use_cpu=True,
            per_device_train_batch_size=2,
            logging_steps=1,
            learning_rate=0.01,
            disable_tqdm=True,
            **chosen,
        )
        super().__init__(make(), arguments, train_dataset=examples())
        self.inputs: list[dict[str, torch.Tensor]] = []
        self.micro: list[float] = []
        self.losses: list[float] = []
        self.before: list[list[Array]] = []
        self.after: list[list[Array]] = []
        self.remove_callback(transformers.trainer_callback.PrinterCallback)
        self.add_callback(Notes(self))

    def training_step(self, model: Any, inputs: Any, *args: Any) -> torch.Tensor:
        self.inputs.append(inputs)
        loss = super().training_step(model, inputs, *args)
        self.latest = gradients(self.model)
        self.micro.append(loss.item())
        return loss

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        loss = super().compute_loss(*args, **kwargs)
        return loss * math.inf if len(self.inputs) - 1 == self.breaks_at else loss

    def logged(self, name: str) -> list[float]:
        return [entry[name] for entry in self.state.log_history if name in entry]


class Notes(transformers.TrainerCallback):
    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def on_pre_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        noted = self.trainer
        noted.before.append(noted.latest)
        noted.after.append(gradients(noted.model))
        noted.losses.append(sum(noted.micro))
        noted.micro.clear()


def gradients(model: torch.nn.Module) -> list[Array]:
    return [parameter.grad.numpy().copy() for parameter in model.parameters() if parameter.grad is not None]


def recorded(trainer: Trainer, *where: Any, **settings: Any) -> Trainer:
    trainer.add_callback(ClipCallback(trainer, *where, **settings))
    return trainer


def run_of(directory: Path) -> tb_gradclip.Run:
    (run,) = tb_gradclip.read(directory).values()
    return run


def event_files(directory: Path) -> list[Path]:
    return list(directory.rglob("*tfevents*"))


@pytest.mark.parametrize(("bf16", "accumulate"), [(False, 1), (False, 3), (True, 3)])
@pytest.mark.parametrize("make", [language_model, Network])
def test_every_update_is_recorded_as_the_trainer_made_it(
    tmp_path: Path, make: Callable[[], torch.nn.Module], bf16: bool, accumulate: int
) -> None:
    trainer = recorded(Trainer(tmp_path, make, bf16=bf16, gradient_accumulation_steps=accumulate))
    trainer.train()
    run = run_of(tmp_path)
    assert_recorded(run, "global_norm", trainer.before, trainer.after, trainer.losses)
    np.testing.assert_allclose(run.steps["norm_before"], trainer.logged("grad_norm"), rtol=1e-6)
    np.testing.assert_allclose(run.steps["loss"], trainer.logged("loss"), rtol=1e-6)
    assert run.rule.threshold == THRESHOLD
    assert run.steps["clipped"].any()


def test_loss_and_norm_are_those_of_all_tokens_of_a_step_together(tmp_path: Path) -> None:
    trainer = recorded(Trainer(tmp_path, gradient_accumulation_steps=3, max_steps=1))
    trainer.train()
    torch.manual_seed(0)
    model = language_model()
    logits = torch.cat([model(batch["input_ids"]).logits[:, :-1].flatten(0, 1) for batch in trainer.inputs])
    labels = torch.cat([batch["labels"][:, 1:].flatten() for batch in trainer.inputs])
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    row = run_of(tmp_path).steps[0]
    assert row["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert row["norm_before"] == pytest.approx(
        float(torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])), rel=1e-5
    )


def test_without_clipping_what_the_trainer_asks_for_its_norm_shows(tmp_path: Path) -> None:
    trainer = recorded(Trainer(tmp_path, max_grad_norm=0.0))
    trainer.train()
    run = run_of(tmp_path)
    assert_recorded(run, "global_norm", trainer.before, trainer.after, trainer.losses)
    np.testing.assert_allclose(run.steps["norm_before"], trainer.logged("grad_norm"), rtol=1e-6)
    assert run.rule.threshold == math.inf
    assert [alert.finding for alert in run.alerts] == ["threshold_infinite"]


def test_it_shares_the_event_file_of_the_tensorboard_callback(tmp_path: Path) -> None:
    recorded(Trainer(tmp_path)).train()
    (file,) = event_files(tmp_path)
    tags = EventAccumulator(str(file)).Reload().Tags()
    assert "train/loss" in tags["tensors"] + tags["scalars"]
    assert "gradclip/norm_before" in tags["tensors"]


def test_it_changes_no_bit_of_training_and_nothing_in_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_accelerate: Callable[[], None]
) -> None:
    found = []
    for name in ("alone", "recorded"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)  # or checkpoints would tell where they are
        trainer = Trainer(
            "out", save_strategy="steps", save_steps=STEPS, gradient_accumulation_steps=3, report_to="none"
        )
        if name == "recorded":
            recorded(trainer, tmp_path / "run", histogram_every=1)
        trainer.train()
        saved = {path.name: path.read_bytes() for path in Path(f"out/checkpoint-{STEPS}").iterdir()}
        found.append((bits(trainer.model.parameters()), trainer.losses, saved))
        fresh_accelerate()
    assert {"model.safetensors", "optimizer.pt", "trainer_state.json"} < found[0][2].keys()
    assert found[0] == found[1]
    assert len(run_of(tmp_path / "run").steps) == STEPS


def test_training_again_is_another_attempt_of_the_run(tmp_path: Path) -> None:
    trainer = recorded(Trainer(tmp_path))
    trainer.train()
    trainer.train()
    run = run_of(tmp_path)
    assert_recorded(run, "global_norm", trainer.before[STEPS:], trainer.after[STEPS:], trainer.losses[STEPS:])
    assert len(event_files(tmp_path)) == 2  # the trainer opens one for each


def test_training_from_a_checkpoint_goes_on_with_its_steps(tmp_path: Path) -> None:
    Trainer(tmp_path, max_steps=2, save_strategy="steps", save_steps=2, report_to="none").train()
    trainer = recorded(Trainer(tmp_path, report_to="none"))
    trainer.train(resume_from_checkpoint=True)
    run = run_of(tmp_path)
    assert run.steps["step"].tolist() == [2, 3]
    np.testing.assert_allclose(run.steps["norm_before"], trainer.logged("grad_norm")[2:], rtol=1e-6)


def test_an_exception_in_training_keeps_the_steps_and_is_not_hidden(tmp_path: Path) -> None:
    class Fails(Trainer):
        def training_step(self, *args: Any) -> torch.Tensor:
            if len(self.inputs) == 3:
                raise LookupError("no more")
            return super().training_step(*args)

    trainer = recorded(Fails(tmp_path, report_to="none"))
    with pytest.raises(LookupError, match="no more"):
        trainer.train()
    run = run_of(tmp_path)
    assert_recorded(run, "global_norm", trainer.before, trainer.after, trainer.losses)
    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), THRESHOLD)
    trainer.optimizer.step()
    assert len(run_of(tmp_path).steps) == 3


@pytest.mark.parametrize("logdir", [None, "own"])
def test_without_tensorboard_it_writes_to_the_output_directory(tmp_path: Path, logdir: str | None) -> None:
    recorded(Trainer(tmp_path, report_to="none"), logdir and tmp_path / logdir).train()
    assert len(tb_gradclip.read(tmp_path)[logdir or "."].steps) == STEPS


def test_it_shares_a_writer_that_was_given_to_the_trainer(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path, report_to="none")
    trainer.add_callback(TensorBoardCallback(SummaryWriter(str(tmp_path / "board"))))
    recorded(trainer).train()
    assert len(event_files(tmp_path)) == 1
    assert len(tb_gradclip.read(tmp_path)["board"].steps) == STEPS


def test_an_alert_ends_train_with_an_error_if_that_is_asked_for(tmp_path: Path) -> None:
    trainer = recorded(Trainer(tmp_path, breaks_at=2), on_alert="raise")
    with pytest.raises(tb_gradclip.DivergenceError, match="step 2: nonfinite"):
        trainer.train()
    assert len(run_of(tmp_path).steps) == 3


def test_an_alert_stops_training_as_the_trainer_does_if_that_is_asked_for(tmp_path: Path) -> None:
    trainer = recorded(Trainer(tmp_path, breaks_at=2), on_alert="stop")
    with pytest.warns(UserWarning, match="step 2: nonfinite"):
        output = trainer.train()
    assert output.global_step == trainer.state.global_step == 3
    run = run_of(tmp_path)
    assert len(run.steps) == 3
    assert not np.isfinite(run.steps["loss"][2])
    assert np.isfinite(trainer.logged("loss")).all()  # it leaves out what the alert is about


def test_one_of_several_processes_is_not_to_stop_them_all(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path)
    trainer.args.distributed_state.num_processes = 2  # as a launcher would tell it
    with pytest.raises(ValueError, match='`on_alert` must not be "stop" where several processes train, got 2'):
        ClipCallback(trainer, on_alert="stop")


def test_what_is_no_trainer_is_refused() -> None:
    with pytest.raises(TypeError, match="`trainer` must be a transformers.Trainer, got PosixPath. Make the trainer"):
        ClipCallback(Path("runs"))


def test_settings_are_checked_at_once(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match='`on_alert` must be None, "log", "warn", "raise", "stop", a function .* \'quit\''
    ):
        recorded(Trainer(tmp_path), on_alert="quit")
