"""Which column or tag is the loss, the norm, the step: told from its name, unless it is given.

A name is read as words, as in `core.loss_tag`, without those that only say that it is about training.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tb_gradclip.core import loss_tag
from tb_gradclip.imports.series import Names, WrongSourceError

NORMS = (
    *("grad norm", "gradient norm", "gnorm", "norm before", "grad norm before", "grad norm before clip"),
    *(
        "global grad norm",
        "grad global norm",
        "grad norm total",
        "total grad norm",
        "total norm",
        "global norm",
        "norm",
    ),
)
STEPS = ("step", "global step", "trainer global step", "iteration", "iter", "iterations", "num updates", "update")
TIMES = ("wall time", "timestamp", "time", "datetime", "date", "runtime")
THRESHOLDS = ("threshold", "max norm", "max grad norm", "clip norm", "clip threshold", "grad clip", "gradient clip")

_ABOUT_TRAINING = {"train", "training", "optim", "optimizer"}
_OURS = "gradclip/"


def chosen(given: Names, there: Sequence[str]) -> dict[str, str | None]:
    """For `step`, `loss`, `norm`, `threshold` and `time` the name out of those there are; None where there is none.

    Raises:
      WrongSourceError: a name that was given is not there, there is no norm, or several could be it.
    """
    for option, name in vars(given).items():
        if name is not None and name not in there:
            raise WrongSourceError(f"--{option} names {name!r}, which is not in it; there {_listed(there)}")
    losses = loss_tag.ranked(there)
    return {
        "step": given.step or _first(STEPS, there),
        "loss": given.loss or (losses[0] if losses else None),
        "norm": given.norm or _norm(there),
        "threshold": given.threshold or _first(THRESHOLDS, there),
        "time": given.time or _first(TIMES, there),
    }


def _norm(there: Sequence[str]) -> str:
    exact = _first(NORMS, there)
    if exact is not None:
        return exact
    could_be = [name for name in there if _is_norm_of_gradients({*_words(name)}) and not name.startswith(_OURS)]
    if len(could_be) == 1:
        return could_be[0]
    if could_be:
        raise WrongSourceError(
            f"several could be the norm of all gradients; there {_listed(could_be)}. Say --norm NAME"
        )
    raise WrongSourceError(f"nothing in it is called a gradient norm; there {_listed(there)}. Say --norm NAME")


def _is_norm_of_gradients(words: set[str]) -> bool:
    return "norm" in words and not words.isdisjoint({"grad", "grads", "gradient", "gradients"})


def _first(wanted: Sequence[str], there: Sequence[str]) -> str | None:
    """The first of the names that is one of those wanted, in their order."""
    by_words = {" ".join(_words(name)): name for name in reversed(there) if not name.startswith(_OURS)}
    return next((by_words[words] for words in wanted if words in by_words), None)


def _words(name: str) -> list[str]:
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    return [word for word in words if word not in _ABOUT_TRAINING]


MOST_LISTED = 12


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return f"is {', '.join(map(repr, names[:MOST_LISTED])) or 'nothing'}{more}"
