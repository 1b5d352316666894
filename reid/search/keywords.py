"""Keywords: words for what a parsing sees of a person, kept with every picture and searched like a user's own.

"red upper, blue lower, white shoes, black backpack, bag, long black hair": a garment follows its colour, so that
`red-upper` finds the two as a phrase.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from reid.backends import Backend, Parse
from reid.colours import MIN_PIXELS, median_colour, name_colour
from reid.embedding import Embeddings
from reid.galleries import Gallery

# Pictures are read at this height: words need no more, and large photos cost no more than crops.
HEIGHT = 256

# Least share of the figure's pixels at which a label is believed. Those of bags, hats and bare legs are what tells
# Market-1501's training people apart best.
LEAST = {"upper clothes": 0.03, "lower clothes": 0.03, "shoe": 0.005, "bag": 0.004, "hat": 0.008, "hair": 0.01}
# A figure of fewer of the picture's pixels is no person to describe.
LEAST_FIGURE = 0.03

_HAIR = {
    "black": "black",
    "brown": "brown",
    "red": "red",
    "orange": "blond",
    "yellow": "blond",
    "grey": "grey",
    "white": "grey",
}
"""Hair in the words that people have for it; other colours are the light's."""

# Where a bag's middle lies, as a share of the figure's height from the top: on the back, at the hip, in the hand.
_BACKPACK_ABOVE, _HANDBAG_BELOW = 0.39, 0.58
# Hair is long where it reaches to less than this share of the figure's height above the clothes.
_LONG_HAIR = 0.045
_BARE_LEGS = 0.15


def describes_people(backend: Backend) -> bool:
    """Whether indexing with the backend keeps keywords: it embeds and parses people."""
    return backend.card.subject == "person" and {"embed", "parse"} <= set(backend.card.does)


def embed_with_words(backend: Backend, pictures: Sequence[np.ndarray]) -> tuple[Embeddings, list[str] | None]:
    """The pictures' embeddings and, of a backend that parses people, their keywords."""
    if not describes_people(backend):
        return backend.embed(pictures), None
    embeddings, parses = backend.embed_and_parse(pictures)
    return embeddings, [keywords(picture, parse) for picture, parse in zip(pictures, parses, strict=True)]


def put_embedded(
    gallery: Gallery, backend: Backend, ids: Sequence[int], embeddings: Embeddings, words: Sequence[str] | None
) -> None:
    """Keep what `embed_with_words` gave of these items, all or nothing."""
    with gallery.transaction():
        gallery.put_vectors(backend.recipe_hash(), ids, embeddings, backend=backend.card.name)
        there = gallery.identities_of(ids)  # one that was removed meanwhile needs no words
        for id, text in zip(ids, words or (), strict=words is not None):
            if id in there:
                gallery.set_words(id, text, "parse")


def keywords(picture: np.ndarray, parse: Parse) -> str:
    """Words for one person, comma between; empty where none is seen.

    Colours of garments, shoes, bag, hat and hair by the median over their pixels; where a bag is carried; whether hair
    is long and legs are bare.

    Args:
        picture: RGB uint8 (H, W, 3).
        parse: of the same picture, with the labels of `models.gpn.anatomy` (others are passed over).
    """
    if picture.shape[:2] != parse.labels.shape:
        raise ValueError(f"picture {picture.shape[:2]} and label map {parse.labels.shape} differ in size")
    picture, labels = _smaller(picture, parse.labels)
    masks = {name: labels == i for i, name in enumerate(parse.names) if name != "background"}
    figure = np.logical_or.reduce(list(masks.values()))
    total = int(figure.sum())
    if total < max(MIN_PIXELS, LEAST_FIGURE * figure.size):
        return ""
    seen = {name: masks[name] for name, least in LEAST.items() if name in masks and masks[name].sum() >= least * total}

    def coloured(label: str, noun: str) -> list[str]:
        colour = median_colour(picture, seen[label]) if label in seen else None
        return [] if colour is None else [f"{name_colour(colour)} {noun}"]

    words = coloured("upper clothes", "upper") + coloured("lower clothes", "lower") + coloured("shoe", "shoes")
    if "bag" in seen:
        middle = _depth(seen["bag"], figure, 50)
        kind = "backpack" if middle < _BACKPACK_ABOVE else "handbag" if middle > _HANDBAG_BELOW else "shoulder bag"
        words += [*coloured("bag", kind), "bag"]
    words += [*coloured("hat", "hat"), "hat"] if "hat" in seen else []
    words += _hair(picture, seen, figure)
    leg, lower = masks.get("leg"), masks.get("lower clothes")
    if leg is not None and lower is not None and leg.sum() > _BARE_LEGS * max((leg | lower).sum(), MIN_PIXELS):
        words.append("bare legs")
    return ", ".join(dict.fromkeys(words))


def _hair(picture: np.ndarray, seen: dict[str, np.ndarray], figure: np.ndarray) -> list[str]:
    colour = median_colour(picture, seen["hair"]) if "hair" in seen else None
    if colour is None:
        return []
    hue = _HAIR.get(name_colour(colour))
    if "upper clothes" not in seen:
        return [f"{hue} hair"] if hue else []
    long = _depth(seen["upper clothes"], figure, 5) - _depth(seen["hair"], figure, 95) < _LONG_HAIR
    return [" ".join(filter(None, ("long" if long else "short", hue, "hair")))]


def _depth(mask: np.ndarray, figure: np.ndarray, percent: float) -> float:
    """How far down the figure, 0 (its top) to 1, so many percent of a region's pixels end."""
    rows = np.flatnonzero(figure.any(1))
    top, height = rows[0], rows[-1] - rows[0] + 1
    return float((np.percentile(np.nonzero(mask)[0], percent) - top) / height)


def _smaller(picture: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = labels.shape
    if height <= HEIGHT:
        return picture, labels
    size = (max(1, round(width * HEIGHT / height)), HEIGHT)
    return (
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA),
        cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST),
    )
