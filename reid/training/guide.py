"""A network that saw a million photographs looks at the same crops, and a young one is drawn towards what it sees.

A few hundred labelled frames are learnt by heart long before they have taught what a street may look like elsewhere.
Maps of a general network, followed place by place (Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015; by
direction alone, as its scale means nothing here), stand in for pretraining.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reid.backends import get, lite0
from reid.training.augmentation import MEAN, STD

CHANNELS = (112, 320)
"""Of the last stages at strides 16 and 32."""
STRIDE_16 = 11
"""So many of the guide's blocks lead to the end of stride 16."""


class Guide(nn.Module):
    """EfficientNet-Lite0 looking at half the size, which is nearer to what it was trained on and costs a quarter."""

    gain: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        backend = get("lite0")
        assert isinstance(backend, lite0.Lite0)
        self.network = copy.deepcopy(backend.network)  # the backend's own stays where it is
        own, theirs = (torch.tensor(values).view(2, 1, 3, 1, 1) for values in ((MEAN, STD), (lite0.MEAN, lite0.STD)))
        self.register_buffer("gain", own[1] / theirs[1])
        self.register_buffer("shift", (own[0] - theirs[0]) / theirs[1])

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Normalised pictures (N, 3, H, W) -> maps (N, C, h, w) at 1/32 and 1/64 of H and W."""
        seen = F.avg_pool2d(pictures, 2) * self.gain + self.shift
        middle = self.network.blocks[:STRIDE_16](self.network.stem(seen))
        return [middle, self.network.blocks[STRIDE_16:](middle)]


class Followers(nn.ModuleList):
    """What a map of `channels` would have to say of the guide's maps; needed in training alone."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, c, 1) for c in CHANNELS)

    def loss(self, x: Tensor, told: list[Tensor]) -> Tensor:
        """1 - cosine at every place, averaged: 0 where a map (N, C, h, w) says all that the guide told."""
        losses = []
        for follow, one in zip(self, told, strict=True):
            own = F.adaptive_avg_pool2d(follow(x).float(), (one.shape[2], one.shape[3]))
            losses.append(1 - F.cosine_similarity(own, one.float(), dim=1).mean())
        return torch.stack(losses).mean()
