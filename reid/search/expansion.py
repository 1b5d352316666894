"""Queries and galleries made stronger by their own neighbours: pure functions of vectors."""

from __future__ import annotations

import numpy as np

from reid.embedding import l2_normalise

ALPHA = 3.0
BLOCK_ROWS = 512


def expand(query: np.ndarray, neighbours: np.ndarray, alpha: float = ALPHA) -> np.ndarray:
    """Alpha query expansion: the query and what it found, added by similarity to the power of alpha.

    Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019. A query's own weight is 1;
    what points away from it does not count.

    Args:
        query: (D,) of unit length.
        neighbours: (K, D) of unit length, the first of a search; K may be 0.
        alpha: how much more the nearest count: 0 is the plain average.

    Returns:
        (D,) float32 of unit length.
    """
    weights = np.maximum(neighbours @ query, 0) ** alpha if len(neighbours) else np.zeros(0, np.float32)
    return l2_normalise(query + weights @ neighbours if len(neighbours) else query)


def expand_all(queries: np.ndarray, gallery: np.ndarray, count: int, alpha: float = ALPHA) -> np.ndarray:
    """`expand` of each query (Q, D) by its first `count` in the gallery (G, D): (Q, D) float32."""
    return _averaged(queries, gallery, count, alpha, itself=False)


def augment_gallery(gallery: np.ndarray, count: int, alpha: float = ALPHA) -> np.ndarray:
    """Database-side augmentation: each item and its `count` nearest others, added as `expand` does: (G, D) float32.

    Turcot and Lowe, "Better Matching with Fewer Features", ICCV Workshops 2009; Arandjelovic and Zisserman, CVPR 2012.
    """
    return _averaged(gallery, gallery, count, alpha, itself=True)


def _averaged(rows: np.ndarray, gallery: np.ndarray, count: int, alpha: float, itself: bool) -> np.ndarray:
    count = min(count, len(gallery) - itself)
    out = np.empty((len(rows), gallery.shape[1]), np.float32)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        similarities = block @ gallery.T
        if itself:  # it is added whole already
            similarities[np.arange(len(block)), start + np.arange(len(block))] = -np.inf
        if count < 1:
            out[start : start + BLOCK_ROWS] = l2_normalise(block)
            continue
        near = np.argpartition(-similarities, count - 1, axis=1)[:, :count]
        weights = np.maximum(np.take_along_axis(similarities, near, 1), 0) ** alpha
        out[start : start + BLOCK_ROWS] = l2_normalise(block + np.einsum("nk,nkd->nd", weights, gallery[near]))
    return out
