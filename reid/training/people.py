"""People for training: pictures of several sources in memory, batches by identity, augmentation a batch at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reid.errors import DatasetError

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass
class People:
    """Pictures of people in memory.

    Attributes:
        pictures: (N, H, W, 3) uint8 RGB.
        identities: (N,) int64, 0..I-1 over all sources together.
        sources: (N,) int64, index of the source each picture came from.
        taught: (N, D) float32 embeddings of a teacher, L2-normalised; zero rows where there is none; None without one.
    """

    pictures: np.ndarray
    identities: np.ndarray
    sources: np.ndarray
    taught: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def n_identities(self) -> int:
        return int(self.identities.max()) + 1


def read_people(
    sources: Sequence[tuple[Sequence[Path], Sequence[str]]],
    size: tuple[int, int],
    taught: Sequence[dict[str, np.ndarray] | None] | None = None,
) -> People:
    """Read sources of (paths, identities) into memory at `size` (height, width).

    Args:
        sources: for each source its picture paths and an identity name for each; names are apart between sources.
        size: (height, width) pictures are brought to.
        taught: for each source a teacher's embedding by file name, or None.
    """
    height, width = size
    paths = [path for files, _ in sources for path in files]
    if not paths:
        raise DatasetError("There are no pictures to train on; check the folders given with --data.")
    keys = [(i, name) for i, (_, names) in enumerate(sources) for name in names]
    numbers = {key: n for n, key in enumerate(sorted(set(keys)))}

    def read(path: Path) -> np.ndarray:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise DatasetError(f"{path} cannot be decoded; remove it or fetch the data set again.")
        shrinks = picture.shape[0] > height
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    pictures = np.empty((len(paths), height, width, 3), np.uint8)
    with ThreadPoolExecutor(2) as pool:
        for i, picture in enumerate(pool.map(read, paths, chunksize=256)):
            pictures[i] = picture
    vectors = None
    if taught is not None and any(t is not None for t in taught):
        dim = next(len(next(iter(t.values()))) for t in taught if t)
        vectors = np.zeros((len(paths), dim), np.float32)
        for i, ((source, _), path) in enumerate(zip(keys, paths, strict=True)):
            by_name = taught[source]
            if by_name is not None:
                vectors[i] = by_name[path.name]
    return People(pictures, np.array([numbers[key] for key in keys]), np.array([source for source, _ in keys]), vectors)


def identity_batches(
    identities: np.ndarray, people: int, views: int, rng: np.random.Generator, steps: int
) -> Iterator[np.ndarray]:
    """`steps` batches of indices: `people` identities with `views` pictures each, every identity equally often."""
    order = np.argsort(identities, kind="stable")
    bounds = np.flatnonzero(np.diff(identities[order])) + 1
    by_identity = np.split(order, bounds)
    queue: list[int] = []
    for _ in range(steps):
        chosen: list[np.ndarray] = []
        while len(chosen) < people:
            if not queue:
                # Identities with more pictures come more often, but far less than in proportion.
                repeats = [max(1, round(math.sqrt(len(members) / views))) for members in by_identity]
                queue = rng.permutation(np.repeat(np.arange(len(by_identity)), repeats)).tolist()
            members = by_identity[queue.pop()]
            chosen.append(rng.choice(members, views, replace=len(members) < views))
        yield np.concatenate(chosen)


@dataclass(frozen=True)
class Augmentation:
    """Strengths; probabilities are a picture's."""

    shift: float = 0.06
    scale: float = 0.12
    turn: float = 5.0
    colour: float = 0.25
    grey: float = 0.03
    soft: float = 0.15
    erase: float = 0.4
    paste: float = 0.2


def augment(pictures: np.ndarray, rng: np.random.Generator, strength: Augmentation) -> Tensor:
    """uint8 (N, H, W, 3) -> normalised float (N, 3, H, W): flipped, moved, recoloured, softened, covered."""
    n, h, w, _ = pictures.shape
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(255)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (n, *shape)).astype(np.float32))

    flip = torch.from_numpy(rng.choice(np.float32([-1, 1]), n))
    zoom = 1 + uniform(-strength.scale, strength.scale)
    stretch = 1 + uniform(-strength.scale, strength.scale) / 2
    angle = uniform(-1, 1) * math.radians(strength.turn)
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = flip * cos * zoom * stretch, -sin * h / w * zoom
    theta[:, 1, 0], theta[:, 1, 1] = flip * sin * w / h * zoom, cos * zoom
    theta[:, 0, 2], theta[:, 1, 2] = uniform(-2, 2) * strength.shift, uniform(-2, 2) * strength.shift
    x = F.grid_sample(x, F.affine_grid(theta, [n, 3, h, w], align_corners=False), "bilinear", "border", False)

    c = strength.colour
    grey = x.mean(1, keepdim=True)
    saturation = 1 + uniform(-c, c, 1, 1, 1)
    saturation = torch.where(uniform(0, 1, 1, 1, 1) < strength.grey, torch.zeros(()), saturation)
    x = grey + (x - grey) * saturation
    level = x.mean((1, 2, 3), keepdim=True)
    x = (x - level) * (1 + uniform(-c, c, 1, 1, 1)) + level * (1 + uniform(-c, c, 1, 1, 1))
    x = x * (1 + uniform(-c / 4, c / 4, 3, 1, 1))

    soft = np.flatnonzero(rng.random(n) < strength.soft)
    if len(soft):
        factor = float(rng.uniform(0.35, 0.75))
        small = F.interpolate(x[soft], scale_factor=factor, mode="area")
        x[soft] = F.interpolate(small, size=(h, w), mode="bilinear", align_corners=False)

    x = x.clamp_(0, 1)
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    x = (x - mean) / std
    for i in range(n):
        if rng.random() < strength.erase:
            top, left, height, width = _rectangle(h, w, rng)
            x[i, :, top : top + height, left : left + width] = torch.from_numpy(
                rng.normal(0, 1, (3, 1, 1)).astype(np.float32)
            )
        if rng.random() < strength.paste:
            top, left, height, width = _rectangle(h, w, rng)
            other = int(rng.integers(n))
            x[i, :, top : top + height, left : left + width] = x[other, :, top : top + height, left : left + width]
    return x.contiguous(memory_format=torch.channels_last)


def _rectangle(h: int, w: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height, width of a rectangle that covers 3-33 % of an (h, w) picture."""
    area = rng.uniform(0.03, 0.33) * h * w
    aspect = math.exp(rng.uniform(math.log(0.4), math.log(3.0)))
    height = min(h, max(1, round(math.sqrt(area * aspect))))
    width = min(w, max(1, round(math.sqrt(area / aspect))))
    return int(rng.integers(h - height + 1)), int(rng.integers(w - width + 1)), height, width
