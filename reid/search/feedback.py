"""What a person says of hits, right or wrong, put to use: the query moves, or the space is bent a little.

Pure functions of vectors; neither touches the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reid.embedding import l2_normalise
from reid.errors import PartwiseError

# The query's own weight, that of the mean right hit and that of the mean wrong one.
ROCCHIO = (1.0, 0.75, 0.25)


def rocchio(
    query: np.ndarray, right: np.ndarray, wrong: np.ndarray, weights: tuple[float, float, float] = ROCCHIO
) -> np.ndarray:
    """Move a query towards the mean of right hits and away from that of wrong ones.

    Rocchio, "Relevance Feedback in Information Retrieval", in: The SMART Retrieval System, 1971.

    Args:
        query: (D,) of unit length.
        right, wrong: (R, D) and (W, D) of unit length; either may be empty.
        weights: of the query, the right and the wrong.

    Returns:
        (D,) float32 of unit length.
    """
    own, pull, push = weights
    moved = own * query
    if len(right):
        moved = moved + pull * right.mean(0)
    if len(wrong):
        moved = moved - push * wrong.mean(0)
    return l2_normalise(moved)


@dataclass(frozen=True)
class LinearMap:
    """A linear map that differs from the identity only within the span of what was judged.

    Attributes:
        basis: (r, D) float32, orthonormal rows: the directions that judgements are about.
        change: (r, r) float32: what the map does within them, less the identity.
    """

    basis: np.ndarray
    change: np.ndarray

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """(N, D) or (D,) -> the same shape, of unit length."""
        return l2_normalise(vectors + (vectors @ self.basis.T) @ self.change.T @ self.basis)


def fit_map(alike: np.ndarray, unlike: np.ndarray, *, strength: float = 1.0) -> LinearMap:
    """Learn from pairs: shrink the directions in which alike pairs differ, stretch those in which unlike ones do.

        M = (I + s U)^1/2 (I + s A)^-1/2

    with A and U the second moments of the differences of alike and unlike pairs, each scaled to a mean eigenvalue of 1
    over the span of all differences, and s the strength. It takes milliseconds, however large the gallery. In the
    spirit of Koestinger et al., "Large Scale Metric Learning from Equivalence Constraints" (KISSME), CVPR 2012, with
    the identity as its prior, so that a few judgements bend the space only a little.

    Args:
        alike: (A, D) differences of vectors that belong together.
        unlike: (U, D) differences of vectors that do not.
        strength: how far judgements are trusted, from 0 (not at all) up.

    Raises:
        PartwiseError: there is no judgement at all.
    """
    if not len(alike) and not len(unlike):
        raise PartwiseError("Nothing was judged yet: mark a hit as right or wrong first.")
    differences = np.concatenate([alike, unlike]).astype(np.float64)
    _, lengths, directions = np.linalg.svd(differences, full_matrices=False)
    basis = directions[lengths > 1e-6 * max(lengths.max(), 1e-12)]
    # More judgements weigh more, and never more than twice the strength.
    trust_alike, trust_unlike = (strength * 2 * len(pairs) / (len(pairs) + 8) for pairs in (alike, unlike))
    shrink = _power(_moment(alike @ basis.T) * trust_alike, -0.5)
    stretch = _power(_moment(unlike @ basis.T) * trust_unlike, 0.5)
    change = stretch @ shrink - np.eye(len(basis))
    return LinearMap(basis.astype(np.float32), change.astype(np.float32))


def pairs_of(query: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences that one query's judgements make: alike (the query and all right ones), unlike (these and the wrong).

    Args:
        query: (D,); right: (R, D); wrong: (W, D).

    Returns:
        (A, D) and (U, D).
    """
    together = np.concatenate([query[None], right])
    i, j = np.triu_indices(len(together), 1)
    apart = (together[:, None] - wrong[None]).reshape(-1, len(query))
    return together[i] - together[j], apart


def _moment(rows: np.ndarray) -> np.ndarray:
    """Second moment, scaled to a mean eigenvalue of 1; zeros for no rows."""
    width = rows.shape[1]
    if not len(rows):
        return np.zeros((width, width))
    moment = rows.T @ rows
    return moment * width / max(float(np.trace(moment)), 1e-12)


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """(I + matrix) to a power; the matrix is symmetric and not negative."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * (1 + np.maximum(values, 0)) ** exponent) @ vectors.T
