"""People for training: pictures of several sources in memory, batches by identity, augmentation a batch at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
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


@dataclass
class Augmented:
    """A batch on its way into a network, and what happened to it.

    Attributes:
        pictures: (N, 3, H, W) float32, normalised.
        theta: (N, 2, 3) float32, where each output position was read from, in -1..1 (as `affine_grid` takes it).
        mirrored: (N,) bool.
        covered: (N, H, W) bool, pixels hidden by something pasted over.
    """

    pictures: Tensor
    theta: Tensor
    mirrored: Tensor
    covered: Tensor

    def move_masks(self, masks: Tensor, covered_label: int = 0, unknown: int = 255) -> Tensor:
        """Label maps (N, h, w) of the same pictures, moved and covered alike; what came from outside is unknown."""
        n, h, w = masks.shape
        grid = F.affine_grid(self.theta, [n, 1, h, w], align_corners=False)
        # Shifted by one so that zero padding can be told from label 0.
        moved = F.grid_sample(masks[:, None].float() + 1, grid, "nearest", "zeros", False)[:, 0].round().long() - 1
        moved[moved < 0] = unknown
        covered = F.adaptive_max_pool2d(self.covered[:, None].float(), (h, w))[:, 0] > 0.5
        moved[covered & (moved != unknown)] = covered_label
        return moved

    def move_joints(self, joints: Tensor, pairs: tuple[tuple[int, int], ...]) -> Tensor:
        """Joints (N, J, 3) as x, y (fractions of the picture) and visibility (2 seen, 1 hidden, 0 unknown), moved too.

        Mirrored pictures swap left and right; a covered joint becomes hidden; one outside becomes unknown.
        """
        n, count, _ = joints.shape
        square = torch.cat([self.theta, torch.tensor([0.0, 0.0, 1.0]).expand(n, 1, 3)], 1)
        there = torch.cat([joints[..., :2] * 2 - 1, torch.ones(n, count, 1)], 2)
        here = torch.linalg.solve(square, there.transpose(1, 2)).transpose(1, 2)[..., :2] / 2 + 0.5
        visibility = joints[..., 2].clone()
        inside = ((here >= 0) & (here < 1)).all(2)
        visibility[~inside] = 0
        h, w = self.covered.shape[1:]
        x = (here[..., 0] * w).long().clamp(0, w - 1)
        y = (here[..., 1] * h).long().clamp(0, h - 1)
        under = self.covered[torch.arange(n)[:, None], y, x]
        visibility = torch.where(under, visibility.clamp(max=1), visibility)
        moved = torch.cat([here, visibility[..., None]], 2)
        return self.swap_sides(moved, pairs)

    def swap_sides(self, values: Tensor, pairs: tuple[tuple[int, int], ...]) -> Tensor:
        """Exchange left and right rows of (N, J, ...) where the picture was mirrored."""
        order = torch.arange(values.shape[1])
        for a, b in pairs:
            order[a], order[b] = b, a
        swapped = values.clone()
        swapped[self.mirrored] = values[self.mirrored][:, order]
        return swapped


def augment(
    pictures: np.ndarray, rng: np.random.Generator, strength: Augmentation, silhouettes: np.ndarray | None = None
) -> Augmented:
    """uint8 (N, H, W, 3) -> a normalised batch: mirrored, moved, recoloured, softened, covered.

    Args:
        silhouettes: (N, h, w) bool, where each picture's person is; with them, what is pasted over a picture is another
            person of the batch cut out, without them a rectangle of another picture.
    """
    n, h, w, _ = pictures.shape
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(255)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (n, *shape)).astype(np.float32))

    flip = torch.from_numpy(rng.choice(np.array([-1, 1], np.float32), n))
    zoom = 1 + uniform(-strength.scale, strength.scale)
    stretch = 1 + uniform(-strength.scale, strength.scale) / 2
    angle = uniform(-1, 1) * math.radians(strength.turn)
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = flip * cos * zoom * stretch, -sin * h / w * zoom
    theta[:, 1, 0], theta[:, 1, 1] = flip * sin * w / h * zoom, cos * zoom
    theta[:, 0, 2], theta[:, 1, 2] = uniform(-2, 2) * strength.shift, uniform(-2, 2) * strength.shift
    x = F.grid_sample(x, F.affine_grid(theta, [n, 3, h, w], align_corners=False), "bilinear", "border", False)

    x = _recolour(x, uniform, strength)
    soft = np.flatnonzero(rng.random(n) < strength.soft)
    if len(soft):
        factor = float(rng.uniform(0.35, 0.75))
        small = F.interpolate(x[soft], scale_factor=factor, mode="area")
        x[soft] = F.interpolate(small, size=(h, w), mode="bilinear", align_corners=False)

    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    x = (x.clamp_(0, 1) - mean) / std
    covered = torch.zeros(n, h, w, dtype=torch.bool)
    before = x.clone()
    for i in range(n):
        if rng.random() < strength.erase:
            top, left, height, width = _rectangle(h, w, rng)
            colour = torch.from_numpy(rng.normal(0, 1, (3, 1, 1)).astype(np.float32))
            x[i, :, top : top + height, left : left + width] = colour
            covered[i, top : top + height, left : left + width] = True
        if rng.random() < strength.paste:
            other = int(rng.integers(n))
            if silhouettes is None:
                top, left, height, width = _rectangle(h, w, rng)
                where = torch.zeros(h, w, dtype=torch.bool)
                where[top : top + height, left : left + width] = True
                source = before[other]
            else:
                source, where = _walk_in(pictures[other], silhouettes[other], rng)
                source = (source - mean) / std
            x[i] = torch.where(where, source, x[i])
            covered[i] |= where
    return Augmented(x.contiguous(memory_format=torch.channels_last), theta, flip < 0, covered)


def _recolour(x: Tensor, uniform: Callable[..., Tensor], strength: Augmentation) -> Tensor:
    c = strength.colour
    grey = x.mean(1, keepdim=True)
    saturation = 1 + uniform(-c, c, 1, 1, 1)
    saturation = torch.where(uniform(0, 1, 1, 1, 1) < strength.grey, torch.zeros(()), saturation)
    x = grey + (x - grey) * saturation
    level = x.mean((1, 2, 3), keepdim=True)
    x = (x - level) * (1 + uniform(-c, c, 1, 1, 1)) + level * (1 + uniform(-c, c, 1, 1, 1))
    return x * (1 + uniform(-c / 4, c / 4, 3, 1, 1))


def _walk_in(picture: np.ndarray, silhouette: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Another person entering from a side: (3, H, W) in 0..1 and (H, W) bool where they stand in front."""
    h, w, _ = picture.shape
    zoom = rng.uniform(0.8, 1.25)
    aside = rng.choice([-1, 1]) * rng.uniform(0.25, 0.6) * w
    down = rng.uniform(-0.05, 0.2) * h
    matrix = np.array([[zoom, 0, aside + w * (1 - zoom) / 2], [0, zoom, down + h * (1 - zoom) / 2]], np.float32)
    moved = cv2.warpAffine(picture, matrix, (w, h), flags=cv2.INTER_LINEAR)
    mask = cv2.resize(silhouette.astype(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST)
    mask = cv2.warpAffine(mask, matrix, (w, h), flags=cv2.INTER_NEAREST)
    return torch.from_numpy(moved).permute(2, 0, 1).float() / 255, torch.from_numpy(mask) > 0


def _rectangle(h: int, w: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height, width of a rectangle that covers 3-33 % of an (h, w) picture."""
    area = rng.uniform(0.03, 0.33) * h * w
    aspect = math.exp(rng.uniform(math.log(0.4), math.log(3.0)))
    height = min(h, max(1, round(math.sqrt(area * aspect))))
    width = min(w, max(1, round(math.sqrt(area / aspect))))
    return int(rng.integers(h - height + 1)), int(rng.integers(w - width + 1)), height, width
