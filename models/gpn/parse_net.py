"""PARSE NET: a label for every pixel of a person, and whether somebody hides the person there.

Occluders and other people are background to the parsing, as streets and walls are; `hiding` tells other people from
these.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.gpn.anatomy import LABELS
from models.gpn.decoder import Refinement, conv_block


class CloserLook(nn.Module):
    """Finer logits of the labels (N, L, H/2, W/2), and logits of somebody in the way (N, H/4, W/4).

    Out of what the rough parsing is read from (N, C, H/4, W/4), the decoder's map of that shape, and the picture.
    The picture joins at a quarter of its size and at half: bags are told from coats by more than the trunk kept, and
    edges of sleeves and shoes are finer than its first map.
    """

    def __init__(self, channels: int, labels: int, fine: int = 24, refinements: int = 3) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 1, bias=False)
        nn.init.zeros_(last.weight)  # fresh, it changes nothing
        self.colours = nn.Sequential(conv_block(48, channels), last)
        self.refine = nn.Sequential(*(Refinement(channels) for _ in range(refinements)))
        self.clear = nn.Conv2d(channels, labels, 1)
        self.hiding = nn.Conv2d(channels, 1, 1)
        self.reduce = nn.Conv2d(channels, fine, 1, bias=False)
        self.pixels = conv_block(12, fine)
        self.fine = nn.Sequential(conv_block(fine * 2 + labels, fine), nn.Conv2d(fine, labels, 1))

    def forward(self, between: Tensor, features: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        close = self.refine(between + self.colours(F.pixel_unshuffle(picture, 4)))
        size = (picture.shape[2] // 2, picture.shape[3] // 2)
        clear = F.interpolate(self.clear(close), size=size, mode="bilinear", align_corners=False)
        context = F.interpolate(self.reduce(features), size=size, mode="nearest")
        pixels = self.pixels(F.pixel_unshuffle(picture, 2))
        return clear + self.fine(torch.cat([clear, context, pixels], 1)), self.hiding(close)[:, 0]


class ParseNet(nn.Module):
    """Decoder map (N, C, H/4, W/4) and the picture (N, 3, H, W) -> what `CloserLook` gives.

    What is where is known at a quarter of the size (`roughly`), which is all that the graph asks for.
    """

    def __init__(self, channels: int, labels: int = len(LABELS)) -> None:
        super().__init__()
        self.labels = labels
        self.coarse = nn.Sequential(conv_block(channels, channels), nn.Conv2d(channels, labels, 1))
        self.closer = CloserLook(channels, labels)

    def forward(self, features: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        return self.closer(self.roughly(features)[1], features, picture)

    def roughly(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Decoder map (N, C, H/4, W/4) -> logits (N, L, H/4, W/4), and the map (N, C, H/4, W/4) they are read from."""
        between = self.coarse[0](features)
        return self.coarse[1](between), between
