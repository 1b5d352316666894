"""Draw the sample gallery: eleven free photographs that come with scikit-image, each seen by six imagined cameras.

    python gallery/photos/make.py        (needs scikit-image; the same pictures every time)

Every photograph is an identity; every camera crops, turns, darkens or blurs in its own way. Five cameras make the
gallery, the sixth asks.
"""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from skimage import data, util

HERE = Path(__file__).parent
SIDE = 320

# file in scikit-image: (identity, words)
PHOTOGRAPHS = {
    "chelsea": "cat, tabby fur, green eyes",
    "coffee": "coffee cup, saucer, spoon, wooden table",
    "rocket": "rocket, launch, smoke, night",
    "coins": "coins, ancient Greek, rows on grey",
    "hubble_deep_field": "galaxies, stars, space",
    "clock": "wall clock, motion blur",
    "brick": "brick wall",
    "grass": "grass",
    "gravel": "gravel, stones",
    "cell": "cell, hologram",
    "horse": "horse, silhouette",
}


def warp(picture: np.ndarray, corners: list[tuple[float, float]]) -> np.ndarray:
    """The part of the picture between four corners (top left, then clockwise, as fractions), as a full picture."""
    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    out_w, out_h = round(width * scale), round(height * scale)
    source = np.float32([(x * width, y * height) for x, y in corners])
    target = np.float32([(0, 0), (out_w, 0), (out_w, out_h), (0, out_h)])
    matrix = cv2.getPerspectiveTransform(source, target)
    small = cv2.GaussianBlur(picture, (0, 0), 0.4 / scale) if scale < 1 else picture
    return cv2.warpPerspective(small, matrix, (out_w, out_h), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)


def light(picture: np.ndarray, gain: tuple[float, float, float], gamma: float = 1.0) -> np.ndarray:
    """Other light: a gamma and one gain a colour channel (red, green, blue)."""
    return np.clip((picture / 255.0) ** gamma * np.array(gain) * 255.0, 0, 255).astype(np.uint8)


CAMERAS = {
    "c1": lambda p: warp(p, [(0, 0), (1, 0), (1, 1), (0, 1)]),
    "c2": lambda p: warp(p, [(0.0, 0.06), (0.74, 0.06), (0.74, 0.86), (0.0, 0.86)]),
    "c3": lambda p: light(warp(p, [(0.22, 0.1), (1, 0.1), (1, 0.95), (0.22, 0.95)]), (1.06, 1.0, 0.88), 0.85),
    "c4": lambda p: warp(p, [(0.17, 0.02), (0.98, 0.19), (0.83, 0.98), (0.02, 0.81)]),
    "c5": lambda p: light(
        cv2.GaussianBlur(warp(p, [(0.05, 0), (0.95, 0.04), (1, 1), (0, 0.96)]), (0, 0), 0.9), (0.56, 0.6, 0.74)
    ),
    "c6": lambda p: light(warp(p, [(0.08, 0.12), (0.86, 0.05), (0.93, 0.9), (0.13, 0.94)]), (0.95, 1.0, 1.04), 0.92),
}
QUERY_CAMERA = "c6"


def main() -> None:
    rows = []
    for number, (name, words) in enumerate(PHOTOGRAPHS.items(), start=1):
        picture = util.img_as_ubyte(getattr(data, name)())
        if picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, axis=2)
        for camera, view in CAMERAS.items():
            file = f"{number:04d}_{camera}.jpg"
            cv2.imwrite(
                str(HERE / file), cv2.cvtColor(view(picture), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80]
            )
            split = "query" if camera == QUERY_CAMERA else "gallery"
            rows.append({"name": file, "identity": f"{number:04d}", "camera": camera, "split": split, "words": words})
    with (HERE / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
