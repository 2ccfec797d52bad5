"""Logs as other trainings write them, in their own line formats, of a training that is always the same."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.scalars import DIVERGES, diverging_loss

START = 1_767_225_600
"""Midnight of the first of January 2026, UTC."""


class Training(NamedTuple):
    """What happened at every update from 1 on: place i is update i + 1."""

    losses: np.ndarray
    norms: np.ndarray

    def window(self, update: int, every: int) -> slice:
        """Places of the updates that a line at this update sums up."""
        return slice(update - every, update)


def training(updates: int = 2000, seed: int = 0) -> Training:
    """A loss that diverges for a while, with norms that are larger then."""
    losses = diverging_loss(updates, seed)
    norms = np.exp(np.random.default_rng(seed).normal(0, 0.3, updates))
    norms[DIVERGES : DIVERGES + 200] *= 8
    return Training(losses, norms)


def trainer_state(path: Path, run: Training, every: int = 10, **changes: Any) -> Path:
    """What Hugging Face's Trainer saves: mean losses, the norm of the last step, and evaluations in between."""
    history: list[dict[str, Any]] = []
    for update in range(every, len(run.losses) + 1, every):
        part = run.window(update, every)
        entry = {"epoch": update / 1000, "grad_norm": float(run.norms[update - 1]), "learning_rate": 5e-05}
        history.append({**entry, "loss": round(float(run.losses[part].mean()), 4), "step": update})
        if update % 1000 == 0:
            history.append({"epoch": update / 1000, "eval_loss": 2.5, "eval_runtime": 1.2, "step": update})
    history.append(
        {"epoch": 4.0, "step": len(run.losses), "total_flos": 1e15, "train_loss": 2.2, "train_runtime": 99.0}
    )
    state = {"best_metric": None, "epoch": 4.0, "global_step": len(run.losses), "log_history": history}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**state, "logging_steps": every, **changes}, indent=2))
    return path


def training_args(path: Path, max_grad_norm: float) -> None:
    """What torch.save makes of arguments: a pickle in a zip file, here with a call that must not be made."""
    import pickle

    class Arguments:
        def __reduce__(self) -> Any:
            return (print, ("a pickle was run",), {"output_dir": "out", "max_grad_norm": max_grad_norm, "seed": 42})

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Arguments(), protocol=2))


def date(seconds: float) -> str:
    return datetime.fromtimestamp(START + seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def fairseq(path: Path, run: Training, every: int = 100, clip_norm: float = 2.0, style: str = "simple") -> Path:
    """A log of fairseq: settings, means over every 100 updates, and lines about epochs that are not of updates."""
    lines = [
        f"{date(0)} | INFO | fairseq_cli.train | {{'optimization': {{'max_epoch': 0, 'clip_norm': {clip_norm}, "
        f"'lr': [0.0005]}}, 'criterion': {{'label_smoothing': 0.1}}}}",
        f"{date(1)} | INFO | fairseq.trainer | begin training epoch 1",
    ]
    for update in range(every, len(run.losses) + 1, every):
        part = run.window(update, every)
        epoch, place = 1 + (update - 1) // 1000, (update - 1) % 1000 + 1
        means = {
            "loss": f"{run.losses[part].mean():.3f}",
            "ppl": f"{2 ** run.losses[part].mean():.2f}",
            "wps": "24031.7",
            "num_updates": str(update),
            "lr": "0.000125",
            "gnorm": f"{run.norms[part].mean():.3f}",
            "clip": f"{100 * (run.norms[part] > clip_norm).mean():.1f}",
            "train_wall": "31",
            "wall": str(update // 2),
        }
        if style == "json":
            text = json.dumps({"epoch": epoch, "update": round(update / 1000, 3), **means})
            lines.append(f"{date(update / 2)} | INFO | train_inner | {text}")
        elif style == "hydra":
            text = json.dumps({"epoch": epoch, "update": round(update / 1000, 3), **means})
            lines.append(f"[{date(update / 2)},123][train_inner][INFO] - {text}")
        else:
            text = ", ".join(f"{name}={value}" for name, value in means.items())
            lines.append(f"{date(update / 2)} | INFO | train_inner | epoch {epoch:03d}:  {place:5d} / 1000 {text}")
        if update % 1000 == 0:
            ended = f"{date(update / 2)} | INFO | train | "
            lines.append(f"{ended}epoch {epoch:03d} | loss 3.1 | ppl 8.6 | num_updates {update} | gnorm 77.0 | clip 50")
            lines.append(ended + json.dumps({"epoch": epoch, "train_loss": "3.1", "train_gnorm": "77.0"}))
    path.write_text("\n".join(lines) + "\n")
    return path


def megatron(
    path: Path, run: Training, every: int = 10, clip_grad: float = 1.0, skipped: Sequence[int] = (), dated: bool = True
) -> Path:
    """A log of Megatron-LM: its arguments, then mean losses and the norm of the last iteration."""
    lines = [
        "------------------------ arguments ------------------------",
        f"  clip_grad ....................................... {clip_grad}",
        "  clone_scatter_output_in_embedding ............... True",
        "-------------------- end of arguments ---------------------",
    ]
    total = len(run.losses)
    for update in range(every, total + 1, every):
        part = run.window(update, every)
        norm = "" if update in skipped else f" grad norm: {run.norms[update - 1]:.3f} |"
        lines.append(
            (f" [{date(update / 2)}]" if dated else "")
            + f" iteration {update:8d}/{total:8d} | consumed samples: {update * 32:12d} |"
            f" elapsed time per iteration (ms): 500.0 | learning rate: 1.500000E-04 | global batch size:    32 |"
            f" lm loss: {run.losses[part].mean():.6E} | loss scale: 4096.0 |{norm}"
            f" number of skipped iterations: {int(update in skipped):3d} | number of nan iterations:   0 |"
        )
        if update == 100:
            lines.append("(min, max) time across ranks (ms):\n    forward-backward ...: (410.1, 412.9)")
        if update % 1000 == 0:
            lines.append(f" validation loss at iteration {update} | lm loss value: 2.3E+00 | lm loss PPL: 9.9E+00 |")
    path.write_text("\n".join(lines) + "\n")
    return path
