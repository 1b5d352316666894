"""A whitening learnt with FAISS's PCA."""

from __future__ import annotations

import numpy as np

from reid.errors import DatasetError


def learn_whitening(vectors: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre and matrix that turn vectors to their principal axes and give each the same spread.

    Args:
        vectors: (N, D) float32 of unit length, N > D.
        dim: how many of the axes to keep, at most D.

    Returns:
        mean (D,) and matrix (dim, D) float32: a vector v becomes matrix @ (v - mean).

    Raises:
        DatasetError: there are too few vectors to learn it from.
    """
    import faiss

    count, full = vectors.shape
    if not 0 < dim <= full:
        raise DatasetError(f"A whitening keeps 1 to {full} numbers, not {dim}.")
    if count <= full:
        raise DatasetError(f"A whitening of {full} numbers is learnt from more pictures than that; there are {count}.")
    pca = faiss.PCAMatrix(full, dim, -0.5)  # divides each axis by its deviation
    pca.train(np.ascontiguousarray(vectors, np.float32))
    # FAISS divides by the root of the summed squares; by that of their mean, the spread becomes 1.
    matrix = faiss.vector_to_array(pca.A).reshape(-1, full)[:dim] * np.sqrt(count)
    return faiss.vector_to_array(pca.mean), matrix.astype(np.float32)
