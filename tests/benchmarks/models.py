"""Models to train in the PyTorch benchmark. Calling one gives the loss on random data of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn import functional


class LanguageModel(nn.Module):
    """A character LSTM of 1.4 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(96, 128)
        self.lstm = nn.LSTM(128, 320, num_layers=2, batch_first=True)
        self.head = nn.Linear(320, 96)

    def forward(self) -> torch.Tensor:
        characters = torch.randint(96, (16, 49), device=self.head.weight.device)
        hidden, _ = self.lstm(self.embedding(characters[:, :-1]))
        return functional.cross_entropy(self.head(hidden).transpose(1, 2), characters[:, 1:])


class SmallTensors(nn.Module):
    """160 matrices of 64 x 64, whose step costs little more than visiting them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ParameterList(torch.randn(64, 64) / 8 for _ in range(160))

    def forward(self) -> torch.Tensor:
        state = torch.randn(8, 64, device=self.layers[0].device, dtype=self.layers[0].dtype)
        for layer in self.layers:
            state = torch.tanh(state @ layer)
        return state.square().mean()


class ConvNet(nn.Sequential):
    """Six convolutions with batch norm for images of CIFAR's size, 0.29 million parameters."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for before, after, stride in ((3, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1)):
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))

    def forward(self) -> torch.Tensor:
        like = self[0].weight
        images = torch.randn(32, 3, 32, 32, device=like.device, dtype=like.dtype)
        return functional.cross_entropy(super().forward(images), torch.randint(10, (32,), device=like.device))


class Block(nn.Module):
    """Causal attention and a perceptron, each after a layer norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.attention_in = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        batch, length, width = state.shape
        projected = self.attention_in(self.attention_norm(state)).view(batch, length, 3, self.heads, -1)
        attended = functional.scaled_dot_product_attention(*projected.permute(2, 0, 3, 1, 4), is_causal=True)
        state = state + self.attention_out(attended.transpose(1, 2).reshape(batch, length, width))
        return state + self.perceptron(state)


class Transformer(nn.Module):
    """A language model with the layers of GPT-2, whose head shares the weights of its embedding."""

    def __init__(self, vocabulary: int, context: int, width: int, layers: int, heads: int, batch: int) -> None:
        super().__init__()
        self.vocabulary, self.shape = vocabulary, (batch, context + 1)
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        for embedding in (self.tokens, self.places):
            nn.init.normal_(embedding.weight, std=0.02)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self) -> torch.Tensor:
        tokens = torch.randint(self.vocabulary, self.shape, device=self.tokens.weight.device)
        state = self.blocks(self.tokens(tokens[:, :-1]) + self.places.weight)
        logits = functional.linear(self.norm(state), self.tokens.weight)
        return functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


MODELS: dict[str, Callable[[], nn.Module]] = {
    "lstm": LanguageModel,
    "mlp": SmallTensors,
    "convnet": ConvNet,
    "transformer": partial(Transformer, vocabulary=512, context=64, width=128, layers=4, heads=4, batch=8),
    "gpt2": partial(Transformer, vocabulary=50257, context=1024, width=768, layers=12, heads=12, batch=8),
}
NEEDS_CUDA = {"gpt2"}
"""Ten copies of it take minutes a step on a CPU."""

PRECISIONS = ("fp32", "autocast", "bf16")
"""Everything in 32 bits; 32-bit parameters with the arithmetic in bfloat16; bfloat16 parameters."""


@dataclass(frozen=True)
class Task:
    """A model to train, where, and in which numbers."""

    model: str
    device: torch.device
    precision: str = "fp32"

    def make(self) -> nn.Module:
        """The model, always with the same weights."""
        torch.manual_seed(0)
        return MODELS[self.model]().to(self.device, torch.bfloat16 if self.precision == "bf16" else torch.float32)

    def loss(self, model: nn.Module) -> torch.Tensor:
        """The loss on a batch of random data."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "autocast"):
            return model()

    def synchronize(self) -> None:
        """Wait until the device has done all it was asked to."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def __str__(self) -> str:
        device = "CPU" if self.device.type == "cpu" else torch.cuda.get_device_name(self.device)
        model = self.make()
        tensors = list(model.parameters())
        elements = sum(tensor.numel() for tensor in tensors)
        return f"{self.model}, {elements / 1e6:.3g} M parameters in {len(tensors)} tensors, {self.precision}, {device}"
