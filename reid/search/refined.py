"""A gallery searched by several backends at once, by an expanded query, or by what a person said of its hits."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reid.backends import Backend
from reid.embedding import Embedding
from reid.errors import GalleryError, PartwiseError, UnknownNameError
from reid.galleries import Gallery
from reid.search.expansion import ALPHA, augment_gallery, expand
from reid.search.feedback import LinearMap, fit_map, pairs_of, rocchio
from reid.search.fuse import fit_weights, fuse, unit_range
from reid.search.query import (
    SHORTLIST,
    Hit,
    Hits,
    PartMatch,
    _among,
    _by_geometry,
    _check_indexed,
    _margins,
    _one_a_picture,
    _Ranking,
    asked_with,
    search,
)

# So many labelled pictures ask when weights are fitted, and so many answer.
FIT_QUERIES, FIT_ITEMS = 300, 3000
# Judgements that are kept of a gallery: the latest.
KEPT_PAIRS = 2000
MAP_STRENGTH = 2.0

_NOBODY = (None, "", "-1", "0000")


def search_fused(
    gallery: Gallery,
    members: Sequence[Backend],
    picture: np.ndarray,
    *,
    method: str = "sum",
    weights: Sequence[float] | None = None,
    top: int = 10,
    cameras: Sequence[str] | None = None,
    exclude_camera: str | None = None,
    words: str | None = None,
    rerank: str = "none",
) -> Hits:
    """Rank a gallery by several backends together.

    Args:
        gallery: indexed with each of them; pictures that one has not embedded are left out.
        members: two loaded backends or more.
        picture: RGB uint8 (H, W, 3).
        method, weights: see `reid.search.fuse.fuse`.
        top, cameras, exclude_camera, words: as for `search`.
        rerank: "none"; "geometry": the shortlist is checked by the first member that has keypoints.

    Returns:
        Hits whose `similarity` is their place between the least (0) and the most (1) alike, and whose `parts` are the
        members' own cosines by name.

    Raises:
        GalleryError: the gallery lacks a member's vectors.
        PartwiseError: members or weights do not fit.
    """
    started = time.perf_counter()
    if top < 1:
        raise PartwiseError(f"A search gives 1 hit or more, not {top}.")
    among = _among(gallery, cameras, exclude_camera, words)
    checks = _with_keypoints(members) if rerank == "geometry" else None
    if rerank not in ("none", "geometry"):
        raise PartwiseError(f"Several backends together are re-ranked by geometry alone, not by {rerank}.")
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for member in members:
        store = gallery.store(member.recipe_hash())
        _check_indexed(gallery, member, store.count())
        ids, cosines = store.search(member.embed([picture])[0].global_, store.count())
        order = np.argsort(ids)
        found.append((ids[order], cosines[order]))
    common = among
    for ids, _ in found:
        common = ids if common is None else np.intersect1d(common, ids, assume_unique=True)
    assert common is not None
    rows = [cosines[np.searchsorted(ids, common)] for ids, cosines in found]
    if not len(common):
        return Hits([], (time.perf_counter() - started) * 1000, 0)
    scores = unit_range(fuse([row[None] for row in rows], weights, method))[0]
    order = np.argsort(-scores, kind="stable")
    names = [member.card.name for member in members]

    def own(id: int) -> dict[str, PartMatch]:
        i = int(np.searchsorted(common, id))
        return {name: PartMatch(float(row[i]), 1.0) for name, row in zip(names, rows, strict=True)}

    matches: dict[int, Any] = {}
    if checks is not None:
        order = order[: max(SHORTLIST, top)]  # nothing beyond it, as for one backend
        checked, matches = _by_geometry(gallery, checks, picture, common[order])
        order = order[checked]
    return _hits(gallery, _Ranking.of(common[order], scores[order], len(common), matches), top, started, own)


def _with_keypoints(members: Sequence[Backend]) -> Backend:
    for member in members:
        if hasattr(member, "keypoints"):
            return member
    names = "+".join(member.card.name for member in members)
    raise PartwiseError(f"None of {names} has keypoints to check geometry with; add sift, surf or orb.")


def fitted_weights(gallery: Gallery, members: Sequence[Backend], method: str = "sum") -> np.ndarray:
    """The weights by which the gallery's own labelled pictures find each other best, across cameras where it has any.

    Raises:
        GalleryError: the gallery has no two pictures of one identity, or lacks a member's vectors.
    """
    items = [item for item in gallery.items() if item.identity not in _NOBODY and item.box is None]
    chosen = [items[i] for i in np.unique(np.linspace(0, len(items) - 1, min(len(items), FIT_ITEMS)).astype(int))]
    vectors = []
    for member in members:
        ids, embeddings = gallery.vectors(member.recipe_hash(), [item.id for item in chosen], parts=False)
        _check_indexed(gallery, member, len(ids))
        vectors.append(dict(zip(ids.tolist(), embeddings.global_, strict=True)))
    chosen = [item for item in chosen if all(item.id in known for known in vectors)]
    asks = np.unique(np.linspace(0, max(len(chosen) - 1, 0), min(len(chosen), FIT_QUERIES)).astype(int))
    identities = np.array([item.identity for item in chosen], dtype=str)
    cameras = np.array([item.camera or "" for item in chosen], dtype=str)
    relevant = identities[asks][:, None] == identities[None]
    # The query itself, and with cameras all of its own camera's pictures of the same identity, do not count.
    beside = relevant & (cameras[asks][:, None] == cameras[None]) if len(set(cameras.tolist())) > 1 else None
    counted = ~beside if beside is not None else np.arange(len(chosen))[None] != asks[:, None]
    if not (relevant & counted).any():
        raise GalleryError(
            f"Gallery {gallery.name!r} has no identity with two pictures to fit weights by; leave them even."
        )
    similarities = []
    for known in vectors:
        matrix = np.stack([known[item.id] for item in chosen])
        similarities.append(matrix[asks] @ matrix.T)
    return fit_weights(similarities, relevant, counted, method=method)


def search_expanded(
    gallery: Gallery,
    backend: Backend,
    query: np.ndarray | Embedding,
    *,
    neighbours: int = 5,
    alpha: float = ALPHA,
    augment: int = 0,
    **options: Any,
) -> Hits:
    """`search` with the query averaged with the first it finds, and the gallery with its own neighbours.

    Args:
        neighbours: how many of the first to add to the query; 0 for none.
        alpha: how much more the nearest count.
        augment: how many neighbours to add to each of the gallery's vectors; 0 for none. All are then compared anew,
            which takes a gallery of thousands seconds.
        options: as for `search`; the filters hold for the neighbours too.
    """
    started = time.perf_counter()
    embedding = asked_with(backend, query, options.get("rerank", "none"), options.get("part_weights"))
    if neighbours > 0:
        filters = {k: options[k] for k in ("cameras", "exclude_camera", "words") if k in options}
        first = search(gallery, backend, embedding, top=neighbours, **filters)
        _, near = gallery.vectors(backend.recipe_hash(), [hit.item.id for hit in first.hits], parts=False)
        embedding = replace(embedding, global_=expand(embedding.global_, near.global_, alpha))
    if augment > 0:
        ids, embeddings = gallery.part_vectors(backend.recipe_hash())
        _check_indexed(gallery, backend, len(ids))
        return _compared(gallery, embedding, ids, augment_gallery(embeddings.global_, augment, alpha), started, options)
    return replace(search(gallery, backend, embedding, **options), ms=(time.perf_counter() - started) * 1000)


@dataclass(frozen=True)
class Judged:
    """Items of a gallery by id that a person found right or wrong for one query."""

    right: tuple[int, ...] = ()
    wrong: tuple[int, ...] = ()


def search_judged(
    gallery: Gallery,
    backend: Backend,
    query: np.ndarray | Embedding,
    judged: Judged,
    *,
    bent: bool = False,
    **options: Any,
) -> Hits:
    """`search` with the query moved by judgements of its hits.

    Args:
        judged: of which items.
        bent: True compares by the linear map that the gallery's judgements so far have taught (`refit`), if any.
        options: as for `search`.
    """
    started = time.perf_counter()
    embedding = asked_with(backend, query, options.get("rerank", "none"), options.get("part_weights"))
    right, wrong = _vectors(gallery, backend, judged.right), _vectors(gallery, backend, judged.wrong)
    moved = replace(embedding, global_=rocchio(embedding.global_, right, wrong))
    learnt = read_map(gallery, backend) if bent else None
    if learnt is None:
        return replace(search(gallery, backend, moved, **options), ms=(time.perf_counter() - started) * 1000)
    ids, embeddings = gallery.part_vectors(backend.recipe_hash())
    _check_indexed(gallery, backend, len(ids))
    bent_query = replace(moved, global_=learnt.apply(moved.global_))
    return _compared(gallery, bent_query, ids, learnt.apply(embeddings.global_), started, options)


def refit(gallery: Gallery, backend: Backend, query: np.ndarray | Embedding, judged: Judged) -> LinearMap:
    """Add judgements to the gallery's own, and refit its linear map for this backend; it stays with the gallery.

    Raises:
        PartwiseError: nothing was judged.
        GalleryError: the gallery's folder cannot be written.
    """
    embedding = asked_with(backend, query)
    right, wrong = _vectors(gallery, backend, judged.right), _vectors(gallery, backend, judged.wrong)
    if not len(right) and not len(wrong):
        raise PartwiseError("Nothing was judged yet: mark a hit as right or wrong first.")
    pairs = pairs_of(embedding.global_, right, wrong)
    alike, unlike = (
        np.concatenate([old, new.astype(np.float16)])[-KEPT_PAIRS:]
        for old, new in zip(_judgements(gallery, backend, embedding.dim), pairs, strict=True)
    )
    path = _feedback_file(gallery, backend)
    try:
        path.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            np.savez(file, alike=alike, unlike=unlike)
        os.replace(file.name, path)
    except OSError as error:
        raise GalleryError(f"What was learnt cannot be kept in {path.parent}: {error.strerror}; make room.") from error
    return fit_map(alike.astype(np.float32), unlike.astype(np.float32), strength=MAP_STRENGTH)


def read_map(gallery: Gallery, backend: Backend) -> LinearMap | None:
    """The linear map that a gallery's judgements have taught for this backend; None where there are none."""
    alike, unlike = _judgements(gallery, backend, backend.card.dim or 0)
    if not len(alike) and not len(unlike):
        return None
    return fit_map(alike.astype(np.float32), unlike.astype(np.float32), strength=MAP_STRENGTH)


def unlearn(gallery: Gallery, backend: Backend) -> None:
    """Forget a gallery's judgements for this backend."""
    _feedback_file(gallery, backend).unlink(missing_ok=True)


def items_named(gallery: Gallery, names: Iterable[str]) -> tuple[int, ...]:
    """Ids of a gallery's items by their names.

    Raises:
        UnknownNameError: there is none of a name.
    """
    wanted = list(names)
    ids = {item.name: item.id for item in gallery.items()} if wanted else {}
    missing = [name for name in wanted if name not in ids]
    if missing:
        raise UnknownNameError(
            f"Gallery {gallery.name!r} has no picture {missing[0]!r}; names are those that hits have."
        )
    return tuple(ids[name] for name in wanted)


def _feedback_file(gallery: Gallery, backend: Backend) -> Path:
    return gallery.folder / "feedback" / f"{backend.recipe_hash()}.npz"


def _judgements(gallery: Gallery, backend: Backend, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Differences of alike and unlike pairs so far, float16; none where the file is missing or damaged."""
    try:
        with np.load(_feedback_file(gallery, backend), allow_pickle=False) as kept:
            alike, unlike = kept["alike"], kept["unlike"]
        if alike.ndim == unlike.ndim == 2 and alike.shape[1] == unlike.shape[1] == dim:
            return alike, unlike
    except (OSError, ValueError, KeyError, EOFError):
        pass
    return np.zeros((0, dim), np.float16), np.zeros((0, dim), np.float16)


def _vectors(gallery: Gallery, backend: Backend, ids: Sequence[int]) -> np.ndarray:
    """(K, D) vectors of items, (0, D) for none."""
    dim = backend.card.dim or 0
    if not ids:
        return np.zeros((0, dim), np.float32)
    return gallery.vectors(backend.recipe_hash(), ids, parts=False)[1].global_.reshape(-1, dim)


def _compared(
    gallery: Gallery,
    query: Embedding,
    ids: np.ndarray,
    vectors: np.ndarray,
    started: float,
    options: dict[str, Any],
) -> Hits:
    """Rank vectors that are not those in the store."""
    unused = {k: v for k, v in options.items() if k in ("rerank", "part_weights") and v not in (None, "none")}
    if unused:
        raise PartwiseError("Re-ranking and part weights compare what is in the gallery; leave them out here.")
    among = _among(gallery, options.get("cameras"), options.get("exclude_camera"), options.get("words"))
    if among is not None:
        chosen = np.isin(ids, among, assume_unique=True)
        ids, vectors = ids[chosen], vectors[chosen]
    similarities = np.clip(vectors @ query.global_, -1, 1)
    order = np.argsort(-similarities, kind="stable")
    found = _hits(gallery, _Ranking.of(ids[order], similarities[order], len(ids)), options.get("top", 10), started)
    return replace(found, query=query)


def _hits(
    gallery: Gallery,
    ranking: _Ranking,
    top: int,
    started: float,
    parts: Callable[[int], dict[str, PartMatch]] = lambda id: {},
) -> Hits:
    first, similarities = _one_a_picture(gallery, ranking, top)
    with gallery.snapshot():
        margins = _margins(gallery, ranking, first)
        items = {item.id: item for item in gallery.items(first)}
    left = [(i, float(s)) for i, s in zip(first.tolist(), similarities, strict=True) if i in items]
    hits = [
        Hit(rank, items[i], score, margins[i], parts(i), ranking.matches.get(i))
        for rank, (i, score) in enumerate(left, 1)
    ]
    return Hits(hits, (time.perf_counter() - started) * 1000, ranking.count)
