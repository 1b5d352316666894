"""Colours by their names: the eleven basic ones of Berlin and Kay, "Basic Color Terms", 1969.

The borders are drawn by hand, where people who described the clothes of Market-1501's training identities (Lin et al.,
"Improving Person Re-identification by Attribute and Identity Learning", Pattern Recognition 2019) drew theirs.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

NAMES = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")

# Fewer pixels than this say nothing of a colour.
MIN_PIXELS = 12

# The brighter a grey, the more chroma a cast of light gives it; and cameras' casts are purple more often than not.
_GREY_CHROMA, _GREY_CHROMA_LIGHT, _GREY_CHROMA_PURPLE = 5.0, 0.05, 11.0
_BLACK, _WHITE = 24.0, 55.0


def median_colour(picture: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """The middle colour of a region: (3,) float32 CIELAB, or None where it has fewer than `MIN_PIXELS` pixels.

    The median of each of lightness, red-green and yellow-blue: prints, folds, highlights and a mask that takes in some
    street move it little.

    Args:
        picture: RGB uint8 (H, W, 3).
        mask: (H, W) bool.
    """
    pixels = picture[mask]
    if len(pixels) < MIN_PIXELS:
        return None
    lab = cv2.cvtColor(pixels[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    return np.median(lab, axis=0).astype(np.float32)


def name_colour(lab: np.ndarray) -> str:
    """One of `NAMES` for a CIELAB colour (3,): L 0..100, a and b about -100..100."""
    lightness, a, b = (float(v) for v in lab)
    chroma, hue = math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360
    grey = _GREY_CHROMA + _GREY_CHROMA_LIGHT * lightness
    if chroma < grey or lightness < 10 or (285 <= hue < 340 and chroma < _GREY_CHROMA_PURPLE):
        return "black" if lightness < _BLACK else "white" if lightness > _WHITE else "grey"
    light = lightness > 50
    if hue < 25 or hue >= 340 or (hue < 48 and chroma >= 22):
        if not light or chroma >= 50:
            return "red"
        return "orange" if 40 <= hue < 48 else "pink"
    if hue < 48:
        return "brown" if lightness < 55 else "pink"
    if hue < 80:
        if lightness < 55 and chroma < 40:
            return "brown"
        return "orange" if chroma > 35 else "white" if chroma < 12 else "yellow"
    if hue < 112:
        if chroma < 14:
            return "white" if lightness > _WHITE else "grey"
        return "yellow" if lightness > 35 else "brown" if hue < 95 else "green"
    # CIELAB bends strong blues towards purple.
    return "green" if hue < 215 else "blue" if hue < 290 + 0.3 * min(chroma, 60) else "purple"
