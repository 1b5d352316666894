"""Several rankings into one: pure functions over similarities, a row a query, a column an item, an array a backend."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from reid.errors import PartwiseError, UnknownNameError

METHODS = ("sum", "ranks")

# Ranks far down count almost alike from here on: Cormack, Clarke and Buettcher, SIGIR 2009.
RANK_OFFSET = 60

# A weak backend may add something by a twentieth of the weight, and a coarse grid would pass that over.
STEPS = {1: 1, 2: 25, 3: 12, 4: 10}


def fuse(similarities: Sequence[np.ndarray], weights: Sequence[float] | None = None, method: str = "sum") -> np.ndarray:
    """Scores by which the items rank for all backends together.

    Args:
        similarities: a (Q, G) array a backend, larger is more alike.
        weights: one a backend, from 0 up; equal where left out.
        method: "sum": each row normalised, weighed and added. "ranks": reciprocal ranks, which need no normalising.

    Returns:
        (Q, G) float64. Scores rank within a row; those of "sum" and "ranks" do not compare.

    Raises:
        UnknownNameError: no such method.
        PartwiseError: the weights do not fit.
    """
    if method not in METHODS:
        raise UnknownNameError(f"There is no fusion {method!r}; there are {', '.join(METHODS)}.")
    shares = _checked(weights, len(similarities))
    scores = [standardised(one) if method == "sum" else reciprocal_ranks(one) for one in similarities]
    return np.tensordot(shares, np.stack(scores), axes=1)


def standardised(similarities: np.ndarray) -> np.ndarray:
    """Each row less its mean, by its deviation: what is far from the crowd counts, whatever a backend's cosines are.

    Fox and Shaw, "Combination of Multiple Searches", TREC-2 1994, with z-scores. A row without spread becomes zeros.
    """
    rows = np.asarray(similarities, np.float64)
    spread = rows.std(-1, keepdims=True)
    return (rows - rows.mean(-1, keepdims=True)) / np.where(spread > 1e-12, spread, np.inf)


def reciprocal_ranks(similarities: np.ndarray) -> np.ndarray:
    """1 / (60 + rank) of each item in its row, ranks from 1; ties rank in the items' order.

    Cormack et al., "Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning Methods", SIGIR 2009.
    """
    order = np.argsort(-np.asarray(similarities), axis=-1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(1, order.shape[-1] + 1), order.shape), axis=-1)
    return 1.0 / (RANK_OFFSET + ranks)


def unit_range(scores: np.ndarray) -> np.ndarray:
    """Each row brought to 0..1: 1 the best of it, 0 the worst; the order stays."""
    low, high = scores.min(-1, keepdims=True), scores.max(-1, keepdims=True)
    return np.where(high > low, (scores - low) / np.where(high > low, high - low, 1), 1.0)


def fit_weights(
    similarities: Sequence[np.ndarray],
    relevant: np.ndarray,
    counted: np.ndarray | None = None,
    *,
    method: str = "sum",
    steps: int | None = None,
) -> np.ndarray:
    """The weights, out of all that share 1 in steps, by which held-out queries rank best (by mAP).

    Args:
        similarities: a (Q, G) array a backend.
        relevant: (Q, G) bool, which items each query is after.
        counted: (Q, G) bool, which items take part at all; all where left out.
        method: as for `fuse`.
        steps: weights are multiples of one by this; by default the finest that can still be tried out. Ties go to the
            more even ones.

    Returns:
        (backends,) float64 that sum to 1; equal ones where no query has a relevant item.

    Raises:
        PartwiseError: there are too many backends to try all weights.
    """
    count = len(similarities)
    if count not in STEPS:
        raise PartwiseError(f"Weights are fitted for 2 to 4 backends, not {count}.")
    even = np.full(count, 1 / count)
    if counted is not None:
        relevant = relevant & counted
    if not relevant.any():
        return even
    scores = [standardised(one) if method == "sum" else reciprocal_ranks(one) for one in similarities]
    steps = steps or STEPS[count]
    grid = [np.array(w) / steps for w in product(range(steps + 1), repeat=count) if sum(w) == steps]
    grid.sort(key=lambda w: float(np.abs(w - even).sum()))
    best = max(grid, key=lambda w: round(mean_ap(np.tensordot(w, np.stack(scores), axes=1), relevant, counted), 9))
    return best


def mean_ap(scores: np.ndarray, relevant: np.ndarray, counted: np.ndarray | None = None) -> float:
    """Mean average precision of rows of scores, 0..1, over the rows with a relevant item."""
    precisions = []
    for i, row in enumerate(scores):
        takes_part = slice(None) if counted is None else counted[i]
        hits = relevant[i][takes_part][np.argsort(-row[takes_part], kind="stable")]
        if hits.any():
            places = np.flatnonzero(hits)
            precisions.append(np.mean(np.arange(1, len(places) + 1) / (places + 1)))
    return float(np.mean(precisions)) if precisions else 0.0


def _checked(weights: Sequence[float] | None, count: int) -> np.ndarray:
    if count < 2:
        raise PartwiseError("Fusion takes two backends or more, joined by +, e.g. gpn+lite0.")
    shares = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    if shares.shape != (count,):
        raise PartwiseError(f"{count} backends take {count} weights, not {len(shares)}.")
    if not np.isfinite(shares).all() or shares.min() < 0 or not shares.any():
        raise PartwiseError("Weights of backends are numbers from 0 up, not all of them 0.")
    return shares / shares.sum()
