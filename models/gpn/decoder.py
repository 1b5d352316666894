"""The shared decoder: the trunk's coarse maps brought back to fine ones for the skeleton and the parsing.

Lateral connections as in Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017. What the picture shows
as a whole scales and shifts the coarsest map (Perez et al., "FiLM", AAAI 2018), and then its places ask one another
(Vaswani et al., "Attention Is All You Need", NeurIPS 2017): a foot says by itself hardly which side it belongs to, and
face or back and the other foot, which do, are further away than a convolution sees.
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


class MapAttention(nn.Module):
    """Layers of attention between all places of a map (N, C, H, W) -> the same shape; fresh ones change nothing.

    Places are known by a table of `size`, brought to the map's own by interpolation.
    """

    def __init__(self, channels: int, layers: int, size: tuple[int, int] = (16, 8), heads: int = 4) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.empty(1, channels, *size).normal_(std=0.02))
        self.layers = nn.ModuleList(_attention_layer(channels, heads) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        places = F.interpolate(self.places, size=x.shape[2:], mode="bilinear", align_corners=False)
        tokens = (x + places).flatten(2).transpose(1, 2)
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens.transpose(1, 2).unflatten(2, x.shape[2:]) - places


def _attention_layer(channels: int, heads: int) -> nn.TransformerEncoderLayer:
    layer = nn.TransformerEncoderLayer(channels, heads, 2 * channels, dropout=0.0, batch_first=True, norm_first=True)
    for last in (layer.self_attn.out_proj, layer.linear2):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return layer


class Refinement(nn.Module):
    """Two 3x3 convolutions added to a map (N, C, H, W) that is nowhere negative; fresh ones change nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(channels)
        nn.init.zeros_(last.weight)
        second = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.branch = nn.Sequential(conv_block(channels, channels), second, last)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.branch(x))


class Decoder(nn.Module):
    """Four maps of the trunk (strides 4, 8, 16, 16) -> one map of stride 4 with `channels` channels.

    `layers` of attention look at the coarsest, `refinements` convolve at stride 8.
    """

    def __init__(
        self, trunk_channels: tuple[int, int, int, int], channels: int = 64, layers: int = 4, refinements: int = 2
    ) -> None:
        super().__init__()
        c4, c8, c16, top = trunk_channels
        self.channels = channels
        self.top = conv_block(c16 + top, channels * 2, kernel=1)
        # Zero at first: nothing is changed.
        last = nn.Linear(channels * 2, channels * 4)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.overview = nn.Sequential(nn.Linear(c16 + top, channels * 2), nn.ReLU(inplace=True), last)
        self.attention = MapAttention(channels * 2, layers)
        self.lateral8 = conv_block(c8, channels * 2, kernel=1)
        self.smooth8 = conv_block(channels * 2, channels)
        self.refine8 = nn.Sequential(*(Refinement(channels) for _ in range(refinements)))
        self.lateral4 = conv_block(c4, channels, kernel=1)
        self.smooth4 = conv_block(channels, channels)

    def forward(self, maps: list[Tensor]) -> Tensor:
        m4, m8, m16, top = maps
        coarse = torch.cat([m16, top], 1)
        scale, shift = self.overview(coarse.mean((2, 3)))[..., None, None].chunk(2, 1)
        x = self.top(coarse)
        x = self.attention(x + x * scale + shift)
        x = self.refine8(self.smooth8(F.interpolate(x, size=m8.shape[2:], mode="nearest") + self.lateral8(m8)))
        return self.smooth4(F.interpolate(x, size=m4.shape[2:], mode="nearest") + self.lateral4(m4))
