"""The one embedding type: a global vector and, where a backend has them, one vector a part with its visibility."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


def l2_normalise(vectors: np.ndarray, axis: int = -1) -> np.ndarray:
    """Scale to unit length along `axis` as float32; an all-zero vector stays zero rather than becoming NaN."""
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=axis, keepdims=True)
    return vectors / np.maximum(norms, 1e-12)


@dataclass(frozen=True)
class Embedding:
    """What a backend makes of one picture.

    Attributes:
        global_: (D,) float32, L2-normalised (all zero where the picture gave nothing to describe).
        parts: (P, Dp) float32, each row L2-normalised; P = 0 for a backend without parts.
        visibility: (P,) float32 in 0..1, how much of each part the picture shows.
    """

    global_: np.ndarray
    parts: np.ndarray
    visibility: np.ndarray

    def __post_init__(self) -> None:
        if self.global_.ndim != 1 or self.parts.ndim != 2 or self.visibility.ndim != 1:
            raise ValueError(
                "an Embedding takes global_ (D,), parts (P, Dp) and visibility (P,), "
                f"not {self.global_.shape}, {self.parts.shape} and {self.visibility.shape}"
            )
        if len(self.parts) != len(self.visibility):
            raise ValueError(f"{len(self.parts)} parts but {len(self.visibility)} visibilities")

    @classmethod
    def of(
        cls, global_: np.ndarray, parts: np.ndarray | None = None, visibility: np.ndarray | None = None
    ) -> Embedding:
        """Build from raw vectors: casts to float32 and L2-normalises; no `parts` means a backend without parts."""
        if parts is None:
            parts = np.zeros((0, 0), np.float32)
        if visibility is None:
            visibility = np.ones(len(parts), np.float32)
        return cls(l2_normalise(global_), l2_normalise(parts), np.clip(visibility, 0, 1).astype(np.float32))

    @property
    def dim(self) -> int:
        return int(self.global_.shape[0])


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of N pictures as arrays; `embeddings[i]` is picture i's `Embedding`.

    Attributes:
        global_: (N, D) float32, rows L2-normalised.
        parts: (N, P, Dp) float32, rows L2-normalised; P = 0 without parts.
        visibility: (N, P) float32 in 0..1.
    """

    global_: np.ndarray
    parts: np.ndarray
    visibility: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.global_)
        if self.global_.ndim != 2 or self.parts.ndim != 3 or self.visibility.ndim != 2:
            raise ValueError(
                "Embeddings take global_ (N, D), parts (N, P, Dp) and visibility (N, P), "
                f"not {self.global_.shape}, {self.parts.shape} and {self.visibility.shape}"
            )
        if len(self.parts) != n or self.visibility.shape != self.parts.shape[:2]:
            raise ValueError(f"{n} global vectors but parts {self.parts.shape} and visibility {self.visibility.shape}")

    @classmethod
    def of(
        cls, global_: np.ndarray, parts: np.ndarray | None = None, visibility: np.ndarray | None = None
    ) -> Embeddings:
        """Build from raw arrays: casts to float32 and L2-normalises rows; no `parts` means a backend without parts."""
        n = len(global_)
        if parts is None:
            parts = np.zeros((n, 0, 0), np.float32)
        if visibility is None:
            visibility = np.ones(parts.shape[:2], np.float32)
        return cls(l2_normalise(global_), l2_normalise(parts), np.clip(visibility, 0, 1).astype(np.float32))

    @classmethod
    def stack(cls, embeddings: Sequence[Embedding]) -> Embeddings:
        """Join single embeddings (at least one, all of the same backend)."""
        return cls(
            np.stack([e.global_ for e in embeddings]),
            np.stack([e.parts for e in embeddings]),
            np.stack([e.visibility for e in embeddings]),
        )

    def __len__(self) -> int:
        return len(self.global_)

    def __getitem__(self, i: int) -> Embedding:
        return Embedding(self.global_[i], self.parts[i], self.visibility[i])

    def __iter__(self) -> Iterator[Embedding]:
        return (self[i] for i in range(len(self)))
