"""The feature pyramid: a residual backbone down to 1/32, and the way back up to 1/8 with lateral connections.

Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks import ConvNorm, Residual

STRIDES = (8, 16, 32)


class Backbone(nn.Module):
    """Pictures (N, 3, H, W) -> maps at strides 8, 16 and 32, with `channels[1:]` channels.

    The stem gathers 2x2 pixels into channels and halves again: frames are large, and their first layers cost most.
    """

    def __init__(self, channels: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), ConvNorm(12, channels[0], stride=2))
        self.stages = nn.ModuleList()
        for before, after, depth in zip(channels[:-1], channels[1:], depths, strict=True):
            blocks = [Residual(before, after, stride=2), *(Residual(after, after) for _ in range(depth - 1))]
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class Pyramid(nn.Module):
    """Pictures (N, 3, H, W), sides multiples of 32 -> three maps of `width` channels at `STRIDES`.

    Each map is its own detail plus, upsampled, the context of all coarser ones.
    """

    def __init__(self, channels: Sequence[int], depths: Sequence[int], width: int) -> None:
        super().__init__()
        self.backbone = Backbone(channels, depths)
        self.laterals = nn.ModuleList(ConvNorm(c, width, 1, linear=True) for c in channels[1:])
        self.smooth = nn.ModuleList(ConvNorm(width, width) for _ in channels[1:])

    def forward(self, x: Tensor) -> list[Tensor]:
        if x.ndim != 4 or x.shape[1] != 3 or x.shape[2] % STRIDES[-1] or x.shape[3] % STRIDES[-1]:
            raise ValueError(f"a pyramid takes (N, 3, H, W) with H and W multiples of 32, not {tuple(x.shape)}")
        details = [lateral(y) for lateral, y in zip(self.laterals, self.backbone(x), strict=True)]
        joined = details[-1]
        maps = [self.smooth[-1](F.relu(joined))]
        for detail, smooth in zip(details[-2::-1], list(self.smooth)[-2::-1], strict=True):
            joined = detail + F.interpolate(joined, scale_factor=2.0, mode="nearest")
            maps.insert(0, smooth(F.relu(joined)))
        return maps
