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
    """Shape of a trunk.

    Attributes:
        stem: channels of the stem.
        channels: channels that come out of each of the four stages (strides 4, 8, 16 and 16).
        depths: residual blocks a stage.
        bottleneck: inner channels of the last stage's bottleneck blocks.
    """

    stem: int = 32
    channels: tuple[int, int, int, int] = (32, 96, 192, 512)
    depths: tuple[int, int, int, int] = (1, 2, 3, 2)
    bottleneck: int = 160


class InstanceBatchNorm(nn.Module):
    """Half of the channels normalised by picture (which drops a camera's look), half by batch (which keeps content)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.instanced = channels // 2
        self.instance = nn.InstanceNorm2d(self.instanced, affine=True)
        self.batch = nn.BatchNorm2d(channels - self.instanced)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x[:, : self.instanced], x[:, self.instanced :]
        return torch.cat([self.instance(a), self.batch(b)], dim=1)


class Residual(nn.Module):
    """A branch added to its shortcut."""

    def __init__(self, branch: nn.Sequential, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.branch(x) + self.shortcut(x))


def basic_block(channels_in: int, channels: int, stride: int) -> Residual:
    """Two 3x3 convolutions, instance-batch norm after the first."""
    branch = nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False),
        InstanceBatchNorm(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
        nn.BatchNorm2d(channels),
    )
    return Residual(branch, channels_in, channels, stride)


def bottleneck_block(channels_in: int, inner: int, channels: int) -> Residual:
    """1x1, 3x3, 1x1, all batch-normed: here, what instance norm would drop is what tells people apart."""
    branch = nn.Sequential(
        nn.Conv2d(channels_in, inner, 1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(inplace=True),
        nn.Conv2d(inner, inner, 3, 1, 1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(inplace=True),
        nn.Conv2d(inner, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )
    return Residual(branch, channels_in, channels, 1)


class Trunk(nn.Module):
    """RGB pictures -> feature maps of four stages.

    Input (N, 3, H, W), normalised; H and W multiples of 16 (256x128 for people). Output: a list of four maps at strides
    4, 8, 16 and 16 with `config.channels` channels. Dense 3x3 convolutions throughout: processors run them far better
    than depthwise ones of the same cost. The last stage keeps its resolution, since parts are read from it.
    """

    def __init__(self, config: TrunkConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TrunkConfig()
        # Space-to-depth and one strided 3x3 see 6x6 pixels a step at a quarter of a 7x7 stem's cost.
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, config.stem, 3, 2, 1, bias=False),
            nn.BatchNorm2d(config.stem),
            nn.ReLU(inplace=True),
        )
        stages = []
        channels_in = config.stem
        for i, (depth, channels) in enumerate(zip(config.depths, config.channels, strict=True)):
            blocks = []
            for j in range(depth):
                if i < 3:
                    blocks.append(basic_block(channels_in, channels, stride=2 if i > 0 and j == 0 else 1))
                else:
                    blocks.append(bottleneck_block(channels_in, config.bottleneck, channels))
                channels_in = channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, Residual):
                last = module.branch[-1]
                assert isinstance(last, nn.BatchNorm2d)
                nn.init.zeros_(last.weight)  # each block starts as its shortcut: deeper trunks train sooner

    def forward(self, x: Tensor) -> list[Tensor]:
        if x.ndim != 4 or x.shape[1] != 3 or x.shape[2] % 16 or x.shape[3] % 16:
            raise ValueError(f"a trunk takes (N, 3, H, W) with H and W multiples of 16, not {tuple(x.shape)}")
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
