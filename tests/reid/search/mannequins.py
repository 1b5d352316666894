"""Drawn people whose parsing is known, and a backend that parses exactly them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from models.gpn.anatomy import LABELS
from reid.backends import Backend, Card, Parse
from reid.embedding import Embeddings

STREET = (128, 120, 110)
PALETTE = np.arange(3 * len(LABELS), dtype=np.uint8).reshape(-1, 3) * 7

# Rows and columns of each label in a picture of 128x64; later ones lie over earlier ones.
FIGURE: dict[str, tuple[int, int, int, int]] = {
    "upper clothes": (28, 64, 20, 44),
    "lower clothes": (64, 112, 22, 42),
    "shoe": (112, 118, 20, 44),
    "face": (12, 26, 26, 38),
    "hair": (8, 16, 25, 39),
}
BACKPACK = {"bag": (32, 52, 24, 40)}
HANDBAG = {"bag": (70, 92, 42, 54)}
HAT = {"hat": (4, 10, 25, 39)}
LONG_HAIR = {"hair": (8, 36, 25, 39)}
BARE_LEGS = {"leg": (76, 112, 22, 42)}

SKIN = {"face": (230, 180, 150), "leg": (230, 180, 150), "hair": (20, 18, 18)}


def mannequin(
    colours: Mapping[str, tuple[int, int, int]], *more: Mapping[str, tuple[int, int, int, int]], seed: int = 0
) -> tuple[np.ndarray, Parse]:
    """A picture (128, 64, 3) with a little noise and its parsing."""
    labels = np.zeros((128, 64), np.uint8)
    picture = np.full((128, 64, 3), STREET, np.float64)
    regions = dict(FIGURE)
    for one in more:
        regions.update(one)
    for label, (top, bottom, left, right) in regions.items():
        labels[top:bottom, left:right] = LABELS.index(label)
        picture[top:bottom, left:right] = colours.get(label, SKIN.get(label, (15, 15, 15)))
    noise = np.random.default_rng(seed).normal(0, 4, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8), Parse(labels, LABELS, PALETTE)


class Tailor(Backend):
    """Embeds by mean colours of upper and lower half; parses a mannequin by where its regions are."""

    card = Card(
        "tailor",
        "baseline",
        "person",
        ("embed", "parse"),
        "Mean colours.",
        dim=6,
        parts=("upper", "lower"),
        weights=None,
    )

    def load(self) -> None:
        pass

    def embed(self, pictures: Sequence[np.ndarray]) -> Embeddings:
        halves = np.array([[h.mean((0, 1)) for h in np.array_split(p / 255 - 0.5, 2)] for p in pictures])
        return Embeddings.of(halves.reshape(len(pictures), 6), halves.reshape(len(pictures), 2, 3))

    def parse(self, picture: np.ndarray) -> Parse:
        if np.abs(picture.astype(int) - STREET).mean() < 6:
            return Parse(np.zeros(picture.shape[:2], np.uint8), LABELS, PALETTE)
        return mannequin({})[1]
