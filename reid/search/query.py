"""Search: the nearest pictures of a gallery, filtered by camera and words, weighed by parts, re-ranked on request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from reid.backends import Backend
from reid.embedding import Embedding
from reid.errors import GalleryError, PartwiseError, UnknownNameError
from reid.galleries import Gallery, Item
from reid.search.parts import chosen_part_similarity, part_cosines, part_similarity, shared_visibility

RERANKS = ("none", "parts", "geometry")

# So many of the nearest are looked at again by parts or geometry.
SHORTLIST = 100

REVEALED = "Somebody hides part of the query; they are painted over, and left out of this match by parts."

# Market-1501's marks for pictures whose identity is not known: junk boxes and distractors.
_NOBODY = (None, "", "-1", "0000")


@dataclass(frozen=True)
class PartMatch:
    """How one part of the query and of a hit go together.

    Attributes:
        similarity: cosine of the two part vectors, -1..1.
        visibility: 0..1, how much of the part both pictures show (the lesser of the two visibilities).
    """

    similarity: float
    visibility: float


@dataclass(frozen=True)
class Hit:
    """One picture that was found.

    Attributes:
        rank: from 1.
        item: the picture.
        similarity: what the ranking is by, -1..1: the cosine of the global vectors; with `rerank="parts"` averaged with
            the part cosines by visibility, with part weights the part cosines alone by weight, hidden parts counting as
            strangers' (`reid.search.parts`). With `rerank="geometry"` it is the cosine, though the order is by inliers.
        margin: how clearly this hit's identity stands before the next one: the similarity of that identity's
            best-placed picture minus that of the best-placed picture of the identity that follows it in the ranking.
            Only pictures that passed the filters count, and with re-ranking only the shortlist. It is negative where
            re-ranking went against similarity, and None where the hit's identity is unknown (distractors and junk
            count as unknown) or no other identity follows. It is no probability.
        parts: part name -> match, for backends with parts.
        matches: with `rerank="geometry"` the keypoint matches that agree on one geometry
            (`reid.backends.keypoints.Matches`), in pixels of the query and of the item's picture (its region where it
            is one); else None.
    """

    rank: int
    item: Item
    similarity: float
    margin: float | None
    parts: dict[str, PartMatch]
    matches: Any = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON; box, frame and time only where the item is a region or a video's frame."""
        item = self.item
        where = {"box": item.box, "frame": item.frame, "time": item.time}
        return {
            "rank": self.rank,
            "name": item.name,
            "identity": item.identity,
            "camera": item.camera,
            "similarity": self.similarity,
            "margin": self.margin,
            "parts": {name: vars(part) for name, part in self.parts.items()},
            **{key: value for key, value in where.items() if value is not None},
        }


@dataclass(frozen=True)
class Hits:
    """The answer to a search.

    Attributes:
        hits: best first.
        ms: time it took, embedding the query included.
        searched: how many pictures passed the filters and were compared.
        query: the embedding that was asked with.
        revealed: the query's picture as it was compared, where what hides its subject was painted over; else None.
    """

    hits: list[Hit]
    ms: float
    searched: int = 0
    query: Embedding | None = None
    revealed: np.ndarray | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"hits": [hit.as_dict() for hit in self.hits], "ms": self.ms}


def search(
    gallery: Gallery,
    backend: Backend,
    query: np.ndarray | Embedding,
    *,
    top: int = 10,
    cameras: Sequence[str] | None = None,
    exclude_camera: str | None = None,
    words: str | None = None,
    rerank: str = "none",
    part_weights: Mapping[str, float] | None = None,
) -> Hits:
    """Find a gallery's pictures that are most like the query; of a picture's regions, the one that is most like it.

    Args:
        gallery: indexed with the backend.
        backend: loaded.
        query: RGB uint8 picture (H, W, 3), or an embedding of the same backend.
        top: how many hits at most.
        cameras: only pictures of these cameras.
        exclude_camera: no pictures of this camera: the query's own, as re-identification is about the others.
        words: only pictures that have all of these words, or words that begin with them; blank for all.
        rerank: "none"; "parts": the shortlist ordered by visible parts; "geometry": the shortlist checked by keypoints.
        part_weights: part name -> weight from 0 up (parts that are not named have 1). All pictures are then compared by
            their parts alone; a part of weight 0 leaves the match.

    Raises:
        GalleryError: the gallery has no vectors of this backend.
        UnknownNameError: no such part or re-ranking.
        PartwiseError: the backend cannot do what is asked, or the weights leave no part.
    """
    started = time.perf_counter()
    if top < 1:
        raise PartwiseError(f"A search gives 1 hit or more, not {top}.")
    weights = _weights(backend, part_weights)
    _check_rerank(backend, rerank, query)
    embedding, revealed = _asked(backend, query, rerank, part_weights)
    recipe = backend.recipe_hash()
    among = _among(gallery, cameras, exclude_camera, words)
    if weights is None:
        ranking = _by_global(gallery, backend, embedding, among)
    else:
        ranking = _by_parts(gallery, backend, embedding, among, weights)
    if rerank == "geometry" or (rerank == "parts" and weights is None):  # with weights, parts decide already
        ranking = _reranked(gallery, backend, ranking, query, embedding, rerank, top)
    ids, similarities = _one_a_picture(gallery, ranking, top)
    with gallery.snapshot():
        margins = _margins(gallery, ranking, ids)
        items = {item.id: item for item in gallery.items(ids)}
        parts = _part_matches(gallery, backend, embedding, ids, recipe)
    # A picture that was removed while this ran is in the ranking, and not in the catalogue.
    similarities = np.clip(similarities, -1, 1)  # a picture is like itself by 1, and not by what single precision adds
    left = [(i, float(s)) for i, s in zip(ids.tolist(), similarities, strict=True) if i in items]
    hits = [
        Hit(rank, items[i], similarity, margins[i], parts.get(i, {}), ranking.matches.get(i))
        for rank, (i, similarity) in enumerate(left, 1)
    ]
    return Hits(hits, (time.perf_counter() - started) * 1000, ranking.count, embedding, revealed)


def asked_with(
    backend: Backend,
    query: np.ndarray | Embedding,
    rerank: str = "none",
    part_weights: Mapping[str, float] | None = None,
) -> Embedding:
    """The embedding of a query; where parts are compared, that of its picture without what hides its subject.

    Args:
        query, rerank, part_weights: see `search`.
    """
    return _asked(backend, query, rerank, part_weights)[0]


def _asked(
    backend: Backend, query: np.ndarray | Embedding, rerank: str, part_weights: Mapping[str, float] | None
) -> tuple[Embedding, np.ndarray | None]:
    """A query's embedding, and the picture it was made of if something was taken out of that."""
    if isinstance(query, Embedding):
        return query, None
    shown = backend.reveal([query])[0] if rerank == "parts" or part_weights else query
    return backend.embed([shown])[0], None if shown is query else shown


@dataclass(frozen=True)
class _Ranking:
    """Items by similarity, found as deep as is asked for.

    Attributes:
        find: gives the first ids and similarities, so many as asked for or as there are.
        count: how many pictures were compared.
        matches: keypoint matches by id.
    """

    find: Callable[[int], tuple[np.ndarray, np.ndarray]]
    count: int
    matches: dict[int, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, ids: np.ndarray, similarities: np.ndarray, count: int, matches: dict[int, Any] | None = None
    ) -> _Ranking:
        return cls(lambda depth: (ids[:depth], similarities[:depth]), count, matches or {})


def _among(
    gallery: Gallery, cameras: Sequence[str] | None, exclude_camera: str | None, words: str | None
) -> np.ndarray | None:
    """Ids that pass the filters; None where there are no filters."""
    among = None
    if cameras is not None:
        there = gallery.cameras()
        unknown = sorted(set(cameras) - set(there))
        if unknown:
            raise UnknownNameError(
                f"Gallery {gallery.name!r} has no camera {unknown[0]!r}; "
                + (f"there are {', '.join(there)}." if there else "no cameras are known in it.")
            )
    if cameras is not None or exclude_camera is not None:
        among = gallery.ids_where(cameras, exclude_camera)
    if words is not None and words.strip():
        found = np.sort(np.array(gallery.search_words(words), np.int64))
        among = found if among is None else np.intersect1d(among, found, assume_unique=True)
    return among


def _by_global(gallery: Gallery, backend: Backend, query: Embedding, among: np.ndarray | None) -> _Ranking:
    store = gallery.store(backend.recipe_hash())
    _check_indexed(gallery, backend, store.count())
    if query.dim != store.dim:
        raise PartwiseError(f"The query has {query.dim} numbers and {backend.card.name}'s vectors have {store.dim}.")
    if among is not None:
        among = np.intersect1d(among, gallery.vector_ids(backend.recipe_hash()), assume_unique=True)
    count = store.count() if among is None else len(among)
    return _Ranking(lambda depth: store.search(query.global_, depth, among), count)


def _by_parts(
    gallery: Gallery, backend: Backend, query: Embedding, among: np.ndarray | None, weights: np.ndarray
) -> _Ranking:
    ids, embeddings = gallery.part_vectors(backend.recipe_hash())
    _check_indexed(gallery, backend, len(ids))
    similarities = chosen_part_similarity(query, embeddings, weights)
    if among is not None:
        chosen = np.isin(ids, among, assume_unique=True)
        ids, similarities = ids[chosen], similarities[chosen]
    order = np.argsort(-similarities, kind="stable")
    return _Ranking.of(ids[order], similarities[order], len(ids))


def _reranked(
    gallery: Gallery, backend: Backend, ranking: _Ranking, query: Any, embedding: Embedding, rerank: str, top: int
) -> _Ranking:
    """The shortlist in another order, and nothing beyond it: there similarities would be of another kind."""
    ids, similarities = ranking.find(max(SHORTLIST, top))
    matches: dict[int, Any] = {}
    if rerank == "parts":
        ids, embeddings = gallery.vectors(backend.recipe_hash(), ids)
        similarities = part_similarity(embedding, embeddings)
        order = np.argsort(-similarities, kind="stable")
    else:
        order, matches = _by_geometry(gallery, backend, query, ids)
    return _Ranking.of(ids[order], similarities[order], ranking.count, matches)


def _one_a_picture(gallery: Gallery, ranking: _Ranking, top: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `top` ids (K,) and similarities (K,), of the regions of one picture or frame only the best."""
    depth = top
    while True:
        ids, similarities = ranking.find(depth)
        pictures = gallery.pictures_of(ids)
        seen: set[tuple[str, int | None]] = set()
        kept = []
        for n, id in enumerate(ids.tolist()):
            picture = pictures.get(id)
            if picture is None or picture not in seen:
                kept.append(n)
            if picture is not None:
                seen.add(picture)
        if len(kept) >= top or len(ids) < depth:
            return ids[kept[:top]], similarities[kept[:top]]
        depth *= 4


def _by_geometry(gallery: Gallery, backend: Any, query: Any, ids: np.ndarray) -> tuple[np.ndarray, dict[int, Any]]:
    """The order of the shortlist (K,) by inliers, and the matches by id; a picture whose file is gone has none."""
    from reid.search.geometry import check_shortlist, order_by_inliers

    items = [item for item in gallery.items(ids) if item.path.exists()]
    pictures = [(f"{item.sha256} {item.frame} {item.box}", partial(gallery.picture, item)) for item in items]
    _, found = check_shortlist(backend, query, pictures)
    matches = {item.id: matches for item, matches in zip(items, found, strict=True)}
    inliers = [matches[i].inliers if i in matches else 0 for i in ids.tolist()]
    return order_by_inliers(inliers), matches


def _margins(gallery: Gallery, ranking: _Ranking, ids: np.ndarray) -> dict[int, float | None]:
    """Margin by id; see `Hit.margin`."""
    depth = max(SHORTLIST, 2 * len(ids))
    while True:
        deep_ids, similarities = ranking.find(depth)
        identities = gallery.identities_of(deep_ids)
        best: dict[str, float] = {}
        for id, similarity in zip(deep_ids.tolist(), similarities.tolist(), strict=True):
            identity = identities.get(id)
            if identity not in _NOBODY:
                best.setdefault(identity, similarity)
        wanted = {identities.get(int(i)) for i in ids} - set(_NOBODY)
        order = list(best)
        # Fewer than asked for: there are no more (a count from before may be too high by now).
        if len(deep_ids) < depth or not order or order[-1] not in wanted:
            break
        depth *= 8
    following = dict(pairwise(order))
    margins: dict[int, float | None] = {}
    for i in ids.tolist():
        identity = identities.get(i)
        margins[i] = best[identity] - best[following[identity]] if identity in following else None
    return margins


def _part_matches(
    gallery: Gallery, backend: Backend, query: Embedding, ids: np.ndarray, recipe: str
) -> dict[int, dict[str, PartMatch]]:
    names = backend.card.parts
    if not names or not len(ids) or not len(query.parts):
        return {}
    found, embeddings = gallery.vectors(recipe, ids)
    cosines, visibility = np.clip(part_cosines(query, embeddings), -1, 1), shared_visibility(query, embeddings)
    return {
        int(i): {
            name: PartMatch(float(c), float(v)) for name, c, v in zip(names, cosines[n], visibility[n], strict=True)
        }
        for n, i in enumerate(found)
    }


def _weights(backend: Backend, part_weights: Mapping[str, float] | None) -> np.ndarray | None:
    """(P,) float32, or None where no weights are given."""
    if not part_weights:
        return None
    names = backend.card.parts
    if not names:
        raise PartwiseError(f"{backend.card.name} has no parts to weigh; leave the part weights out.")
    unknown = set(part_weights) - set(names)
    if unknown:
        raise UnknownNameError(
            f"{backend.card.name} has no part {sorted(unknown)[0]!r}; its parts are {', '.join(names)}."
        )
    weights = np.array([part_weights.get(name, 1.0) for name in names], np.float32)
    if not np.all(np.isfinite(weights)) or weights.min() < 0:
        raise PartwiseError("Part weights are numbers from 0 up.")
    if not weights.any():
        raise PartwiseError("All parts have weight 0, so there is nothing to compare; give one of them more.")
    return weights


def _check_rerank(backend: Backend, rerank: str, query: np.ndarray | Embedding) -> None:
    if rerank not in RERANKS:
        raise UnknownNameError(f"There is no re-ranking {rerank!r}; there are {', '.join(RERANKS)}.")
    if rerank == "parts" and not backend.card.parts:
        raise PartwiseError(f"{backend.card.name} has no parts to re-rank by.")
    if rerank == "geometry":
        if not hasattr(backend, "keypoints"):
            raise PartwiseError(f"{backend.card.name} has no keypoints to check geometry with; take sift, surf or orb.")
        if isinstance(query, Embedding):
            raise PartwiseError("Checking geometry needs the query's picture, not only its embedding.")


def _check_indexed(gallery: Gallery, backend: Backend, count: int) -> None:
    if count:
        return
    if not gallery.count():
        raise GalleryError(f"Gallery {gallery.name!r} is empty; index a folder into it first.")
    name = backend.card.name
    if name in gallery.recipes().values():
        raise GalleryError(
            f"Gallery {gallery.name!r} was indexed by {name} with other weights or settings; index it again by {name}."
        )
    there = ", ".join(dict.fromkeys(gallery.recipes().values())) or "none yet"
    raise GalleryError(f"Gallery {gallery.name!r} is not indexed by {name} (by {there}); index it by {name} first.")
