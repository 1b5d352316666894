"""The region proposal network: for every anchor, whether it holds an object and how to move it there.

Ren et al., NeurIPS 2015. One head serves all maps of the pyramid; it has no norm, since their statistics differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import nms

from models.boxes import clip, decode

_RARE = 0.01  # how probable an object at an anchor is to a fresh network


class RegionProposals(nn.Module):
    """Maps of a pyramid, each (N, C, h, w) -> logits (N, A) and deltas (N, A, 4), in the order of `grid_anchors`."""

    def __init__(self, channels: int, n_anchors: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, n_anchors, 1)
        self.deltas = nn.Conv2d(channels, 4 * n_anchors, 1)
        nn.init.kaiming_normal_(self.hidden.weight, mode="fan_out", nonlinearity="relu")
        for layer in (self.objectness, self.deltas):
            nn.init.normal_(layer.weight, std=0.01)
        for layer in (self.hidden, self.objectness, self.deltas):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        assert self.objectness.bias is not None
        nn.init.constant_(self.objectness.bias, -math.log((1 - _RARE) / _RARE))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        logits, deltas = [], []
        for x in maps:
            x = F.relu_(self.hidden(x))
            logits.append(self.objectness(x).permute(0, 2, 3, 1).flatten(1))
            deltas.append(self.deltas(x).permute(0, 2, 3, 1).reshape(len(x), -1, 4))
        return torch.cat(logits, 1), torch.cat(deltas, 1)


@torch.no_grad()
def propose(
    logits: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    size: tuple[int, int],
    *,
    before: int = 1000,
    after: int = 200,
    overlap: float = 0.7,
    least: float = 4.0,
) -> list[Tensor]:
    """The best boxes of each picture, overlapping ones suppressed, best first.

    Args:
        logits: (N, A). deltas: (N, A, 4). anchors: (A, 4).
        size: (height, width) of the pictures, at which boxes are cut.
        before, after: how many enter and may leave the suppression.
        overlap: intersection over union above which the weaker box goes.
        least: pixels; boxes that are narrower or lower go.

    Returns:
        For each picture (R, 4) XYXY with R <= after.
    """
    found = []
    for logit, delta in zip(logits, deltas, strict=True):
        score, index = logit.topk(min(before, len(logit)))
        boxes = clip(decode(delta[index], anchors[index]), size)
        large = (boxes[:, 2:] - boxes[:, :2]).amin(1) >= least
        boxes, score = boxes[large], score[large]
        found.append(boxes[nms(boxes.float(), score.float(), overlap)[:after]])
    return found
