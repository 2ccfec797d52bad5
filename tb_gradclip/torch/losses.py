"""The loss of an update, found without being told: what `backward` was called on for its gradients.

Gradients of several calls add up, so do their losses: micro-batches that are each divided by their number give the mean
over the batch. Which optimizer a loss belongs to is told by whose gradients it changed; and what was changed in any
other way between two calls, by `zero_grad` or a clip call, has begun anew. So the part a generator's loss has in
the gradients of its discriminator, which clears them before its own, does not count.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

PROBES = 16
"""Parameters of an optimizer that are looked at, spread evenly."""


class Losses:
    """The loss of one optimizer's next update. Waits for no device.

    Args:
      parameters: what the optimizer updates.
    """

    def __init__(self, parameters: Sequence[torch.Tensor]) -> None:
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        self._probes = [trained[len(trained) * i // PROBES] for i in range(PROBES)] if trained else []
        self._probes = list({id(probe): probe for probe in [*self._probes, *trained[-1:]]}.values())
        self._before = self._left = self._sight()
        self.total: torch.Tensor | None = None

    def before_backward(self) -> None:
        """Look at the gradients before a call."""
        self._before = self._sight()
        if self._before != self._left:
            self.total = None

    def after_backward(self, loss: torch.Tensor) -> None:
        """Add the loss of a call if it has changed the gradients."""
        self._left = self._sight()
        if self._left != self._before:
            self.total = loss if self.total is None else self.total + loss.to(self.total.device, non_blocking=True)

    def unscale(self, scaler: torch.amp.GradScaler) -> None:
        """Divide by what a scaler has multiplied by."""
        if self.total is not None and scaler.is_enabled():
            self.total = self.total / scaler.scale(torch.ones((), device=self.total.device))

    def take(self) -> torch.Tensor | None:
        """The loss; None if there was no call."""
        total, self.total = self.total, None
        return total

    def _sight(self) -> list[tuple[int, int]]:
        """What changes whenever gradients do."""
        grads = [probe.grad for probe in self._probes]
        return [(0, 0) if grad is None else (id(grad), grad._version) for grad in grads]


def loss_of(tensors: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor | None:
    """Sum of what `backward` is called on, in float32 at least, as a copy; None if one is not a single number."""
    several = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
    if not several or any(not isinstance(tensor, torch.Tensor) or tensor.numel() != 1 for tensor in several):
        return None
    total: torch.Tensor | None = None
    for tensor in several:
        loss = tensor.detach().reshape(()).to(torch.promote_types(tensor.dtype, torch.float32), copy=True)
        total = loss if total is None else total + loss.to(total.device, non_blocking=True)
    return total
