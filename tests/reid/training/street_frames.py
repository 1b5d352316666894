"""Tiny annotated frames: dark people and bright cars on a grey street."""

from pathlib import Path

import cv2
import numpy as np

from reid.datasets.coco import AnnotatedFrame


def street_frames(folder: Path, count: int, seed: int = 0) -> list[AnnotatedFrame]:
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(count):
        picture = rng.integers(100, 130, (96, 128, 3), dtype=np.uint8)
        rows = []
        # The person on the left, the car on the right.
        for label, left, (w, h), colour in (
            ("person", 4, (12, 32), (20, 20, 160)),
            ("car", 66, (40, 20), (240, 240, 60)),
        ):
            x, y = left + int(rng.integers(58 - w)), int(rng.integers(4, 92 - h))
            picture[y : y + h, x : x + w] = colour
            rows.append(([x, y, x + w, y + h], label, False))
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), picture[..., ::-1])
        frames.append(AnnotatedFrame.made(path, path.name, rows))
    return frames
