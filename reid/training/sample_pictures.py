"""Pictures whose terms allow to ship what is learnt from them: a few open photos and drawn scenes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from reid.errors import DatasetError
from reid.images import load_image

# Package, folder in it, and the photos without people that are in the public domain, CC0 or (the last two) CC BY 2.0.
PHOTOS: tuple[tuple[str, str, str], ...] = (
    ("skimage", "data", "brick.png chelsea.png clock_motion.png coffee.png coins.png grass.png gravel.png"),
    ("skimage", "data", "hubble_deep_field.jpg rocket.jpg"),
    ("sklearn", "datasets/images", "china.jpg flower.jpg"),
)


def sample_photos() -> Iterator[np.ndarray]:
    """The open photos that the scikit-image and scikit-learn wheels carry, RGB uint8.

    Raises:
        DatasetError: one of those packages is not installed.
    """
    for package, folder, names in PHOTOS:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise DatasetError(
                f"The sample photos come with {package}, which is not installed: pip install scikit-image scikit-learn."
            )
        for name in names.split():
            yield load_image(Path(spec.origin).parent / folder / name)


def dead_leaves(rng: np.random.Generator, height: int = 384, width: int = 384, leaves: int = 700) -> np.ndarray:
    """Draw one scene of shapes that hide each other: an RGB uint8 picture (height, width, 3).

    Sizes follow an inverse cubic law, which gives the edges and scales of natural pictures: Lee, Mumford and Huang,
    "Occlusion Models for Natural Images", IJCV 2001. Each leaf has its own texture and shading.
    """
    picture = np.full((height, width, 3), rng.uniform(0, 255, 3), np.float32)
    smallest, largest = 5.0, 0.35 * min(height, width)
    v, u = np.mgrid[:height, :width].astype(np.float32)
    for _ in range(leaves):
        # Inverse transform of a density ~ r^-3 between the two limits.
        radius = (smallest**-2 - rng.uniform() * (smallest**-2 - largest**-2)) ** -0.5
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        x0, x1 = max(0, int(x - 2 * radius)), min(width, int(x + 2 * radius) + 2)
        y0, y1 = max(0, int(y - 2 * radius)), min(height, int(y + 2 * radius) + 2)
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(
            mask, [_outline(rng, radius) + np.array([x - x0, y - y0]).astype(np.int32)], 1, lineType=cv2.LINE_8
        )
        du, dv = u[y0:y1, x0:x1] - x, v[y0:y1, x0:x1] - y
        leaf = _texture(rng, du, dv, radius)
        picture[y0:y1, x0:x1] = np.where(mask[..., None] > 0, leaf, picture[y0:y1, x0:x1])
    # A camera's blur and noise: without them every edge is a step no photo has.
    blurred = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.2))
    return np.clip(blurred + rng.normal(0, rng.uniform(1, 5), picture.shape), 0, 255).astype(np.uint8)


def sample_pictures(drawn: int = 100, seed: int = 0) -> Iterator[np.ndarray]:
    """The open photos, whole and at half size, then `drawn` scenes of dead leaves: RGB uint8."""
    for photo in sample_photos():
        yield photo
        yield cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(seed)
    for _ in range(drawn):
        yield dead_leaves(rng)


def _outline(rng: np.random.Generator, radius: float) -> np.ndarray:
    """An ellipse, a polygon of three to seven corners, or a bar, turned at random: (N, 2) int32 around the origin."""
    kind = rng.integers(3)
    if kind == 0:
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        points = np.stack([np.cos(angles), rng.uniform(0.4, 1) * np.sin(angles)], 1)
    elif kind == 1:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        points = np.stack([np.cos(angles), np.sin(angles)], 1)
    else:
        half = rng.uniform(0.1, 0.6)
        points = np.array([[-1, -half], [1, -half], [1, half], [-1, half]])
    turn = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.rint(radius * points @ rotation).astype(np.int32)


def _texture(rng: np.random.Generator, du: np.ndarray, dv: np.ndarray, radius: float) -> np.ndarray:
    """Plain, striped, chequered or mottled, shaded from one side to the other: (h, w, 3) float32 for offsets (h, w)."""
    colour = rng.uniform(0, 255, 3)
    turn = rng.uniform(0, 2 * np.pi)
    along, across = du * np.cos(turn) + dv * np.sin(turn), dv * np.cos(turn) - du * np.sin(turn)
    shade = rng.uniform(-60, 60) * along / radius
    period = rng.uniform(0.1, 1) * radius + 2
    contrast = rng.uniform(10, 70)
    kind = rng.integers(4)
    if kind == 1:
        shade = shade + contrast * np.sign(np.sin(2 * np.pi * along / period))
    elif kind == 2:
        shade = shade + contrast * np.sign(np.sin(2 * np.pi * along / period) * np.sin(2 * np.pi * across / period))
    elif kind == 3:
        noise = cv2.GaussianBlur(rng.normal(size=du.shape), (0, 0), max(0.6, period / 6))
        shade = shade + contrast * noise / max(float(noise.std()), 1e-6)
    return (colour + shade[..., None]).astype(np.float32)
