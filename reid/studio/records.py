"""What the studio is told and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reid.backends import Card, Parse, Skeleton
from reid.backends.keypoints import Matches
from reid.explain.part_bars import PartBar
from reid.search import Hit

Progress = Callable[[float, str], None]
"""Called with the share done, 0..1, and what is being done."""


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask for.

    Attributes:
        top: most hits a search returns.
        upload_files: most pictures one upload may bring.
        private: True where strangers share the machine: every visitor then gets galleries of their own, which live as
            long as the visit.
    """

    top: int = 60
    upload_files: int = 5_000
    private: bool = False


@dataclass(frozen=True)
class Found:
    """What one search gave.

    Attributes:
        query: (H, W, 3) uint8 RGB, as it was compared, made smaller where it was large.
        gallery: name of the gallery.
        card: the backend's card.
        hits: best first.
        searched: how many pictures passed the filters and were compared.
        ms: time the search took, embedding the query included.
        weights: what the parts were weighed by; None where the whole decided.
        note: a sentence to read before believing the hits, or None.
        composed: True where `query` is a row of several pictures that parts were taken from.
    """

    query: np.ndarray
    gallery: str
    card: Card
    hits: list[Hit]
    searched: int
    ms: float
    weights: Mapping[str, float] | None = None
    note: str | None = None
    composed: bool = False


@dataclass(frozen=True)
class Body:
    """What a backend sees of the person on a picture; None where it cannot say."""

    skeleton: Skeleton | None = None
    parse: Parse | None = None


@dataclass(frozen=True)
class Comparison:
    """A query beside one of its hits.

    Attributes:
        query, picture: (H, W, 3) uint8 RGB.
        hit: the picture's place in the ranking.
        card: the backend's card.
        matches: keypoint matches that agree on one geometry; None where the backend has no keypoints.
        query_body, body: skeleton and parsing of the two, for backends that find them; the query's is None where it is
            composed.
        bars: how much each part speaks for the match, for backends with parts.
        whole: (H, W, 3) uint8 RGB, the picture or frame that the hit is a region of; None where it is a whole picture.
    """

    query: np.ndarray
    picture: np.ndarray
    hit: Hit
    card: Card
    matches: Matches | None = None
    query_body: Body | None = None
    body: Body | None = None
    bars: Sequence[PartBar] = ()
    whole: np.ndarray | None = None


@dataclass
class Added:
    """What became of an upload.

    Attributes:
        gallery: its name.
        added: how many pictures are new in it.
        skipped: a sentence for each file that was left out.
    """

    gallery: str
    added: int = 0
    skipped: list[str] = field(default_factory=list)
