"""Whole frames on their way into a network and their boxes on the way out: one scale, and back again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from reid.backends.tensors import to_tensor

if TYPE_CHECKING:
    from torch import Tensor

AREA = 768 * 576
"""Pixels that frames are brought to: enough for people 20 pixels wide, few enough for two cores."""

LARGEST_ZOOM = 2.0
"""Beyond this, enlarging shows a network nothing that it could not see before."""

STEP = 32
"""Sides of what goes into a network are multiples of this."""


def frame_scale(height: int, width: int, area: int = AREA) -> float:
    """The factor that brings a frame of these pixels to `area`, bounded by `LARGEST_ZOOM`."""
    return min(math.sqrt(area / (height * width)), LARGEST_ZOOM)


def frame_tensor(frame: np.ndarray, area: int = AREA) -> tuple[Tensor, np.ndarray]:
    """A frame as network input, and how to take boxes back.

    Args:
        frame: (H, W, 3) uint8 RGB.
        area: pixels to bring it to.

    Returns:
        (1, 3, h, w) float32, normalised, padded at the right and below with the mean colour to multiples of `STEP`;
        and (4,) float32, the factors by which XYXY boxes in the input become boxes in the frame.
    """
    height, width = frame.shape[:2]
    scale = frame_scale(height, width, area)
    h, w = max(round(height * scale), 1), max(round(width * scale), 1)
    x = to_tensor([frame], (h, w))
    import torch.nn.functional as F

    x = F.pad(x, (0, -w % STEP, 0, -h % STEP))
    return x, np.array([width / w, height / h] * 2, np.float32)


def cut(
    picture: np.ndarray,
    box: np.ndarray,
    size: tuple[int, int],
    *,
    context: float = 0.0,
    fill: tuple[int, int, int] | None = None,
) -> np.ndarray:
    """A box of a picture, warped to a size.

    Args:
        picture: (H, W, 3) uint8. box: XYXY in pixels; may lie partly outside.
        size: (height, width) of what comes back.
        context: share of the box's sides that is added on every side.
        fill: the colour of what lies outside; by default the border is repeated.
    """
    h, w = size
    x0, y0, x1, y1 = (float(v) for v in box)
    bw, bh = max(x1 - x0, 1.0), max(y1 - y0, 1.0)
    x0, y0, bw, bh = x0 - context * bw, y0 - context * bh, bw * (1 + 2 * context), bh * (1 + 2 * context)
    # Shrink to about the size first: a warp reads single pixels and would see noise.
    left, top = max(math.floor(x0), 0), max(math.floor(y0), 0)
    right = min(math.ceil(x0 + bw), picture.shape[1])
    bottom = min(math.ceil(y0 + bh), picture.shape[0])
    if right <= left or bottom <= top:
        return np.full((h, w, 3), fill or 0, np.uint8)
    inside = picture[top:bottom, left:right]
    fx, fy = min(w / bw, 1.0), min(h / bh, 1.0)
    if fx < 1 or fy < 1:
        small = max(round(inside.shape[1] * fx), 1), max(round(inside.shape[0] * fy), 1)
        fx, fy = small[0] / inside.shape[1], small[1] / inside.shape[0]
        inside = cv2.resize(inside, small, interpolation=cv2.INTER_AREA)
    sx, sy = w / (bw * fx), h / (bh * fy)
    # Pixel centres lie at halves: hence the shifts by one half.
    matrix = np.array(
        [[sx, 0, ((left - x0) * fx + 0.5) * sx - 0.5], [0, sy, ((top - y0) * fy + 0.5) * sy - 0.5]], np.float64
    )
    border = cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT
    return cv2.warpAffine(inside, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=fill or 0)
