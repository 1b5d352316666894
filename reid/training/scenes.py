"""Scenes for training: frames with label maps in memory, and plans of crops that never look the same twice.

A plan is small and drawn by NumPy; `scene_crops` carries it out, on whatever device the frames lie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from reid.datasets import CAMVID_CLASSES, read_camvid
from reid.errors import DatasetError
from reid.images import load_image, load_labels

MOST_PLACES = 256
"""Pixels of a class that crops of a frame may be laid around."""


@dataclass
class Scenes:
    """Frames in memory.

    Attributes:
        pictures: (N, H, W, 3) uint8 RGB.
        labels: (N, H, W) uint8, indices into `CAMVID_CLASSES`, `CAMVID_VOID` for none.
    """

    pictures: np.ndarray
    labels: np.ndarray
    _places: dict[int, list[np.ndarray]] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.pictures)

    def places(self, index: int) -> list[np.ndarray]:
        """Of every class that a frame shows, rows and columns (M, 2) of at most `MOST_PLACES` of its pixels."""
        if index not in self._places:
            labels = self.labels[index]
            found = (np.argwhere(labels == label) for label in range(len(CAMVID_CLASSES)))
            self._places[index] = [at[:: -(-len(at) // MOST_PLACES)].astype(np.int32) for at in found if len(at)]
        return self._places[index]


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
        mix: share of crops that get things of another crop of their batch, see `scene_crops.mix`.
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


THINGS = tuple(CAMVID_CLASSES.index(name) for name in ("pole", "sign", "fence", "car", "pedestrian", "bicyclist"))
"""What stands in a street; the rest is the street itself."""


class Plan(NamedTuple):
    """How a batch of crops is made of frames.

    Attributes:
        frames: (N,) int64.
        to_frame: (N, 2, 3), places in the crop to places in its frame, both from -1 to 1 (as `affine_grid` has it).
        colours: (N, 3, 4), from a pixel's red, green, blue and 1 (0..255) to its new colour.
        others: (N,) int64, the crop of this batch that things are taken from.
        moved: (N, classes + 1) bool, classes that come along.
        looked_at: (N,) int64, which pixel of each two by two losses look at.
        size: height and width of the crops.
    """

    frames: Tensor
    to_frame: Tensor
    colours: Tensor
    others: Tensor
    moved: Tensor
    looked_at: Tensor
    size: tuple[int, int]


def plan_crops(
    scenes: Scenes,
    frames: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    settings: SceneAugmentation,
    zoom: float = 1.0,
) -> Plan:
    """Draw scaled, mirrored, recoloured crops of frames, and what goes from one to the other.

    Args:
        frames: indices (N,) into the scenes.
        size: height and width of a crop.
        zoom: magnification on top of the one drawn.
    """
    count = len(frames)
    moved = np.zeros((count, len(CAMVID_CLASSES) + 1), bool)
    moved[:, THINGS] = rng.random((count, len(THINGS))) < 0.5
    moved &= rng.random((count, 1)) < settings.mix
    return Plan(
        torch.from_numpy(np.asarray(frames, np.int64)),
        torch.from_numpy(np.stack([_lay(scenes, int(i), size, rng, settings, zoom) for i in frames])),
        torch.from_numpy(_recolour(count, rng, settings)),
        torch.from_numpy(rng.integers(count, size=count)),
        torch.from_numpy(moved),
        torch.from_numpy(rng.integers(4, size=count)),
        size,
    )


def _lay(
    scenes: Scenes,
    frame: int,
    size: tuple[int, int],
    rng: np.random.Generator,
    settings: SceneAugmentation,
    zoom: float,
) -> np.ndarray:
    scale = zoom * math.exp(rng.uniform(*np.log(settings.scale)))
    sought = None
    if rng.random() < settings.seek and (places := scenes.places(frame)):
        of_class = places[rng.integers(len(places))]
        sought = of_class[rng.integers(len(of_class))] + 0.5
    extent = scenes.labels.shape[1:]
    middle = []
    for axis in (0, 1):
        # What the crop covers stays inside the frame, or the frame inside the crop.
        half = size[axis] / scale / 2
        low, high = sorted((half, extent[axis] - half))
        middle.append(rng.uniform(low, high) if sought is None else float(np.clip(sought[axis], low, high)))
    turn = -1 if rng.random() < settings.mirror else 1
    height, width = (side / (scale * whole) for side, whole in zip(size, extent, strict=True))
    return np.array(
        [[turn * width, 0, 2 * middle[1] / extent[1] - 1], [0, height, 2 * middle[0] / extent[0] - 1]], np.float32
    )


LUMA = np.array([0.299, 0.587, 0.114])


def _recolour(count: int, rng: np.random.Generator, settings: SceneAugmentation) -> np.ndarray:
    """(N, 3, 4): brightness, contrast around the middle, each channel's gain and the saturation changed at random."""
    saturation = 1 + settings.saturation * rng.uniform(-1, 1, (count, 1, 1))
    contrast, brightness = 1 + settings.light * rng.uniform(-1, 1, (2, count, 1))
    gains = contrast * brightness * (1 + settings.tint * rng.uniform(-1, 1, (count, 3)))
    mixed = saturation * np.eye(3) + (1 - saturation) * LUMA
    shift = (128 * (1 - contrast)).repeat(3, 1)
    return np.concatenate([gains[:, :, None] * mixed, shift[:, :, None]], 2).astype(np.float32)
