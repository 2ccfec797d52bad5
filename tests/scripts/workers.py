"""Trains on what processes load that are started anew, and import this file again."""

import torch


class Model(torch.nn.Linear):
    pass


torch.manual_seed(0)
model = Model(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


class Numbers(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        own = torch.nn.Linear(3, 1)  # a worker that trains something is none of anybody's business
        updates = torch.optim.SGD(own.parameters(), lr=0.1)
        own(torch.ones(3)).sum().backward()
        updates.step()
        return torch.full((3,), float(index))


if __name__ == "__main__":
    for context, workers in (("fork", 2), ("spawn", 1)):
        for batch in torch.utils.data.DataLoader(Numbers(), num_workers=workers, multiprocessing_context=context):
            optimizer.zero_grad()
            model(batch).square().mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    print(model.weight.tolist(), model.bias.tolist())
