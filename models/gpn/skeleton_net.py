"""SKELETON NET: 17 joints in the picture, each with a confidence, and in metres around the pelvis.

Joints as expectations over heat maps: Sun et al., "Integral Human Pose Regression", ECCV 2018. Metres read from
location maps where the joint is: Mehta et al., "VNect", SIGGRAPH 2017.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.gpn.anatomy import JOINTS
from models.gpn.decoder import conv_block

SPREAD = 0.07
"""How far joints may lie from where the skeleton in space has them, as a fraction of the picture's height; chosen on
rendered people of a seed of their own (0.05 to 0.1 serve as well within 0.3 points)."""


def expect_position(probability: Tensor) -> Tensor:
    """Mean position of each map: (N, J, H, W) summing to 1 -> (N, J, 2), x and y as fractions of the picture."""
    h, w = probability.shape[2:]
    xs = (torch.arange(w, device=probability.device) + 0.5) / w
    ys = (torch.arange(h, device=probability.device) + 0.5) / h
    return torch.stack([(probability.sum(2) * xs).sum(2), (probability.sum(3) * ys).sum(2)], 2)


def locate(heat: Tensor, expected: Tensor | None = None, aspect: float = 0.5, radius: int = 5) -> Tensor:
    """Where joints are once training is over: (N, J, H, W) logits -> (N, J, 2), x and y as fractions of the picture.

    The mean over the whole map, which training needs for its gradient, is drawn to the middle by what lies far away, so
    only the cells within `radius` of the peak count here.

    Args:
        expected: (N, J, 2), where the body as a whole has its joints (`project`). Left and right look alike to a heat
            map, which often has a peak on either; the one nearer to here is believed, by a Gaussian of `SPREAD`.
        aspect: width of the picture over its height.
    """
    n, joints, h, w = heat.shape
    rows, columns = torch.arange(h, device=heat.device), torch.arange(w, device=heat.device)
    if expected is not None:
        across = ((columns + 0.5) / w - expected[..., :1]) * aspect  # (N, J, W)
        down = (rows + 0.5) / h - expected[..., 1:]
        heat = heat - (across.square()[:, :, None] + down.square()[..., None]) / (2 * SPREAD**2)
    peak = heat.flatten(2).argmax(2)
    near_y = (rows - (peak // w)[..., None]).abs() <= radius  # (N, J, H)
    near_x = (columns - (peak % w)[..., None]).abs() <= radius
    around = heat.masked_fill(~(near_y[..., None] & near_x[..., None, :]), -torch.inf)
    return expect_position(around.flatten(2).softmax(2).view(n, joints, h, w))


def project(xyz: Tensor, xy: Tensor, weight: Tensor, aspect: float = 0.5) -> Tensor:
    """A skeleton in space laid over its joints in the picture, by the weak perspective of least squares.

    Args:
        xyz: (N, J, 3) metres, camera axes. xy: (N, J, 2) fractions of the picture. weight: (N, J), above 0.
        aspect: width of the picture over its height.

    Returns:
        (N, J, 2) fractions of the picture.
    """
    square = torch.tensor([aspect, 1.0], dtype=xy.dtype, device=xy.device)  # x, too, as a fraction of the height
    weight = (weight / weight.sum(1, keepdim=True))[..., None]
    flat, seen = xyz[..., :2], xy * square
    middle_flat, middle_seen = (weight * flat).sum(1, keepdim=True), (weight * seen).sum(1, keepdim=True)
    flat, seen = flat - middle_flat, seen - middle_seen
    scale = (weight * flat * seen).sum((1, 2)) / (weight * flat * flat).sum((1, 2)).clamp(min=1e-6)
    return (scale.clamp(min=0)[:, None, None] * flat + middle_seen) / square


class SkeletonNet(nn.Module):
    """Decoder map (N, C, H, W) -> a dict of the skeleton.

    `heat` (N, J, H, W) logits; `probability`, their softmax over the map; `xy` (N, J, 2) fractions of the picture;
    `confidence` (N, J) logits of a joint being seen; `xyz` (N, J, 3) metres from the pelvis, camera axes.
    """

    def __init__(self, channels: int, joints: int = len(JOINTS)) -> None:
        super().__init__()
        self.joints = joints
        self.heat = nn.Sequential(conv_block(channels, channels), nn.Conv2d(channels, joints, 1))
        self.place = nn.Sequential(conv_block(channels, channels), nn.Conv2d(channels, 3 * joints, 1))
        self.seen = nn.Sequential(nn.Linear(channels + 2, 64), nn.ReLU(inplace=True), nn.Linear(64, 1))
        # The body as a whole mends what single joints got wrong.
        last = nn.Linear(256, joints * 3)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.refine = nn.Sequential(nn.Linear(joints * 6, 256), nn.ReLU(inplace=True), last)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        n = len(features)
        heat = self.heat(features).float()
        probability = heat.flatten(2).softmax(2).view_as(heat)
        xy = expect_position(probability)
        coarse = F.avg_pool2d(features, 2)
        place = self.place(coarse).float().view(n, self.joints, 3, -1)
        weight = (F.avg_pool2d(probability, 2) * 4).flatten(2)  # (N, J, HW/4), still sums to 1
        raw = torch.einsum("njcp,njp->njc", place, weight)
        sampled = sample_at(features, probability)
        seen = self.seen(torch.cat([sampled, xy], 2)).squeeze(2)
        clues = torch.cat([raw, xy, seen[..., None].sigmoid()], 2).flatten(1)
        xyz = raw + self.refine(clues).view(n, self.joints, 3)
        return {"heat": heat, "probability": probability, "xy": xy, "confidence": seen, "xyz": xyz}


def sample_at(features: Tensor, probability: Tensor) -> Tensor:
    """Features at each joint: (N, C, H, W) averaged under (N, J, H, W) -> (N, J, C)."""
    # Channels lie last in memory, so that places by channels is the map itself.
    return torch.bmm(probability.flatten(2).to(features.dtype), features.permute(0, 2, 3, 1).flatten(1, 2)).float()
