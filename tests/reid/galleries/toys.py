"""Drawn pictures and a small backend, so that galleries are tested without any real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reid.backends import Backend, Card
from reid.embedding import Embeddings
from reid.galleries.records import NewItem
from reid.images import save_image

RECIPE = "0123456789abcdef"


@dataclass(frozen=True)
class Sample:
    path: Path
    name: str
    identity: str | None = None
    camera: str | None = None
    words: str = ""


def draw(path: Path, seed: int) -> Path:
    """A picture of 24x48 with a few coloured stripes."""
    stripes = np.random.default_rng(seed).integers(0, 256, (6, 3, 3), dtype=np.uint8)
    save_image(path, np.kron(stripes, np.ones((8, 8, 1), np.uint8)))
    return path


def folder_of(folder: Path, count: int, identities: int = 4, cameras: int = 3) -> list[Sample]:
    """`count` drawn pictures with identities p0, p1 ... and cameras c0, c1 ..."""
    return [
        Sample(draw(folder / f"{n:03}.png", n), f"{n:03}.png", f"p{n % identities}", f"c{n % cameras}")
        for n in range(count)
    ]


def random_embeddings(count: int, seed: int = 0, dim: int = 8, parts: int = 2, part_dim: int = 4) -> Embeddings:
    rng = np.random.default_rng(seed)
    return Embeddings.of(
        rng.normal(size=(count, dim)), rng.normal(size=(count, parts, part_dim)), rng.random((count, parts))
    )


class Toy(Backend):
    """Mean colours of the upper and the lower half; `version` stands for other weights."""

    card = Card("toy", "baseline", "any", ("embed",), "Mean colours.", dim=36, parts=("upper", "lower"))

    def __init__(self, version: int = 1) -> None:
        self.version = version
        self.embedded = 0

    def load(self) -> None:
        pass

    def recipe(self) -> dict[str, object]:
        return {**super().recipe(), "version": self.version}

    def embed(self, pictures: Sequence[np.ndarray]) -> Embeddings:
        self.embedded += len(pictures)
        cells = np.stack([_cells(picture) for picture in pictures])  # (N, 4, 3, 3)
        parts = cells.reshape(len(cells), 2, 18)
        visibility = np.ones((len(cells), 2), np.float32)
        return Embeddings.of(cells.reshape(len(cells), 36), parts, visibility)


def _cells(picture: np.ndarray) -> np.ndarray:
    rows = np.array_split(picture.astype(np.float32) - 127.5, 4, axis=0)
    return np.array([[cell.mean((0, 1)) for cell in np.array_split(row, 3, axis=1)] for row in rows])


def enter(gallery, count: int, seed: int = 0) -> list[int]:
    """Items with random vectors, entered into a gallery; their ids."""
    names = [f"{seed}-{n}.jpg" for n in range(count)]
    ids = [put.id for put in gallery.put_items([NewItem(n, f"/p/{n}", "0" * 64, 1, "", 20, 30) for n in names])]
    gallery.put_vectors(RECIPE, ids, random_embeddings(count, seed), backend="toy")
    return ids
