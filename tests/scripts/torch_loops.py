"""Training loops as people write them, none of which knows that it is recorded. Prints what each saw itself."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import math
import sys
from typing import Any

if importlib.util.find_spec("torch") is None:  # looked for before it is imported, as by other libraries
    sys.exit("PyTorch is missing")

import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

STEPS = 6


def made(name: str) -> torch.nn.Sequential:
    torch.manual_seed(0)
    layers = torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 1)
    return type(name, (torch.nn.Sequential,), {})(*layers)


def loss_of(model: torch.nn.Module) -> torch.Tensor:
    x = torch.randn(4, 5)
    return (model(x) - x.sum(1, keepdim=True)).square().mean()


def norm(parameters: Any) -> float:
    grads = [p.grad.flatten() for p in parameters if p.grad is not None]
    return float(torch.cat(grads).norm())


class Seen:
    """What a loop saw of every step: loss, and norm of the gradients before clipping."""

    def __init__(self, *models: torch.nn.Module) -> None:
        self.models = models
        self.losses: list[float] = []
        self.norms: list[float] = []

    def note(self, loss: Any, norm: Any) -> None:
        self.losses.append(torch.as_tensor(loss).item())
        self.norms.append(torch.as_tensor(norm).item())

    def shown(self) -> dict[str, Any]:
        weights = b"".join(p.detach().numpy().tobytes() for model in self.models for p in model.parameters())
        return {"losses": self.losses, "norms": self.norms, "weights": hashlib.sha256(weights).hexdigest()}


def clipped(name: str, clip: str = "norm", wrapper: Any = lambda model: model) -> Seen:
    model = made(name)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model, seen = wrapper(model), Seen(model)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        seen.note(loss, norm(model.parameters()))
        if clip == "norm":
            clip_grad_norm_(model.parameters(), 0.5)
        elif clip == "value":
            clip_grad_value_(list(model.parameters()), 0.1)
        optimizer.step()
    return seen


def compiled(name: str) -> Seen:
    return clipped(name, wrapper=lambda model: torch.compile(model, backend="aot_eager"))


def closure(name: str) -> Seen:
    model = made(name)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    seen = Seen(model)
    for _ in range(STEPS):
        last: list[float] = []

        def evaluate(last: list[float] = last) -> torch.Tensor:
            optimizer.zero_grad()
            loss = loss_of(model)
            loss.backward()
            last[:] = [loss.item(), norm(model.parameters())]
            return loss

        optimizer.step(evaluate)
        seen.note(*last)
    return seen


def accumulated(name: str) -> Seen:
    """With zeros for gradients that are cleared, and losses that are divided."""
    model = made(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    seen = Seen(model)
    for _ in range(STEPS):
        optimizer.zero_grad(set_to_none=False)
        losses = []
        for _ in range(3):
            losses.append(loss_of(model))
            (losses[-1] / 3).backward()
        seen.note(sum(losses) / 3, clip_grad_norm_(model.parameters(), 0.5))
        optimizer.step()
    return seen


def scaled(name: str) -> Seen:
    """Under a scaler, whose first update and third are skipped."""
    model = made(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    seen = Seen(model)
    for step in range(STEPS):
        optimizer.zero_grad()
        losses = [loss_of(model) * (math.inf if step in (0, 2) else 1.0) for _ in range(2)]
        for loss in losses:
            (scaler.scale(loss) / 2).backward()
        scaler.unscale_(optimizer)
        seen.note(sum(losses) / 2, clip_grad_norm_(model.parameters(), 0.5))
        scaler.step(optimizer)
        scaler.update()
    return seen


def adversarial(name: str) -> Seen:
    """A generator, and a discriminator through which its loss goes; what both saw, in turns."""
    generator, discriminator = made(name), made(name.replace("Generator", "Discriminator"))
    generator[2] = torch.nn.Linear(7, 5)
    optimizers = [torch.optim.Adam(model.parameters(), lr=0.01) for model in (discriminator, generator)]
    seen = Seen(generator, discriminator)
    for _ in range(STEPS):
        discriminator.zero_grad()
        fake = generator(torch.randn(4, 5))
        losses = [
            torch.nn.functional.softplus(-discriminator(torch.randn(4, 5))).mean(),
            torch.nn.functional.softplus(discriminator(fake.detach())).mean(),
        ]
        for loss in losses:
            loss.backward()
        seen.note(sum(losses), clip_grad_norm_(discriminator.parameters(), 0.5))
        optimizers[0].step()
        generator.zero_grad()
        loss = torch.nn.functional.softplus(-discriminator(fake)).mean()
        loss.backward()
        seen.note(loss, clip_grad_norm_(generator.parameters(), 0.5))
        optimizers[1].step()
    return seen


def together(name: str) -> Seen:
    """Two optimizers for a model, and one clip call."""
    model = made(name)
    halves = list(model[0].parameters()), list(model[2].parameters())
    optimizers = [torch.optim.SGD(halves[0], lr=0.01), torch.optim.Adam(halves[1], lr=0.01)]
    seen = Seen(model)
    for _ in range(STEPS):
        model.zero_grad()
        loss = loss_of(model)
        loss.backward()
        seen.note(loss, clip_grad_norm_(model.parameters(), 0.5))
        for optimizer in optimizers:
            optimizer.step()
    return seen


def taken_over(name: str) -> Seen:
    """A second optimizer goes on where the first one ended."""
    model = made(name)
    seen = Seen(model)
    optimizers = torch.optim.Adam(model.parameters(), lr=0.01), torch.optim.SGD(model.parameters(), lr=0.01)
    for step in range(STEPS):
        optimizer = optimizers[step * 2 // STEPS]
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        seen.note(loss, clip_grad_norm_(model.parameters(), 0.5))
        optimizer.step()
    return seen


def partly_frozen(name: str) -> Seen:
    """An optimizer of a part of a copied model, whose clip call is given all of it."""
    model = copy.deepcopy(made(name))
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    seen = Seen(model)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        seen.note(loss, clip_grad_norm_(model.parameters(), 0.5))
        optimizer.step()
    return seen


def several(name: str) -> Seen:
    """Two models and a tensor of one's own, and an optimizer for all."""
    models = made(name), made(name)
    scale = torch.ones((), requires_grad=True)
    parameters = [*models[0].parameters(), *models[1].parameters(), scale]
    optimizer = torch.optim.SGD(parameters, lr=0.01)
    seen = Seen(*models)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(models[0]) + scale * loss_of(models[1])
        loss.backward()
        seen.note(loss, clip_grad_norm_(parameters, 0.5))
        optimizer.step()
    return seen


def folds(name: str) -> Seen:
    """One after the other, as in cross-validation."""
    for _ in range(19):
        clipped(name)
    return clipped(name)


def parts(name: str) -> Seen:
    """An optimizer for every layer, some two dozen, each made when it is needed first."""
    model = type("Layers", (torch.nn.ModuleList,), {})(type(name, (torch.nn.Linear,), {})(5, 1) for _ in range(24))
    sum(layer(torch.ones(5)).square().sum() for layer in model).backward()
    optimizers = []
    for layer in model:
        optimizers.append(torch.optim.SGD(layer.parameters(), lr=0.01))
        optimizers[-1].step()
    return Seen(model)


LOOPS = {
    "Clipped": clipped,
    "Unclipped": lambda name: clipped(name, "none"),
    "ByValue": lambda name: clipped(name, "value"),
    "Wrapped": lambda name: clipped(name, wrapper=torch.nn.DataParallel),
    "Compiled": compiled,
    "Closure": closure,
    "Accumulated": accumulated,
    "Scaled": scaled,
    "Generator": adversarial,
    "Together": together,
    "TakenOver": taken_over,
    "PartlyFrozen": partly_frozen,
    "Several": several,
}
LARGE = {"Fold": folds, "Part": parts}

if __name__ == "__main__":
    wanted = sys.argv[1:] or list(LOOPS)
    print(json.dumps({name: (LOOPS | LARGE)[name](name).shown() for name in wanted}))
