"""Crops of scenes, made where the frames lie: on a processor or a GPU, a whole batch at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reid.datasets import CAMVID_VOID
from reid.training.augmentation import MEAN, STD
from reid.training.scenes import Plan, Scenes

BEYOND = (124.0, 116.0, 104.0)
"""The mean colour: beyond a frame, where labels are void."""


class SceneCrops(nn.Module):
    """Frames, kept as bytes, and the crops that plans make of them."""

    pictures: Tensor
    labels: Tensor
    beyond: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, scenes: Scenes) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.from_numpy(scenes.pictures), persistent=False)
        self.register_buffer("labels", torch.from_numpy(scenes.labels), persistent=False)
        for name, colour in (("beyond", BEYOND), ("mean", MEAN), ("deviation", STD)):
            scale = 1 if name == "beyond" else 255
            self.register_buffer(name, scale * torch.tensor(colour).view(1, 3, 1, 1), persistent=False)

    @torch.no_grad()
    def forward(self, plan: Plan) -> tuple[Tensor, Tensor]:
        """Normalised pictures (N, 3, h, w), channels last, and labels (N, h, w) int64; beyond a frame lies void."""
        count = len(plan.frames)
        grid = F.affine_grid(plan.to_frame, [count, 1, *plan.size], align_corners=False)
        # What is sampled outside is zero, so zero is made to mean "beyond".
        frames = self.pictures[plan.frames].permute(0, 3, 1, 2).float() - self.beyond
        seen = F.grid_sample(frames, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + self.beyond
        truth = self.labels[plan.frames][:, None].float() - CAMVID_VOID
        truth = F.grid_sample(truth, grid, mode="nearest", padding_mode="zeros", align_corners=False) + CAMVID_VOID
        seen, labels = mix(recolour(seen, plan.colours), truth[:, 0].long(), plan)
        return ((seen - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last), labels


def recolour(pictures: Tensor, colours: Tensor) -> Tensor:
    """Pictures (N, 3, h, w) from 0 to 255, each by its own map of colours (N, 3, 4)."""
    n, _, height, width = pictures.shape
    changed = torch.baddbmm(colours[:, :, 3:], colours[:, :, :3], pictures.flatten(2))
    return changed.view(n, 3, height, width).clamp(0, 255)


def mix(pictures: Tensor, labels: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """Put things of one crop, where they stood, into another: they are learnt by what they are, not by their place.

    A class comes whole or not at all. After Olsson et al., "ClassMix: Segmentation-Based Data Augmentation for
    Semi-Supervised Learning", WACV 2021.

    Args:
        pictures: (N, 3, h, w). labels: (N, h, w) int64.
    """
    there = labels[plan.others]
    moved = plan.moved.gather(1, there.flatten(1)).view_as(there)
    return torch.where(moved[:, None], pictures[plan.others], pictures), torch.where(moved, there, labels)
