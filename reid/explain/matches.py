"""Two pictures side by side, joined where their keypoints agree on one geometry."""

from __future__ import annotations

import cv2
import numpy as np

from reid.backends.keypoints import Matches
from reid.explain.scaling import to_height, to_pixels

HEIGHT = 480
GAP = 12
# More lines hide the pictures without telling more.
MAX_LINES = 100


def draw_matches(
    query: np.ndarray, item: np.ndarray, matches: Matches, *, height: int = HEIGHT, max_lines: int = MAX_LINES
) -> np.ndarray:
    """Draw the query on the left, the item on the right, and a line for each inlier.

    Args:
        query, item: RGB uint8 pictures (H, W, 3).
        matches: in the pixels of these pictures.
        height: that both are brought to.
        max_lines: draw no more than so many, evenly chosen.

    Returns:
        (height, W, 3) uint8 RGB.
    """
    left, right = to_height(query, height), to_height(item, height)
    gap = np.full((height, GAP, 3), 255, np.uint8)
    canvas = np.ascontiguousarray(np.hstack([left, gap, right]))
    shown = np.linspace(0, matches.inliers - 1, min(matches.inliers, max_lines)).astype(int)
    starts = to_pixels(matches.query_xy[shown], query, left)
    ends = to_pixels(matches.item_xy[shown], item, right) + np.array([left.shape[1] + GAP, 0])
    for start, end, colour in zip(starts, ends, _colours(starts, height), strict=True):
        cv2.line(canvas, start, end, colour, 1, cv2.LINE_AA)
        cv2.circle(canvas, start, 3, colour, 1, cv2.LINE_AA)
        cv2.circle(canvas, end, 3, colour, 1, cv2.LINE_AA)
    return canvas


def _colours(starts: np.ndarray, height: int) -> list[tuple[int, int, int]]:
    """A hue by height in the query: lines that should run together are seen to, and one that crosses stands out."""
    hues = np.clip(starts[:, 1] / height * 170, 0, 179).astype(np.uint8)
    hsv = np.stack([hues, np.full_like(hues, 220), np.full_like(hues, 255)], 1)[None]
    if not len(hues):
        return []
    return [(int(r), int(g), int(b)) for r, g, b in cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0]]
