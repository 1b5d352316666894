"""The shared decoder: the trunk's coarse maps brought back to fine ones for the skeleton and the parsing.

Lateral connections as in Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017. What the picture shows
as a whole scales and shifts the coarsest map (Perez et al., "FiLM", AAAI 2018): a foot says by itself hardly which side
it belongs to, and face or back, which do, are further away than a convolution sees.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_block(channels_in: int, channels: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel, 1, kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class Decoder(nn.Module):
    """Four maps of the trunk (strides 4, 8, 16, 16) -> one map of stride 4 with `channels` channels."""

    def __init__(self, trunk_channels: tuple[int, int, int, int], channels: int = 64) -> None:
        super().__init__()
        c4, c8, c16, top = trunk_channels
        self.channels = channels
        self.top = conv_block(c16 + top, channels * 2, kernel=1)
        # Zero at first: nothing is changed.
        last = nn.Linear(channels * 2, channels * 4)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.overview = nn.Sequential(nn.Linear(c16 + top, channels * 2), nn.ReLU(inplace=True), last)
        self.lateral8 = conv_block(c8, channels * 2, kernel=1)
        self.smooth8 = conv_block(channels * 2, channels)
        self.lateral4 = conv_block(c4, channels, kernel=1)
        self.smooth4 = conv_block(channels, channels)

    def forward(self, maps: list[Tensor]) -> Tensor:
        m4, m8, m16, top = maps
        coarse = torch.cat([m16, top], 1)
        scale, shift = self.overview(coarse.mean((2, 3)))[..., None, None].chunk(2, 1)
        x = self.top(coarse)
        x = x + x * scale + shift
        x = self.smooth8(F.interpolate(x, size=m8.shape[2:], mode="nearest") + self.lateral8(m8))
        return self.smooth4(F.interpolate(x, size=m4.shape[2:], mode="nearest") + self.lateral4(m4))
