"""Names of what an optimizer updates: it knows tensors, and only modules know what these are called.

The modules are found where Python's garbage collector keeps all objects, once for an optimizer: so nothing has to be
known of modules while they are made, and those that were copied or loaded are found too.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable

import torch
from torch.nn.parameter import is_lazy

WRAPPERS = (["module"], ["_orig_mod"])
"""Children of modules that only wrap another one, as DistributedDataParallel does and torch.compile."""


def owned(
    optimizers: Iterable[torch.optim.Optimizer], foreign: set[int]
) -> tuple[list[torch.nn.Module], list[tuple[str, torch.Tensor]]]:
    """Modules that own what optimizers update, and (name, parameter) pairs.

    Names are those of the outermost module's `named_parameters`; of several modules, each with its class before it. The
    modules' other parameters are among the pairs, as clip calls are given them too, but for `foreign` ones, identities
    of what other optimizers update. Tensors that no module owns are called `group0.0`, after their place.
    """
    places = {
        id(parameter): f"group{number}.{place}"
        for optimizer in optimizers
        for number, group in enumerate(optimizer.param_groups)
        for place, parameter in enumerate(group["params"])
    }
    tensors = {id(p): p for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
    owners: list[torch.nn.Module] = []
    missing = set(tensors)
    for module in _outermost(missing):
        own = {id(parameter) for parameter in module.parameters()}
        if not own.isdisjoint(missing):
            owners.append(_unwrapped(module))
            missing -= own
    found: dict[int, tuple[str, torch.Tensor]] = {}
    for prefix, owner in zip(_prefixes(owners), owners, strict=True):
        for name, parameter in owner.named_parameters():
            if id(parameter) not in foreign and not is_lazy(parameter):
                found.setdefault(id(parameter), (prefix + name, parameter))
    for identity, tensor in tensors.items():
        found.setdefault(identity, (places[identity], tensor))
    return owners, list(found.values())


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
