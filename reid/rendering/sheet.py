"""Contact sheets: rows of pictures, plain or with their truth drawn over them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from reid.errors import PartwiseError
from reid.rendering.truth import BONES, Truth, iter_truth

PALETTE = np.array(
    [
        [0, 0, 0], [214, 39, 40], [255, 187, 120], [255, 255, 110], [31, 119, 180], [44, 60, 150], [44, 190, 160],
        [152, 223, 138], [227, 80, 200], [150, 90, 40], [240, 240, 240],
    ],
    np.uint8,
)  # fmt: skip
"""A colour for each of `truth.LABELS`."""


def overlay(picture: np.ndarray, truth: Truth, scale: int = 2) -> np.ndarray:
    """The picture enlarged, its parts tinted, over it the skeleton and the joints: green visible, red hidden."""
    tinted = np.where(truth.mask[..., None] > 0, picture * 0.45 + PALETTE[truth.mask] * 0.55, picture * 0.8)
    canvas = cv2.resize(tinted.astype(np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    points = [(round(float(x) * scale), round(float(y) * scale)) for x, y in truth.joints]
    for a, b in BONES:
        cv2.line(canvas, points[a], points[b], (255, 255, 255), 1, cv2.LINE_AA)
    for point, visible in zip(points, truth.visible, strict=True):
        cv2.circle(canvas, point, 3, (40, 220, 60) if visible else (225, 50, 40), -1, cv2.LINE_AA)
    return canvas


def grid(pictures: Sequence[np.ndarray], columns: int, gap: int = 3) -> np.ndarray:
    """Pictures of one size in rows, white between."""
    padded = [np.pad(p, ((gap, 0), (gap, 0), (0, 0)), constant_values=255) for p in pictures]
    padded += [np.full_like(padded[0], 255)] * (-len(padded) % columns)
    return np.vstack([np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)])


def read_rgb(path: Path) -> np.ndarray:
    """A picture that was rendered: (H, W, 3) uint8."""
    picture = cv2.imread(str(path))
    if picture is None:
        raise PartwiseError(f"{path} cannot be read; render the set again.")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def people_sheet(folder: Path, identities: Sequence[int], views: int, truth: bool = False) -> np.ndarray:
    """A row for each identity of a rendered set: (H, W, 3) uint8 RGB."""
    chosen = [t for t in iter_truth(folder) if t.identity in set(identities) and t.view < views]
    chosen.sort(key=lambda t: (list(identities).index(t.identity), t.view))
    if not chosen:
        raise PartwiseError(f"{folder} has none of the identities {list(identities)}.")
    pictures = [read_rgb(folder / t.name) for t in chosen]
    if truth:
        pictures = [overlay(p, t) for p, t in zip(pictures, chosen, strict=True)]
    return grid(pictures, views)
