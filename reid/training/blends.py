"""Blends of two pictures, of which only a teacher can say who they are.

A student who follows its teacher on real pictures alone learns what the teacher says of them, and less of how it
judges. Blends ask more: one person's shoulders over another's legs, or both at once (Beyer et al., "Knowledge
Distillation: A Good Teacher Is Patient and Consistent", CVPR 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reid.errors import DatasetError

MIXED = 0.25
"""Share of blends that are both pictures at once; the others change from one to the other at a height."""


@dataclass
class Blends:
    """M blends of N pictures.

    Attributes:
        pairs: (M, 2) which pictures.
        shares: (M, 2) float32, the first picture's share above the cut and below it, 0..1.
        cuts: (M,) float32, height of the cut as a fraction of the picture.
        taught: (M, D) float32, what the teacher says, L2-normalised.
    """

    pairs: np.ndarray
    shares: np.ndarray
    cuts: np.ndarray
    taught: np.ndarray

    def __len__(self) -> int:
        return len(self.pairs)

    def picture(self, pictures: np.ndarray, index: int) -> np.ndarray:
        """Blend number `index` out of pictures (N, H, W, 3) uint8: (H, W, 3) uint8."""
        first, second = self.pairs[index]
        return blend(pictures[first], pictures[second], self.shares[index], float(self.cuts[index]))


def draw(n: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (count, 2) of n pictures, shares (count, 2) and cuts (count,), as `Blends` holds them."""
    first = rng.integers(n, size=count)
    second = (first + rng.integers(1, n, size=count)) % n
    mixed = rng.random(count) < MIXED
    share = rng.uniform(0, 1, count)
    shares = np.where(mixed[:, None], share[:, None], np.array([1.0, 0.0]))
    return np.stack([first, second], 1), shares.astype(np.float32), rng.uniform(0.25, 0.75, count).astype(np.float32)


def blend(first: np.ndarray, second: np.ndarray, shares: np.ndarray, cut: float) -> np.ndarray:
    """Two pictures (H, W, 3) uint8 as one: `shares` of the first above and below the height `cut`."""
    height = len(first)
    above, below = np.asarray(shares, np.float32)
    share = np.where(np.arange(height) < cut * height, above, below)[:, None, None]
    return (share * first + (1 - share) * second).round().astype(np.uint8)


def read_blends(path: Path, names: list[str]) -> Blends:
    """Blends as `teachers blends` keeps them, of the pictures called `names`; those of other pictures are left out.

    Raises:
        DatasetError: none is left.
    """
    cache = np.load(path, allow_pickle=False)
    where = {name: i for i, name in enumerate(names)}
    pairs = np.array([where.get(str(name), -1) for name in cache["names"]])[cache["pairs"]]
    kept = (pairs >= 0).all(1)
    if not kept.any():
        raise DatasetError(f"{path} blends none of these {len(names)} pictures, {names[0]} first; make it anew.")
    return Blends(pairs[kept], cache["shares"][kept], cache["cuts"][kept], cache["vectors"][kept].astype(np.float32))


def join_blends(parts: list[tuple[Blends | None, int]]) -> Blends | None:
    """Blends of several sources of (blends, number of pictures) whose pictures stand below each other."""
    starts = np.cumsum([0] + [n for _, n in parts])
    have = [(blends, start) for (blends, _), start in zip(parts, starts, strict=False) if blends is not None]
    if not have:
        return None
    return Blends(
        np.concatenate([blends.pairs + start for blends, start in have]),
        np.concatenate([blends.shares for blends, _ in have]),
        np.concatenate([blends.cuts for blends, _ in have]),
        np.concatenate([blends.taught for blends, _ in have]),
    )
