"""Where the steps of a run come from that somebody else logged, and what that leaves unsaid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NORMS = {
    "step": "norms of single steps",
    "last": "norms of the last step of each logging window",
    "mean": "norms are means over each logging window",
    "running": "norms are means since the epoch began",
    "logged": "norms as they were logged",
}
"""What a norm is that of, by the name it has on disk; `logged` where the format does not say."""

LOSSES = {
    "step": "losses of single steps",
    "last": "losses of the last step of each logging window",
    "mean": "losses are means over each logging window",
    "logged": "losses as they were logged",
}
"""The same of a loss."""


@dataclass(frozen=True)
class Imported:
    """What a run was made from.

    Args:
      format: what the format is called: "Megatron-LM".
      source: name of the file or directory, without where it was.
      norm, loss: keys of `NORMS` and `LOSSES`.
      before_clipping: whether the format says that norms are those before clipping; else they are taken for it.
      times: whether the log has times; without, a step counts as a second.
    """

    format: str
    source: str
    norm: str = "logged"
    loss: str = "logged"
    before_clipping: bool = False
    times: bool = True

    @property
    def text(self) -> str:
        """All of it as one sentence, for people."""
        clipping = "before clipping" if self.before_clipping else "taken for those before clipping"
        parts = [f"{NORMS.get(self.norm, self.norm)}, {clipping}", LOSSES.get(self.loss, self.loss)]
        if not self.times:
            parts.append("no times in the log: a step counts as a second")
        return f"imported from {self.source} ({self.format}): {'; '.join(parts)}"

    @classmethod
    def from_json(cls, fields: Any) -> Imported | None:
        """What `vars` of one gave, fields of a newer version ignored; None for None. `ValueError` for anything else."""
        if fields is None:
            return None
        if not isinstance(fields, dict) or not {"format", "source"} <= fields.keys():
            raise ValueError(f"`imported` must have a `format` and a `source`, got {str(fields)[:40]!r}.")
        known = {name: value for name, value in fields.items() if name in cls.__dataclass_fields__}
        for name, value in known.items():
            if type(value).__name__ != cls.__dataclass_fields__[name].type:
                raise ValueError(
                    f"`imported`: `{name}` must be {cls.__dataclass_fields__[name].type}, got {value!r:.40}."
                )
        return cls(**known)
