"""The context path of DPSNet: fast downsampling to 1/32, a wide dilated view, and the way back up to 1/8.

Dilated (a-trous) convolutions side by side: Chen et al., "DeepLab: Semantic Image Segmentation with Deep Convolutional
Nets, Atrous Convolution, and Fully Connected CRFs", TPAMI 2018. Attention from global pooling: Yu et al., "BiSeNet:
Bilateral Segmentation Network for Real-time Semantic Segmentation", ECCV 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks import ConvNorm, Residual


class WideContext(nn.Module):
    """Dilated convolutions side by side, added to their input; then each channel weighed by what the whole shows."""

    def __init__(self, channels: int, dilations: Sequence[int] = (1, 2, 4)) -> None:
        super().__init__()
        inner = channels // 2
        self.branches = nn.ModuleList(ConvNorm(channels, inner, dilation=d) for d in dilations)
        self.join = ConvNorm(inner * len(dilations), channels, 1, linear=True)
        self.squeeze = nn.Linear(channels, channels // 4)
        self.gate = nn.Linear(channels // 4, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x + self.join(torch.cat([branch(x) for branch in self.branches], 1)))
        whole = self.gate(F.relu(self.squeeze(x.mean((2, 3)))))
        return x * whole.sigmoid()[:, :, None, None]


class ContextPath(nn.Module):
    """Pictures -> features at 1/8, and what lies beneath them.

    Input (N, 3, H, W), normalised, H and W multiples of 8. Output: features (N, width, H/8, W/8), and the maps of
    strides 16 and 32 (rounded up) that auxiliary heads learn from.

    Args:
        channels: of the stem (stride 4) and the stages at strides 8, 16 and 32.
        depths: residual blocks a stage.
        width: channels of the features that come out.
    """

    def __init__(self, channels: Sequence[int], depths: Sequence[int], width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), ConvNorm(12, channels[0], stride=2))
        self.stages = nn.ModuleList()
        for before, after, depth in zip(channels[:-1], channels[1:], depths, strict=True):
            blocks = [Residual(before, after, stride=2), *(Residual(after, after) for _ in range(depth - 1))]
            self.stages.append(nn.Sequential(*blocks))
        _, eighth, sixteenth, last = channels
        self.wide = WideContext(last)
        self.down_32 = ConvNorm(last, sixteenth, 1, linear=True)
        self.lateral_16 = ConvNorm(sixteenth, sixteenth, 1, linear=True)
        self.smooth_16 = ConvNorm(sixteenth, sixteenth)
        self.down_16 = ConvNorm(sixteenth, width, 1, linear=True)
        self.lateral_8 = ConvNorm(eighth, width, 1, linear=True)
        self.smooth_8 = ConvNorm(width, width)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.stem(picture)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        wide = self.wide(maps[2])
        middle = self.smooth_16(F.relu(self.lateral_16(maps[1]) + _grow(self.down_32(wide), maps[1])))
        fine = self.smooth_8(F.relu(self.lateral_8(maps[0]) + _grow(self.down_16(middle), maps[0])))
        return fine, middle, wide


def _grow(x: Tensor, like: Tensor) -> Tensor:
    # By two, and then cut: odd sizes were rounded up on the way down, and stretched to fit they would drift apart.
    height, width = like.shape[2:]
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)[:, :, :height, :width]
