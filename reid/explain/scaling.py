"""Drawings stand at one height, whatever the pictures' own: lines stay crisp on crops of 64x128 and on photos."""

from __future__ import annotations

import cv2
import numpy as np


def to_height(picture: np.ndarray, height: int) -> np.ndarray:
    """An RGB uint8 picture (H, W, 3) brought to a height, its shape kept."""
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    shrinks = picture.shape[0] > height
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def to_pixels(xy: np.ndarray, picture: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Pixel centres of `picture` (M, 2) as whole pixels of `drawn`, the same picture at another size."""
    scale = np.array([drawn.shape[1] / picture.shape[1], drawn.shape[0] / picture.shape[0]])
    return np.rint((xy + 0.5) * scale - 0.5).astype(int)
