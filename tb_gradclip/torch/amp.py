"""What a `GradScaler` does between a clip call and the update: seen at its public methods, `unscale_` and `step`.

Gradients are multiplied by the scale until `unscale_` divides them again. A clip call that comes before sees numbers
that are too large by that factor, so it is marked with the scale. And a step whose gradients are not finite is skipped:
the optimizer is not called then, or, if it is a fused one, does nothing, which only the device knows.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch

from tb_gradclip.torch.outbox import Histogram
from tb_gradclip.torch.patches import Patch

if TYPE_CHECKING:
    from tb_gradclip.torch.writer import ClipWriter

_writers: list[weakref.ref[ClipWriter]] = []


def observe(writer: ClipWriter) -> Callable[[], None]:
    """Tell a writer what scalers do to gradients of its parameters; returns what ends that."""
    reference = weakref.ref(writer)
    _writers.append(reference)
    for patch in _PATCHES:
        patch.start()

    def stop() -> None:
        _writers.remove(reference)
        for patch in _PATCHES:
            patch.stop()

    return stop


def _concerned(scaler: torch.amp.GradScaler, optimizer: Any) -> Iterator[ClipWriter]:
    if scaler.is_enabled() and isinstance(optimizer, torch.optim.Optimizer):
        for reference in _writers:
            writer = reference()
            if writer is not None and any(id(parameter) in writer._index for parameter in _updated(optimizer)):
                yield writer


def _updated(optimizer: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    return (parameter for group in optimizer.param_groups for parameter in group["params"])


def _mark_scaled(
    writer: ClipWriter, optimizer: torch.optim.Optimizer, scale: Callable[[torch.device], torch.Tensor]
) -> None:
    """Note in the clip calls of the step that is open how large the gradients of this optimizer were made."""
    if not writer._calls:
        return
    updated = {writer._index.get(id(parameter)) for parameter in _updated(optimizer)}
    for call in writer._calls:
        if not updated.isdisjoint(call.indices):
            call.scale = scale(call.norms.device)
            writer._histogram = Histogram()  # it counted what nobody trains with
            writer._warn(
                "gradients were clipped while GradScaler had scaled them, so the threshold acts on scaled ones. "
                "Call scaler.unscale_(optimizer) before clipping. Norms and threshold are recorded without the scale"
            )


def _around_unscale(original: Callable[..., Any], scaler: torch.amp.GradScaler, optimizer: Any) -> Any:
    result = original(scaler, optimizer)
    for writer in _concerned(scaler, optimizer):
        _mark_scaled(writer, optimizer, lambda device: scaler.scale(torch.ones((), device=device)))
    return result


def _around_step(
    original: Callable[..., Any], scaler: torch.amp.GradScaler, optimizer: Any, *args: Any, **kwargs: Any
) -> Any:
    writers = list(_concerned(scaler, optimizer))
    if not writers:
        return original(scaler, optimizer, *args, **kwargs)
    made: list[tuple[torch.Tensor | None, torch.Tensor | None]] = []

    def before_update(optimizer: Any, *_: Any) -> None:
        made.append((getattr(optimizer, "grad_scale", None), getattr(optimizer, "found_inf", None)))

    hook = optimizer.register_step_pre_hook(before_update)
    try:
        result = original(scaler, optimizer, *args, **kwargs)
    finally:
        hook.remove()
    scale, found = made[0] if made else (None, None)
    for writer in writers:
        if scale is not None:
            _mark_scaled(writer, optimizer, functools.partial(scale.to, non_blocking=True))
            if found is not None:  # the update divides gradients as well, if it is made
                writer._left_scaled = torch.where(found > 0, scale.to(found.device), 1.0)
        writer._skips.append(not made if found is None else found.detach().clone())
    return result


def none_made(skips: list[torch.Tensor | bool]) -> torch.Tensor | bool:
    """Whether each of these steps was skipped, and there are any; on the device where only that knows."""
    if not skips or any(skip is False for skip in skips):
        return False
    found = [skip for skip in skips if isinstance(skip, torch.Tensor)]
    return torch.stack([flag.to(found[0].device) for flag in found]).amin() if found else True


_PATCHES = (
    Patch(torch.amp.GradScaler, "unscale_", _around_unscale),
    Patch(torch.amp.GradScaler, "step", _around_step),
)
