"""Small networks, one for each way in which a layer can surprise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Tokens behind a class token, as vision transformers have them; attention gives a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, stride=4)
        self.first = nn.Parameter(torch.zeros(1, 1, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 5)
        self.spare = nn.Linear(8, 8)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(tokens), -1, -1), tokens], dim=1)
        mixed, _ = self.attention(tokens, tokens, tokens)
        return self.head(mixed[:, 0])


@pytest.fixture
def convolutions() -> nn.Module:
    """Two blocks; each ReLU writes over what the convolution before it gave."""
    torch_generator = torch.Generator().manual_seed(0)
    blocks = [
        nn.Sequential(nn.Conv2d(wide, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True)) for wide in (3, 6)
    ]
    network = nn.Sequential()
    network.add_module("blocks", nn.Sequential(*blocks))
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flat", nn.Flatten())
    network.add_module("head", nn.Linear(6, 4))
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=torch_generator)
    return network


@pytest.fixture
def transformer() -> nn.Module:
    return Attention()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
