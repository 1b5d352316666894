"""Compose: a person put together out of parts of several pictures, "upper body like A, legs and shoes like B"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reid.backends import Backend
from reid.embedding import Embedding, l2_normalise
from reid.errors import PartwiseError, UnknownNameError
from reid.galleries import Gallery
from reid.search.query import Hits, search

# A part that its picture hides more than this cannot be asked for.
LEAST_VISIBILITY = 0.1


@dataclass(frozen=True, eq=False)
class Like:
    """Which parts are to be like which picture's.

    Attributes:
        parts: names on the backend's card.
        picture: RGB uint8 (H, W, 3).
        name: what errors call the picture.
    """

    parts: tuple[str, ...]
    picture: np.ndarray
    name: str = "the picture"


def compose(gallery: Gallery, backend: Backend, likes: Sequence[Like], **options: Any) -> Hits:
    """Find a gallery's pictures whose parts are like those of several pictures, each part as much as the others.

    Parts that are not named do not count.

    Args:
        gallery: indexed with the backend.
        backend: loaded, with parts.
        likes: at least one.
        options: `top`, `cameras`, `exclude_camera` and `words` of `reid.search.search`.

    Raises:
        PartwiseError: nothing is asked for, a part is asked for twice, or its picture does not show it.
        UnknownNameError: no such part.
        GalleryError: the gallery has no vectors of this backend.
    """
    embedding, asked = composed(backend, likes)
    weights = {name: float(name in asked) for name in backend.card.parts}
    return search(gallery, backend, embedding, part_weights=weights, **options)


def composed(backend: Backend, likes: Sequence[Like]) -> tuple[Embedding, dict[str, Like]]:
    """The embedding that is asked with, and which picture each of its parts comes from.

    Parts that nobody named have visibility 0; the whole is the mean of the pictures'.

    Raises:
        PartwiseError, UnknownNameError: see `compose`.
    """
    asked = _by_part(backend, likes)
    embeddings = backend.embed(backend.reveal([like.picture for like in likes]))
    parts = np.zeros(embeddings.parts.shape[1:], np.float32)
    visibility = np.zeros(len(parts), np.float32)
    for i, name in enumerate(backend.card.parts):
        if name not in asked:
            continue
        source = next(n for n, like in enumerate(likes) if like is asked[name])
        parts[i], visibility[i] = embeddings.parts[source, i], embeddings.visibility[source, i]
        if visibility[i] < LEAST_VISIBILITY:
            raise PartwiseError(
                f"{asked[name].name} does not show its {name} (visibility {visibility[i]:.2f}); "
                f"take {name} from another picture."
            )
    return Embedding(l2_normalise(embeddings.global_.mean(0)), parts, visibility), asked


def _by_part(backend: Backend, likes: Sequence[Like]) -> dict[str, Like]:
    names = backend.card.parts
    if not names:
        raise PartwiseError(f"{backend.card.name} has no parts to compose by; take a backend with parts.")
    asked: dict[str, Like] = {}
    for like in likes:
        for part in like.parts:
            if part not in names:
                raise UnknownNameError(f"{backend.card.name} has no part {part!r}; its parts are {', '.join(names)}.")
            if part in asked:
                raise PartwiseError(f"{part} is asked for twice, like {asked[part].name} and like {like.name}: choose.")
            asked[part] = like
    if not asked:
        raise PartwiseError("Nothing is asked for: name at least one part of one picture.")
    return asked
