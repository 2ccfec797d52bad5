"""What a `GradScaler` does between a clip call and the update: seen at its public methods, `unscale_` and `step`.

Gradients are multiplied by the scale until `unscale_` divides them again. A clip call that comes before sees numbers
that are too large by that factor, so it is marked with the scale. And a step whose gradients are not finite is skipped:
the optimizer is not called then, or, if it is a fused one, does nothing, which only the device knows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from tb_gradclip.harmless import Harmless
from tb_gradclip.torch.outbox import Histogram
from tb_gradclip.torch.patches import Listeners, Patch

if TYPE_CHECKING:
    from tb_gradclip.torch.writer import ClipWriter

_writers: Listeners[ClipWriter] = Listeners()


class Update(NamedTuple):
    """An update that is made under a scaler: what gradients are still multiplied by, and whether it will be skipped.

    Both are known for fused optimizers alone; `skipped` is on the device, and not 0 if so.
    """

    scale: torch.Tensor | None
    skipped: torch.Tensor | None

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer) -> Update:
        """What a scaler told the optimizer whose `step` has begun."""
        return cls(getattr(optimizer, "grad_scale", None), getattr(optimizer, "found_inf", None))


def observe(writer: ClipWriter) -> Callable[[], None]:
    """Tell a writer what scalers do to gradients of its parameters; returns what ends that."""
    return _writers.add(writer, PATCHES)


def writers_of(optimizer: torch.optim.Optimizer) -> Iterator[ClipWriter]:
    """Writers of every kind that record parameters of an optimizer."""
    for writer in _writers:
        if any(id(parameter) in writer._index for parameter in updated(optimizer)):
            yield writer


def _concerned(scaler: torch.amp.GradScaler, optimizer: Any) -> list[ClipWriter]:
    with _failures._harmless():
        if scaler.is_enabled() and isinstance(optimizer, torch.optim.Optimizer):
            return list(writers_of(optimizer))
    return []


def updated(optimizer: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    """Parameters that an optimizer updates."""
    return (parameter for group in optimizer.param_groups for parameter in group["params"])


def mark_scaled(
    writer: ClipWriter, optimizer: torch.optim.Optimizer, scale: Callable[[torch.device], torch.Tensor]
) -> None:
    """Note in the clip calls of the step that is open how large the gradients of this optimizer were made."""
    if not writer._open.calls:
        return
    places = {writer._index[id(p)] for p in updated(optimizer) if id(p) in writer._index}
    writer._open.look(places)  # that they are divided is no reason to forget them
    for call in writer._open.calls:
        if not places.isdisjoint(call.indices):
            call.scale = scale(call.norms.device)
            writer._open.histogram = Histogram()  # it counted what nobody trains with
            writer._recorder.add_finding("scaled_gradients", writer._step)
            writer._warn(
                "gradients were clipped while GradScaler had scaled them, so the threshold acts on scaled ones. "
                "Call scaler.unscale_(optimizer) before clipping. Norms and threshold are recorded without the scale"
            )


def _around_unscale(original: Callable[..., Any], scaler: torch.amp.GradScaler, optimizer: Any) -> Any:
    result = original(scaler, optimizer)
    for writer in _concerned(scaler, optimizer):
        with writer._harmless():
            mark_scaled(writer, optimizer, lambda device: scaler.scale(torch.ones((), device=device)))
    return result


def _around_step(
    original: Callable[..., Any], scaler: torch.amp.GradScaler, optimizer: Any, *args: Any, **kwargs: Any
) -> Any:
    writers = _concerned(scaler, optimizer)
    if not writers:
        return original(scaler, optimizer, *args, **kwargs)
    made: list[Update] = []

    def begun(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        made.append(Update(None, None))  # it is one, whatever else is known of it
        with _failures._harmless():
            made[0] = Update.of(optimizer)

    hook = optimizer.register_step_pre_hook(begun)
    try:
        result = original(scaler, optimizer, *args, **kwargs)
    finally:
        hook.remove()
    for writer in writers:
        writer._after_scaler_step(optimizer, made[0] if made else None)
    return result


def note(writer: ClipWriter, optimizer: torch.optim.Optimizer, update: Update | None) -> None:
    """Note for the step that is open what a scaler's step came to."""
    if update is None:
        writer._open.skips.append(True)
        return
    if update.scale is not None:
        mark_scaled(writer, optimizer, functools.partial(update.scale.to, non_blocking=True))
        if update.skipped is not None:  # the update divides gradients as well, if it is made
            left = torch.where(update.skipped > 0, update.scale.to(update.skipped.device), 1.0)
            writer._open.left_scaled.append(([p for p in updated(optimizer) if id(p) in writer._index], left))
    writer._open.skips.append(False if update.skipped is None else update.skipped.detach().clone())


def parts(
    parameters: list[torch.Tensor], scaled: list[tuple[list[torch.Tensor], torch.Tensor]]
) -> Iterator[tuple[list[torch.Tensor], torch.Tensor | None]]:
    """The parameters in groups, each with what its gradients may still be multiplied by."""
    yield from scaled
    known = {id(parameter) for group, _ in scaled for parameter in group}
    rest = [parameter for parameter in parameters if id(parameter) not in known] if known else parameters
    if rest:
        yield rest, None


def none_made(skips: list[torch.Tensor | bool]) -> torch.Tensor | bool:
    """Whether each of these steps was skipped, and there are any; on the device where only that knows."""
    if not skips or any(skip is False for skip in skips):
        return False
    found = [skip for skip in skips if isinstance(skip, torch.Tensor)]
    return torch.stack([flag.to(found[0].device) for flag in found]).amin() if found else True


_failures = Harmless()
PATCHES = (
    Patch(torch.amp.GradScaler, "unscale_", _around_unscale),
    Patch(torch.amp.GradScaler, "step", _around_step),
)
