"""Keypoints: found and described at a working size, returned in the caller's pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Keypoints:
    """What was found in one picture.

    Attributes:
        xy: (N, 2) float32, pixels of the caller's picture.
        descriptors: (N, d) float32, or (N, d / 8) uint8 for binary descriptors of d bits.
        size: (width, height) of the caller's picture.
    """

    xy: np.ndarray
    descriptors: np.ndarray
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.xy)


@dataclass(frozen=True)
class Matches:
    """Keypoint pairs that agree on one geometry; row i of both arrays is the same point of the scene.

    Attributes:
        query_xy: (M, 2) float32, pixels of the query.
        item_xy: (M, 2) float32, pixels of the item.
    """

    query_xy: np.ndarray
    item_xy: np.ndarray

    @property
    def inliers(self) -> int:
        return len(self.query_xy)


# Takes a grey uint8 picture and by how much it was scaled, and gives positions (N, 2) and descriptors (N, d).
Describe = Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class WorkingSize:
    """The size keypoints are sought at: the picture's own, doubled or halved until it suits.

    Small pictures hold hardly a keypoint (ORB finds two on a 64x128 crop), and large ones cost time without telling
    more. Only powers of two are used: detectors sample scale in octaves, so that these map one pyramid onto the other
    and a picture still finds its crop, which other factors spoil.

    Attributes:
        short_side: smaller pictures are doubled until their short side has at least this many pixels.
        max_pixels: the limit on the area, which wins over `short_side`.
    """

    short_side: int
    max_pixels: int

    def factor(self, height: int, width: int) -> float:
        """By how much a picture of that size is scaled."""
        factor = 1.0
        while height * width * factor**2 > self.max_pixels:
            factor /= 2
        while min(height, width) * factor < self.short_side and height * width * (2 * factor) ** 2 <= self.max_pixels:
            factor *= 2
        return factor


def extract(picture: np.ndarray, size: WorkingSize, describe: Describe) -> Keypoints:
    """Find and describe the keypoints of an RGB uint8 picture (H, W, 3); none is a valid answer."""
    height, width = picture.shape[:2]
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    factor = size.factor(height, width)
    if factor != 1:
        target = max(1, round(width * factor)), max(1, round(height * factor))
        grey = cv2.resize(grey, target, interpolation=cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA)
    xy, descriptors = describe(grey, factor)
    # Pixel centres, not corners, fall on each other when a picture is scaled.
    scale = np.array([width / grey.shape[1], height / grey.shape[0]], np.float32)
    xy = (np.asarray(xy, np.float32).reshape(-1, 2) + 0.5) * scale - 0.5
    return Keypoints(xy, descriptors, (width, height))
