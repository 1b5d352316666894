"""People for training: pictures of several sources in memory, and batches of them by identity."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from reid.errors import DatasetError
from reid.training.labelled import cut


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
    boxes: Sequence[np.ndarray | None] | None = None,
) -> People:
    """Read sources of (paths, identities) into memory at `size` (height, width).

    Args:
        sources: for each source its picture paths and an identity name for each; names are apart between sources.
        size: (height, width) pictures are brought to.
        taught: for each source a teacher's embedding by file name, or None.
        boxes: for each source the part of each file that is meant, (N, 4) fractions, or None for whole files.
    """
    height, width = size
    paths = [path for files, _ in sources for path in files]
    if not paths:
        raise DatasetError("There are no pictures to train on; check the folders given with --data.")
    keys = [(i, name) for i, (_, names) in enumerate(sources) for name in names]
    numbers = {key: n for n, key in enumerate(sorted(set(keys)))}

    parts = [
        box
        for (files, _), own in zip(sources, boxes or [None] * len(sources), strict=True)
        for box in (itertools.repeat(None, len(files)) if own is None else own)
    ]

    def read(path: Path, box: np.ndarray | None) -> np.ndarray:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise DatasetError(f"{path} cannot be decoded; remove it or fetch the data set again.")
        if box is not None:
            picture = cut(picture, box)
        shrinks = picture.shape[0] > height
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    pictures = np.empty((len(paths), height, width, 3), np.uint8)
    with ThreadPoolExecutor(2) as pool:
        for i, picture in enumerate(pool.map(read, paths, parts, chunksize=256)):
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
