"""Boxes as tensors: XYXY in pixels, and the four numbers by which one box is told from another.

The parametrisation is that of Girshick et al., "Rich Feature Hierarchies for Accurate Object Detection and Semantic
Segmentation" (R-CNN), CVPR 2014: shifts in units of the reference's sides, sizes as logarithms of a ratio.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CLASSES = ("background", "person", "car", "bicycle")
"""What the region networks tell apart; their class indices count from here."""

# What a fresh network says is nought; these bring what it has to learn to about one.
SCALE = (0.1, 0.1, 0.2, 0.2)

_LARGEST = math.log(1000 / 16)


def encode(boxes: Tensor, references: Tensor) -> Tensor:
    """What leads from `references` (N, 4) to `boxes` (N, 4), both XYXY: (N, 4) as dx, dy, log dw, log dh, scaled."""
    x, y, w, h = _centres(boxes)
    rx, ry, rw, rh = _centres(references)
    deltas = torch.stack([(x - rx) / rw, (y - ry) / rh, torch.log(w / rw), torch.log(h / rh)], -1)
    return deltas / deltas.new_tensor(SCALE)


def decode(deltas: Tensor, references: Tensor) -> Tensor:
    """The boxes (..., 4) that `encode` would turn into these deltas (..., 4); growth is bounded to 62.5 times."""
    rx, ry, rw, rh = _centres(references)
    dx, dy, dw, dh = (deltas * deltas.new_tensor(SCALE)).unbind(-1)
    x, y = rx + dx * rw, ry + dy * rh
    w, h = rw * torch.exp(dw.clamp(max=_LARGEST)), rh * torch.exp(dh.clamp(max=_LARGEST))
    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)


def clip(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes (..., 4) cut at the borders of a picture of (height, width)."""
    height, width = size
    return torch.stack([boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)], -1).flatten(-2)


def _centres(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x0, y0, x1, y1 = boxes.unbind(-1)
    # A box without extent has no logarithm.
    w, h = (x1 - x0).clamp(min=1e-3), (y1 - y0).clamp(min=1e-3)
    return (x0 + x1) / 2, (y0 + y1) / 2, w, h
