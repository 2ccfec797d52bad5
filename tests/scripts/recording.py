"""Records one of two models itself, from another directory; then fails inside PyTorch."""

import os
import tempfile

import torch

from tb_gradclip.torch import watch

own, other = torch.nn.Linear(3, 1), torch.nn.Linear(4, 1)
optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (own, other)]
os.chdir(tempfile.mkdtemp())
watch(own, optimizers[0], "its own")
for _ in range(3):
    for model, optimizer in zip((own, other), optimizers, strict=True):
        optimizer.zero_grad()
        model(torch.ones(model.in_features)).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
torch.ones(2, requires_grad=True).backward()
