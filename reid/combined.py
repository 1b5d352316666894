"""A data set's protocol with several backends fused, or with queries and gallery expanded; see `reid.reports`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from reid import backends
from reid.datasets import Protocol, Sample, read_protocol
from reid.errors import PartwiseError, UnknownNameError
from reid.metrics import rank_metrics, relevance_metrics
from reid.reports import SHORTLIST, OnError, Progress, Reorder, by_geometry, embed_samples, reordered
from reid.search.expansion import augment_gallery, expand_all
from reid.search.fuse import METHODS, fit_weights, fuse

# "fitted" is "sum" with weights that come from the other half of the classes.
WAYS = (*METHODS, "fitted")
FIT_QUERIES = 400
BLOCK = 256


def members_of(name: str) -> list[str]:
    """`a+b` -> [a, b]; a single name is a list of one."""
    members = [part.strip() for part in name.split("+")]
    if not all(members):
        raise UnknownNameError(f"{name!r} is no fusion; join backends by +, e.g. gpn+lite0.")
    return members


def evaluate_combined(
    root: str | os.PathLike[str],
    layout: str,
    name: str,
    way: str = "sum",
    *,
    expand: int = 0,
    augment: int = 0,
    rerank: str = "none",
    progress: Progress | None = None,
    on_error: OnError | None = None,
) -> dict[str, Any]:
    """Run a retrieval protocol with one backend or several joined by `+`.

    Args:
        root, layout: as for `reid.reports.evaluate`, but for camvid.
        name: backends' names joined by `+`.
        way: one of `WAYS`. "fitted" splits the classes (identities) in two; each half's queries are ranked by the
            weights that suit the other half's best, so that no query is ranked by weights that it helped to choose.
        expand: how many of its first a query is averaged with.
        augment: how many of its nearest each gallery vector is averaged with.
        rerank: "none"; "geometry": the shortlist of all together is checked by the first of them that has keypoints.
        progress: called with (done, total).
        on_error: called with each file that is left out and why.

    Returns:
        The figures of `reid.reports.evaluate`, and `members`: the same of each alone (without expansion).

    Raises:
        UnknownNameError: no such backend, layout or way.
        PartwiseError: a backend does not embed, or none has the keypoints that are asked for.
    """
    if way not in WAYS:
        raise UnknownNameError(f"There is no fusion {way!r}; there are {', '.join(WAYS)}.")
    loaded = [backends.get(member) for member in members_of(name)]
    for backend in loaded:
        if backend.card.dim is None:
            raise PartwiseError(f"{backend.card.name} does not embed, so it ranks nothing.")
    if rerank not in ("none", "geometry"):
        raise PartwiseError(f"What is fused or expanded is re-ranked by geometry alone, not by {rerank}.")
    checks = next((backend for backend in loaded if hasattr(backend, "keypoints")), None)
    if rerank == "geometry" and checks is None:
        raise PartwiseError(f"None of {name} has keypoints to check geometry with; add sift, surf or orb.")
    protocol = read_protocol(root, layout, on_error)
    relevance = protocol.kind == "relevance"
    each = len(protocol.gallery) + (0 if relevance else len(protocol.query))
    query: list[Sample] = []
    gallery: list[Sample] = []
    vectors: list[tuple[np.ndarray, np.ndarray]] = []
    for i, backend in enumerate(loaded):

        def told(before: int, i: int = i) -> Any:
            return None if progress is None else lambda done: progress(i * each + before + done, each * len(loaded))

        # Every backend reads the same files, so the same ones are left out.
        gallery, held = embed_samples(protocol.gallery, backend, with_parts=False, progress=told(0), on_error=on_error)
        asked = held
        query = gallery
        if not relevance:
            query, asked = embed_samples(
                protocol.query, backend, with_parts=False, progress=told(len(gallery)), on_error=on_error
            )
        vectors.append((asked.global_, held.global_))
    members = {
        backend.card.name: _figures(protocol, query, gallery, [one], "sum")
        for backend, one in zip(loaded, vectors, strict=True)
    }
    stronger = [_stronger(asked, held, expand, augment) for asked, held in vectors]
    reorder = None if rerank == "none" else by_geometry(query, gallery, checks)
    return {**_figures(protocol, query, gallery, stronger, way, reorder), "members": members}


def _stronger(asked: np.ndarray, held: np.ndarray, expand: int, augment: int) -> tuple[np.ndarray, np.ndarray]:
    if augment > 0:
        both = asked is held  # every picture asks all others
        held = augment_gallery(held, augment)
        asked = held if both else asked
    if expand > 0:
        asked = expand_all(asked, held, expand)
    return asked, held


def _figures(
    protocol: Protocol,
    query: list[Sample],
    gallery: list[Sample],
    vectors: Sequence[tuple[np.ndarray, np.ndarray]],
    way: str,
    reorder: Reorder | None = None,
) -> dict[str, Any]:
    classes = [np.array([str(s.identity) for s in side]) for side in (query, gallery)]
    cameras = [np.array([str(s.camera) for s in side]) for side in (query, gallery)]
    relevance = protocol.kind == "relevance"
    weights: dict[int, list[float] | None] = {0: None, 1: None}
    half = np.unique(np.concatenate(classes), return_inverse=True)[1][: len(query)] % 2
    method = "sum" if way == "fitted" else way
    if way == "fitted" and len(vectors) > 1:
        for side in (0, 1):
            rows = np.flatnonzero(half == side)
            rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), FIT_QUERIES)).astype(int))]
            same = classes[0][rows][:, None] == classes[1][None]
            counted = np.ones_like(same)
            if relevance:
                counted[np.arange(len(rows)), rows] = False
            else:
                counted &= ~(same & (cameras[0][rows][:, None] == cameras[1][None]))
            similarities = [asked[rows] @ held.T for asked, held in vectors]
            weights[1 - side] = fit_weights(similarities, same, counted, method=method).tolist()

    def blocks() -> Any:
        for start in range(0, len(query), BLOCK):
            rows = slice(start, start + BLOCK)
            similarities = [asked[rows] @ held.T for asked, held in vectors]
            if len(similarities) == 1:
                yield -similarities[0]
                continue
            scores = [fuse(similarities, weights[side], method) for side in (0, 1)]
            yield -np.where(half[rows][:, None] == 0, scores[0], scores[1])

    ranking = blocks() if reorder is None else reordered(blocks(), reorder, SHORTLIST["geometry"])
    if relevance:
        ranked = relevance_metrics(ranking, classes[1])
        figures: dict[str, Any] = {
            "P10": 100 * ranked.precision,
            "mAP": 100 * ranked.mAP,
            "queries": ranked.valid_queries,
        }
    else:
        found = rank_metrics(ranking, classes[0], cameras[0], classes[1], cameras[1])
        figures = {f"rank{k}": 100 * found.rank(k) for k in (1, 5, 10)}
        figures |= {"mAP": 100 * found.mAP, "mINP": 100 * found.mINP, "queries": found.valid_queries}
        figures["gallery"] = len(gallery)
    if weights[0] is not None and weights[1] is not None:
        figures["weights"] = [weights[0], weights[1]]
    return figures
