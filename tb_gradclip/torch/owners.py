"""Names of what an optimizer updates: it knows tensors, and only modules know what these are called.

The modules are found where Python's garbage collector keeps all objects, once for an optimizer: so nothing has to be
known of modules while they are made, and those that were copied or loaded are found too.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Set

import torch
from torch.nn.parameter import is_lazy

WRAPPERS = (["module"], ["_orig_mod"])
"""Children of modules that only wrap another one, as DistributedDataParallel does and torch.compile."""


def owned(
    optimizers: Iterable[torch.optim.Optimizer], clipped: Set[int], foreign: Set[int]
) -> tuple[list[torch.nn.Module], list[tuple[str, torch.Tensor]]]:
    """Modules that own what optimizers update, and (name, parameter) pairs.

    Names are those of the outermost module's `named_parameters`; of several modules, each with its class before it.
    Tensors that no module owns are called `group0.0`, after their place. Among the pairs are parameters that only clip
    calls are given too: the `clipped` ones and frozen ones, but none that other optimizers update, the `foreign` ones.
    Both are identities.
    """
    groups = [group["params"] for optimizer in optimizers for group in optimizer.param_groups]
    updated = {
        id(parameter): (f"group{number}.{place}", parameter)
        for number, group in enumerate(groups)
        for place, parameter in enumerate(group)
    }
    owners: list[torch.nn.Module] = []
    missing = set(updated)
    for module in _outermost(missing):
        own = {id(parameter) for parameter in module.parameters()}
        if not own.isdisjoint(missing):
            owners.append(_unwrapped(module))
            missing -= own
    found: dict[int, tuple[str, torch.Tensor]] = {}
    for prefix, owner in zip(_prefixes(owners), owners, strict=True):
        for name, parameter in owner.named_parameters():
            known = id(parameter) in clipped or not parameter.requires_grad
            if id(parameter) in updated or (known and id(parameter) not in foreign and not is_lazy(parameter)):
                found.setdefault(id(parameter), (prefix + name, parameter))
    return owners, [*found.values(), *(updated[key] for key in updated if key in missing)]


def _outermost(wanted: set[int]) -> list[torch.nn.Module]:
    """Modules that are in no other one: first those with most of the wanted parameters, and least besides."""
    modules = [thing for thing in gc.get_objects() if issubclass(type(thing), torch.nn.Module)]
    modules = [module for module in modules if hasattr(module, "_modules")]  # not before its constructor has run
    inner = {id(child) for module in modules for child in module.children()}

    def rank(module: torch.nn.Module) -> tuple[int, int]:
        own = [id(parameter) in wanted for parameter in module.parameters()]
        return -sum(own), len(own)

    return sorted((module for module in modules if id(module) not in inner), key=rank)


def _unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    while [name for name, _ in module.named_children()] in WRAPPERS and not list(module.parameters(recurse=False)):
        module = next(module.children())
    return module


def _prefixes(owners: list[torch.nn.Module]) -> list[str]:
    if len(owners) < 2:
        return [""] * len(owners)
    prefixes: list[str] = []
    for owner in owners:
        name = type(owner).__name__
        prefix, number = f"{name}.", 2
        while prefix in prefixes:
            prefix, number = f"{name}-{number}.", number + 1
        prefixes.append(prefix)
    return prefixes
