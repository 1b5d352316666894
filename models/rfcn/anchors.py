"""Anchors: the boxes that every place of a pyramid proposes before it has seen anything.

Ren et al., "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks", NeurIPS 2015.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def anchor_shapes(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """(len(sizes) * len(ratios), 4) XYXY around the origin: sqrt of the area from `sizes`, height / width `ratios`."""
    size = torch.tensor(sizes).repeat_interleave(len(ratios))
    ratio = torch.tensor(ratios).repeat(len(sizes))
    w, h = size / ratio.sqrt(), size * ratio.sqrt()
    return torch.stack([-w, -h, w, h], 1) / 2


def grid_anchors(
    shapes: Sequence[tuple[int, int]],
    strides: Sequence[int],
    sizes: Sequence[Sequence[float]],
    ratios: Sequence[float],
) -> Tensor:
    """All anchors of a pyramid.

    Args:
        shapes: (h, w) of each map.
        strides: pixels a cell of each map.
        sizes: for each map, the square roots of its anchors' areas in pixels.
        ratios: height / width, the same everywhere.

    Returns:
        (A, 4) XYXY in pixels, map by map, row by row, the anchors of a place together, centred on its cell.
    """
    anchors = []
    for (h, w), stride, size in zip(shapes, strides, sizes, strict=True):
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        centres = (torch.stack([x, y, x, y], -1).view(-1, 1, 4) + 0.5) * stride
        anchors.append((centres + anchor_shapes(size, ratios)).view(-1, 4))
    return torch.cat(anchors)
