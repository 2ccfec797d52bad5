"""The library's own clip calls, seen where other people's training loops make them.

A call that clips parameters of one watched model, and only these, goes the writer's way: the same result to the last
bit, and recorded with its threshold. Of any other call, for two models at once or with a threshold that turns
gradients around, what it does is recorded: gradients are measured before it and after.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch

from tb_gradclip.harmless import Harmless
from tb_gradclip.torch.arguments import Tensors, distinct, read
from tb_gradclip.torch.patches import Listeners, Patch

if TYPE_CHECKING:
    from tb_gradclip.torch.updates import UpdateWriter

_writers: Listeners[UpdateWriter] = Listeners()
_last_total = threading.local()


def observe(writer: UpdateWriter) -> Callable[[], None]:
    """Let a writer record the clip calls for its parameters; returns what ends that."""
    return _writers.add(writer, PATCHES)


def hidden() -> list[str]:
    """Functions that are not seen where they were imported by name before somebody observed."""
    return [patch.name for patch in PATCHES if not patch.reaches_earlier_imports]


class _Clipping:
    """What a clip call was given, and the writers it concerns."""

    def __init__(self, parameters: Tensors) -> None:
        self.tensors, self.parameters = read(parameters)
        self.writers: list[UpdateWriter] = []
        with _failures._harmless():
            self.writers = [w for w in _writers if any(id(tensor) in w._index for tensor in self.tensors)]

    def writer(self, limit: float) -> UpdateWriter | None:
        """The one that can make the call."""
        if len(self.writers) != 1 or not limit >= 0:
            return None
        (writer,) = self.writers
        return writer if all(id(tensor) in writer._index for tensor in self.tensors) else None

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Around a call that is not made by a writer."""
        with contextlib.ExitStack() as stack:
            for writer in self.writers:
                own = [tensor for tensor in distinct(self.tensors) if id(tensor) in writer._index]
                stack.enter_context(writer.clipping(own))
            yield


def _around_norm(
    original: Callable[..., torch.Tensor],
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> torch.Tensor:
    clipping = _Clipping(parameters)
    limit = float(max_norm) if clipping.writers else max_norm  # may wait for a device, so only once, as the library
    if writer := clipping.writer(limit):
        return writer.clip_grad_norm_(clipping.parameters, limit, norm_type, error_if_nonfinite, foreach)
    with clipping.measured():
        return original(clipping.parameters, limit, norm_type, error_if_nonfinite, foreach)


def _around_value(
    original: Callable[..., None], parameters: Tensors, clip_value: float, foreach: bool | None = None
) -> None:
    clipping = _Clipping(parameters)
    limit = float(clip_value) if clipping.writers else clip_value
    if writer := clipping.writer(limit):
        writer.clip_grad_value_(clipping.parameters, limit, foreach)
    else:
        with clipping.measured():
            original(clipping.parameters, limit, foreach)


def _around_total(
    original: Callable[..., torch.Tensor], tensors: Tensors, norm_type: float = 2.0, *args: Any, **kwargs: Any
) -> torch.Tensor:
    total = original(tensors, norm_type, *args, **kwargs)
    _last_total.reference, _last_total.order = weakref.ref(total), float(norm_type)
    return total


def _around_scaling(
    original: Callable[..., None],
    parameters: Tensors,
    max_norm: float,
    total_norm: torch.Tensor,
    foreach: bool | None = None,
) -> None:
    clipping = _Clipping(parameters)
    limit = float(max_norm) if clipping.writers else max_norm
    # A total that was made of ours, by adding up those of several processes, say, is taken for an L2 norm.
    same = getattr(_last_total, "reference", lambda: None)() is total_norm
    order = _last_total.order if same else 2.0
    if (writer := clipping.writer(limit)) and len(distinct(clipping.tensors)) == len(clipping.tensors):
        around: contextlib.AbstractContextManager[None] = writer._scaling(clipping.tensors, limit, total_norm, order)
    else:
        around = clipping.measured()
    with around:
        original(clipping.parameters, limit, total_norm, foreach)


_inside = threading.local()
_failures = Harmless()
PATCHES = (
    Patch(torch.nn.utils, "clip_grad_norm_", _around_norm, _inside),
    Patch(torch.nn.utils, "clip_grad_value_", _around_value, _inside),
    Patch(torch.nn.utils, "get_total_norm", _around_total, _inside),
    Patch(torch.nn.utils, "clip_grads_with_norm_", _around_scaling, _inside),
)
