"""A drawn scene with corners, edges and texture, for what looks for keypoints."""

import cv2
import numpy as np


def scene(seed: int = 0, height: int = 240, width: int = 320) -> np.ndarray:
    """Discs, boxes and words of many sizes: RGB uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(120):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        size = int(rng.integers(4, 40))
        kind = rng.integers(3)
        if kind == 0:
            cv2.circle(picture, (x, y), size // 2, colour, -1)
        elif kind == 1:
            cv2.rectangle(picture, (x, y), (x + size, y + int(rng.integers(4, 40))), colour, -1)
        else:
            cv2.putText(
                picture, chr(65 + int(rng.integers(26))), (x, y), cv2.FONT_HERSHEY_SIMPLEX, size / 20, colour, 2
            )
    return cv2.GaussianBlur(picture, (0, 0), 0.7)
