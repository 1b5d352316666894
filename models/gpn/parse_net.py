"""PARSE NET: a label for every pixel of a person, and whether something hides the person there.

Occluders and other people are background to the parsing, as streets and walls are; `hiding` tells them from these.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.gpn.anatomy import LABELS
from models.gpn.decoder import conv_block


class ParseNet(nn.Module):
    """Decoder map (N, C, H/4, W/4) and the picture (N, 3, H, W) -> logits (N, L, H/2, W/2).

    What is where is known at a quarter of the size (`roughly`), which is all that the graph asks for, and so is what
    hides it. The picture joins at half its size (`finely`): edges of sleeves and shoes are finer than the trunk's first
    map.
    """

    def __init__(self, channels: int, labels: int = len(LABELS), fine: int = 24) -> None:
        super().__init__()
        self.labels = labels
        self.coarse = nn.Sequential(conv_block(channels, channels), nn.Conv2d(channels, labels, 1))
        self.hiding = nn.Conv2d(channels, 1, 1)
        self.reduce = nn.Conv2d(channels, fine, 1, bias=False)
        self.pixels = conv_block(12, fine)
        self.fine = nn.Sequential(conv_block(fine * 2 + labels, fine), nn.Conv2d(fine, labels, 1))

    def forward(self, features: Tensor, picture: Tensor) -> Tensor:
        return self.finely(self.roughly(features)[0], features, picture)

    def roughly(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Decoder map (N, C, H/4, W/4) -> logits (N, L, H/4, W/4), and (N, H/4, W/4) of something in the way."""
        between = self.coarse[0](features)
        return self.coarse[1](between), self.hiding(between)[:, 0]

    def finely(self, rough: Tensor, features: Tensor, picture: Tensor) -> Tensor:
        """What `roughly` gave of a decoder map, and the picture -> logits (N, L, H/2, W/2)."""
        size = (picture.shape[2] // 2, picture.shape[3] // 2)
        coarse = F.interpolate(rough, size=size, mode="bilinear", align_corners=False)
        context = F.interpolate(self.reduce(features), size=size, mode="nearest")
        pixels = self.pixels(F.pixel_unshuffle(picture, 2))
        return coarse + self.fine(torch.cat([coarse, context, pixels], 1))
