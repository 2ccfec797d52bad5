"""Which of a run's scalar tags is the loss, told from its name.

A tag is read as words: what is between `/`, `_`, `-`, spaces and other signs, in lower case, with `trainLoss` two words
and `val1` one and a number. So `Train/Loss`, `train_loss` and `trainLoss` are the same name.

It could be the loss if it contains "loss", unless it is a copy of ours (`gradclip/...`) or a factor of a loss
(`loss_scale`, `loss/weight`). The best of those is, in this order:

1. one of a training before one of held-out data: with `val`, `valid`, `validation`, `test`, `eval`, `evaluation`, `dev`
   or `holdout` among its words
2. one of `EXACT`, in their order; then one that ends in "loss"; then any other
3. the shortest, then the first by alphabet
"""

from __future__ import annotations

import re
from collections.abc import Iterable

EXACT = (
    ("loss",),
    ("train", "loss"),
    ("training", "loss"),
    ("loss", "train"),
    ("loss", "training"),
    ("train", "loss", "step"),
    ("batch", "loss"),
    ("epoch", "loss"),
    ("train", "loss", "epoch"),
    ("total", "loss"),
    ("loss", "total"),
    ("train", "total", "loss"),
    ("lm", "loss"),
)
"""Names that trainers and tutorials give to the loss of the training; of the same loss by the step before by the epoch.

`train/loss`: Hugging Face; `Loss/train`: PyTorch's own example; `train_loss_step`, `train_loss_epoch`: Lightning;
`batch_loss`, `epoch_loss`: Keras; `total_loss`: Detectron2 and TensorFlow's object detection; `lm loss`: Megatron.
"""

HELD_OUT = frozenset(("val", "valid", "validation", "test", "eval", "evaluation", "dev", "holdout"))
FACTORS = frozenset(("scale", "scaler", "scaling", "weight", "weights", "coef", "coefficient"))

_OURS = "gradclip/"
_WORDS = re.compile(r"[^\W\d_]+|\d+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def could_be_loss(tag: str) -> bool:
    """Whether the tag names a loss, of whatever data."""
    return "loss" in tag.lower() and not tag.startswith(_OURS) and FACTORS.isdisjoint(_words(tag))


def ranked(tags: Iterable[str]) -> list[str]:
    """Those of these tags that could be the loss, each once, the best first; empty if none could."""
    return sorted({tag for tag in tags if could_be_loss(tag)}, key=_rank)


def _words(tag: str) -> tuple[str, ...]:
    return tuple(_WORDS.findall(_HUMP.sub(" ", tag).lower()))


def _rank(tag: str) -> tuple[bool, int, int, str, str]:
    """Smaller is better. Tags that differ only in case are told apart by the last place."""
    words, lower = _words(tag), tag.lower()
    kind = EXACT.index(words) if words in EXACT else len(EXACT) + (not lower.endswith("loss"))
    return not HELD_OUT.isdisjoint(words), kind, len(tag), lower, tag
