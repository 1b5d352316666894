"""The trunk that the person networks share: a residual network with instance-batch norm and a four-fold stem.

Deep residual learning: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. Instance-batch norm:
Pan et al., "Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net", ECCV 2018. Stem by
space-to-depth: Ridnik et al., "TResNet: High Performance GPU-Dedicated Architecture", WACV 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class TrunkConfig:
    """Shape of a trunk. Strides by stage: 4, 8, 16 and `last_stride` times 16."""

    width: int = 56
    depths: tuple[int, int, int, int] = (2, 3, 4, 2)
    last_stride: int = 1

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels that come out of each stage."""
        return (self.width, self.width * 2, self.width * 4, self.width * 8)


class InstanceBatchNorm(nn.Module):
    """Half of the channels normalised by picture (which drops a camera's look), half by batch (which keeps content)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.half = channels // 2
        self.instance = nn.InstanceNorm2d(self.half, affine=True)
        self.batch = nn.BatchNorm2d(channels - self.half)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x[:, : self.half], x[:, self.half :]
        return torch.cat([self.instance(a), self.batch(b)], dim=1)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; `ibn` puts instance-batch norm after the first."""

    def __init__(self, channels_in: int, channels: int, stride: int, ibn: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = InstanceBatchNorm(channels) if ibn else nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Trunk(nn.Module):
    """RGB pictures -> feature maps of four stages.

    Input (N, 3, H, W), normalised; H and W multiples of 16 (256x128 for people). Output: a list of four maps, strides
    4, 8, 16 and 16 (with `last_stride` 1), channels `config.channels`. Dense 3x3 convolutions throughout: processors run
    them far better than depthwise ones of the same cost.
    """

    def __init__(self, config: TrunkConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TrunkConfig()
        # Space-to-depth and one strided 3x3 see 6x6 pixels a step at a quarter of a 7x7 stem's cost.
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, config.width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(config.width),
            nn.ReLU(inplace=True),
        )
        stages = []
        channels_in = config.width
        for i, (depth, channels) in enumerate(zip(config.depths, config.channels, strict=True)):
            stride = 1 if i == 0 else (config.last_stride if i == 3 else 2)
            blocks = []
            for j in range(depth):
                # Not in the last stage: there, what instance norm would drop is what tells people apart.
                blocks.append(BasicBlock(channels_in, channels, stride if j == 0 else 1, ibn=i < 3))
                channels_in = channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, BasicBlock):
                nn.init.zeros_(module.norm2.weight)  # each block starts as its shortcut: deeper trunks train sooner

    def forward(self, x: Tensor) -> list[Tensor]:
        if x.ndim != 4 or x.shape[1] != 3 or x.shape[2] % 16 or x.shape[3] % 16:
            raise ValueError(f"a trunk takes (N, 3, H, W) with H and W multiples of 16, not {tuple(x.shape)}")
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
