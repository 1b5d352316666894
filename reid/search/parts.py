"""Similarity by parts: what both pictures show is compared part by part, beside the whole."""

from __future__ import annotations

import numpy as np

from reid.embedding import Embedding, Embeddings


def part_cosines(query: Embedding, items: Embeddings) -> np.ndarray:
    """(N, P) cosine of each part of the query with the same part of each item."""
    return np.einsum("pd,npd->np", query.parts, items.parts)


def shared_visibility(query: Embedding, items: Embeddings) -> np.ndarray:
    """(N, P) how much of each part both pictures show: the lesser of the two visibilities, 0..1."""
    return np.minimum(query.visibility, items.visibility)


def part_similarity(
    query: Embedding,
    items: Embeddings,
    weights: np.ndarray | None = None,
    global_weight: float | None = None,
) -> np.ndarray:
    """Cosines of the parts and of the whole, averaged by weight and by how much of a part both pictures show.

        (g cos(q, i) + sum_p w_p min(v_qp, v_ip) cos(q_p, i_p)) / (g + sum_p w_p min(v_qp, v_ip))

    A part that one of the two hides says nothing about the match, so it neither helps nor hurts; where no part is
    shared, the whole decides alone. After the occlusion-aware distance of Somers et al., "Body Part-Based
    Representation Learning for Occluded Person Re-Identification", WACV 2023.

    Args:
        query: with P parts.
        items: N embeddings of the same backend.
        weights: (P,) w_p from 0 up; by default 1 each.
        global_weight: g from 0 up; by default P, so that the whole counts as much as all parts together.

    Returns:
        (N,) float32 in -1..1; 0 where nothing at all is to be compared.
    """
    count = len(query.parts)
    weights = np.ones(count, np.float32) if weights is None else np.asarray(weights, np.float32)
    if weights.shape != (count,):
        raise ValueError(f"{count} parts need as many weights, not {weights.shape}")
    share = float(count) if global_weight is None else global_weight
    if weights.min(initial=0) < 0 or share < 0:
        raise ValueError("weights of parts and of the whole must not be negative")
    if count == 0:
        return (items.global_ @ query.global_).astype(np.float32)
    visible = weights * shared_visibility(query, items)  # (N, P)
    total = share + visible.sum(1)
    weighed = share * (items.global_ @ query.global_) + (visible * part_cosines(query, items)).sum(1)
    return np.divide(weighed, total, out=np.zeros_like(total), where=total > 0).astype(np.float32)


def chosen_part_similarity(query: Embedding, items: Embeddings, weights: np.ndarray) -> np.ndarray:
    """Cosines of the parts alone, averaged by weight: for a search by some parts and not by others.

        sum_p w_p (v cos(q_p, i_p) + (1 - v) mean_p) / sum_p w_p    with v = min(v_qp, v_ip)

    The whole is left out, as it holds every part. What cannot be seen counts as a stranger's, by the mean cosine of
    that part among the items, so that a hidden part neither wins a search for it nor loses by being unlike.

    Args:
        query: with P parts.
        items: N embeddings of the same backend.
        weights: (P,) w_p from 0 up, not all of them 0.

    Returns:
        (N,) float32 in -1..1.
    """
    weights = np.asarray(weights, np.float32)
    if weights.shape != (len(query.parts),):
        raise ValueError(f"{len(query.parts)} parts need as many weights, not {weights.shape}")
    if weights.min(initial=0) < 0 or not weights.any():
        raise ValueError("weights of parts must not be negative, nor all of them 0")
    if len(items) == 0:
        return np.zeros(0, np.float32)
    visible, cosines = shared_visibility(query, items), part_cosines(query, items)
    seen = visible.sum(0)
    mean = np.divide((visible * cosines).sum(0), seen, out=np.zeros_like(seen), where=seen > 0)
    expected = visible * cosines + (1 - visible) * mean
    return (expected @ (weights / weights.sum())).astype(np.float32)
