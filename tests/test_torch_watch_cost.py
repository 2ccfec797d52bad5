"""What a watch asks of the training steps it watches: no wait for the device, and no more work for more tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm

import tb_gradclip
from tb_gradclip.torch import watch
from tests.test_torch_cost import DEVICES, Operations, model, refusing_to_wait

RULES = ("global_norm", "pair", "value", "none")


def clip(rule: str, parameters: list[torch.nn.Parameter]) -> None:
    if rule == "value":
        clip_grad_value_(parameters, 0.1)
    elif rule == "global_norm":
        clip_grad_norm_(parameters, 0.1)
    elif rule == "pair":
        total = get_total_norm([p.grad for p in parameters if p.grad is not None])
        clip_grads_with_norm_(parameters, 0.1, total)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rule", RULES)
def test_a_thousand_watched_updates_never_wait_for_a_number(tmp_path: Path, rule: str, device: str) -> None:
    named = model(6, device)
    parameters = [parameter for _, parameter in named]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    loss = torch.tensor(2.0, device=device)
    with watch(named, optimizer, tmp_path) as watcher, Operations() as operations, refusing_to_wait(device):
        for _ in range(1000):
            clip(rule, parameters)
            watcher.log_loss(loss)
            watcher.log_loss(loss)
            optimizer.step()
    assert sum(operations.seen.values()) > 1000
    assert operations.waiting == set()
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 1000


@pytest.mark.usefixtures("recorded_by_hand")
@pytest.mark.parametrize("rule", RULES)
def test_operations_of_a_watch_do_not_grow_in_number_with_the_tensors(tmp_path: Path, rule: str) -> None:
    more = []
    for tensors in (10, 300):
        named = model(tensors)
        parameters = [parameter for _, parameter in named]
        optimizer = torch.optim.SGD(parameters, lr=0.1, foreach=True)
        seen = []
        for watched in (False, True):
            watcher = watch(named, optimizer, tmp_path / str(tensors), histogram_every=10) if watched else None
            for _ in range(2):  # the first round makes room for all that follow
                with Operations() as operations:
                    for _ in range(10):
                        clip(rule, parameters)
                        optimizer.step()
                    if watcher is not None:
                        watcher.flush()
            seen.append(operations.seen)
            if watcher is not None:
                watcher.close()
        more.append({name: seen[1][name] - seen[0][name] for name in seen[1] | seen[0]})
    assert more[0] == more[1]
