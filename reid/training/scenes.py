"""Scenes for training: frames with label maps in memory, and crops of them that never look the same twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from reid.datasets import CAMVID_CLASSES, CAMVID_VOID, read_camvid
from reid.errors import DatasetError
from reid.images import load_image, load_labels


@dataclass
class Scenes:
    """Frames in memory.

    Attributes:
        pictures: (N, H, W, 3) uint8 RGB.
        labels: (N, H, W) uint8, indices into `CAMVID_CLASSES`, `CAMVID_VOID` for none.
    """

    pictures: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)


def camvid(root: Path, splits: Sequence[str], size: tuple[int, int]) -> Scenes:
    """The frames of CamVid's splits, at `size` (height, width)."""
    return read_scenes([(frame.path, frame.labels) for split in splits for frame in read_camvid(root, split)], size)


def streets(root: Path, size: tuple[int, int]) -> Scenes:
    """Rendered streets, at `size` (height, width).

    Raises:
        DatasetError: the folder holds none.
    """
    pairs = [(path, root / "truth" / "labels" / f"{path.stem}.png") for path in sorted(root.glob("*.jpg"))]
    pairs = [pair for pair in pairs if pair[1].is_file()]
    if not pairs:
        raise DatasetError(f"{root} holds no rendered streets; make some: python -m reid render --streets N --out DIR.")
    return read_scenes(pairs, size)


def read_scenes(pairs: Sequence[tuple[Path, Path]], size: tuple[int, int]) -> Scenes:
    """Read frames and their label maps, scaled to cover `size` (height, width) and cut to its middle.

    Raises:
        DatasetError: a label map does not fit its frame.
        ImageError: a file cannot be read.
    """
    pictures = np.empty((len(pairs), *size, 3), np.uint8)
    labels = np.empty((len(pairs), *size), np.uint8)

    def read(i: int) -> None:
        picture, truth = load_image(pairs[i][0]), load_labels(pairs[i][1])
        if picture.shape[:2] != truth.shape:
            raise DatasetError(f"{pairs[i][1]} is {truth.shape}, but its frame is {picture.shape[:2]}.")
        scale = max(size[0] / truth.shape[0], size[1] / truth.shape[1])
        covering = (max(size[1], round(truth.shape[1] * scale)), max(size[0], round(truth.shape[0] * scale)))
        top, left = (covering[1] - size[0]) // 2, (covering[0] - size[1]) // 2
        cut = np.s_[top : top + size[0], left : left + size[1]]
        smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        pictures[i] = cv2.resize(picture, covering, interpolation=smooth)[cut]
        labels[i] = cv2.resize(truth, covering, interpolation=cv2.INTER_NEAREST_EXACT)[cut]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(read, range(len(pairs))))
    return Scenes(pictures, labels)


def join(several: Sequence[Scenes]) -> Scenes:
    """Frames of several sources as one."""
    return Scenes(np.concatenate([s.pictures for s in several]), np.concatenate([s.labels for s in several]))


@dataclass(frozen=True)
class SceneAugmentation:
    """How far crops stray.

    Attributes:
        scale: smallest and largest magnification, drawn evenly in its logarithm.
        mirror: share of mirrored crops.
        seek: share of crops laid around a pixel of a class drawn at random, so that rare classes come up.
        mix: share of crops that get things of another crop of their batch, see `mix_things`.
        light, tint, saturation: largest change of brightness and contrast, of a channel's gain, and of the saturation.
    """

    scale: tuple[float, float] = (0.65, 2.0)
    mirror: float = 0.5
    seek: float = 0.5
    mix: float = 0.5
    light: float = 0.35
    tint: float = 0.08
    saturation: float = 0.4


SETTLED = SceneAugmentation(scale=(1.0, 1.6), seek=0.3, mix=0.3)
"""For the last epochs of a run: crops of nearly whole frames, at the size at which frames are parsed. Training and use
then show things alike in size and the whole picture its whole; see Touvron et al., "Fixing the train-test resolution
discrepancy", NeurIPS 2019."""


def crop_scene(
    picture: np.ndarray,
    labels: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    settings: SceneAugmentation,
    zoom: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """A scaled, mirrored, recoloured crop of a frame.

    Args:
        picture: (H, W, 3) uint8. labels: (H, W) uint8.
        size: height and width of the crop.
        zoom: magnification on top of the one drawn.

    Returns:
        (h, w, 3) uint8 and (h, w) uint8; beyond the frame lies mid grey, labelled void.
    """
    scale = zoom * math.exp(rng.uniform(*np.log(settings.scale)))
    sought = _pixel_of_a_class(labels, rng) if rng.random() < settings.seek else None
    middle = []
    for axis in (0, 1):
        # What the crop covers stays inside the frame, or the frame inside the crop.
        half, length = size[axis] / scale / 2, labels.shape[axis]
        low, high = sorted((half, length - half))
        middle.append(rng.uniform(low, high) if sought is None else float(np.clip(sought[axis], low, high)))
    turn = -1 if rng.random() < settings.mirror else 1
    to_frame = np.array(
        [
            [turn / scale, 0, middle[1] - 0.5 + turn * (0.5 - size[1] / 2) / scale],
            [0, 1 / scale, middle[0] - 0.5 + (0.5 - size[0] / 2) / scale],
        ]
    )
    extent = size[::-1]
    cropped = cv2.warpAffine(
        picture, to_frame, extent, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=(124, 116, 104)
    )
    truth = cv2.warpAffine(
        labels, to_frame, extent, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderValue=(CAMVID_VOID,)
    )
    return recolour(cropped, rng, settings), truth


THINGS = tuple(CAMVID_CLASSES.index(name) for name in ("pole", "sign", "fence", "car", "pedestrian", "bicyclist"))
"""What stands in a street; the rest is the street itself."""


def mix_things(
    crops: Sequence[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator, share: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Put things of one crop, where they stood, into another: they are learnt by what they are, not by their place.

    Every class of `THINGS` that the other crop shows comes along in half of the cases. After Olsson et al., "ClassMix:
    Segmentation-Based Data Augmentation for Semi-Supervised Learning", WACV 2021.

    Args:
        crops: pictures (h, w, 3) uint8 and label maps (h, w) uint8; left as they are.
        share: of the crops that get something.
    """
    mixed = []
    for picture, labels in crops:
        if rng.random() < share:
            other, there = crops[int(rng.integers(len(crops)))]
            chosen = [label for label in THINGS if rng.random() < 0.5]
            moved = np.isin(there, chosen)
            picture = np.where(moved[..., None], other, picture)
            labels = np.where(moved, there, labels)
        mixed.append((picture, labels))
    return mixed


def recolour(picture: np.ndarray, rng: np.random.Generator, settings: SceneAugmentation) -> np.ndarray:
    """Brightness, contrast, each channel's gain and the saturation changed at random."""
    mixed = 1 + settings.saturation * rng.uniform(-1, 1)
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    picture = cv2.addWeighted(picture, mixed, grey, 1 - mixed, 0)
    contrast, brightness = 1 + settings.light * rng.uniform(-1, 1), 1 + settings.light * rng.uniform(-1, 1)
    gains = brightness * (1 + settings.tint * rng.uniform(-1, 1, 3))
    values = np.arange(256)[:, None] * gains
    table = (values - 128) * contrast + 128
    return cv2.LUT(picture, np.clip(np.rint(table), 0, 255).astype(np.uint8)[None])


def _pixel_of_a_class(labels: np.ndarray, rng: np.random.Generator) -> tuple[float, float] | None:
    """Row and column of a random pixel of a random class that occurs; None where none does."""
    counts = np.bincount(labels.ravel(), minlength=CAMVID_VOID + 1)[: len(CAMVID_CLASSES)]
    present = np.flatnonzero(counts)
    if not len(present):
        return None
    places = np.flatnonzero(labels == rng.choice(present))
    row, column = np.unravel_index(rng.choice(places), labels.shape)
    return float(row) + 0.5, float(column) + 0.5
