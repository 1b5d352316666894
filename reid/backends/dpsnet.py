"""DPSNet as a backend: parses scenes, and describes them by what they contain and where."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from reid.backends.precision import autocast
from reid.backends.registry import Card, Parse, register
from reid.backends.shipped import ShippedNetwork
from reid.backends.tensors import to_tensor
from reid.embedding import Embeddings, l2_normalise

CLASSES: tuple[str, ...] = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
"""CamVid's, in the order of the network's logits."""

PALETTE = np.array(
    [
        (135, 190, 235),
        (150, 85, 70),
        (245, 220, 60),
        (95, 95, 105),
        (220, 150, 200),
        (70, 140, 60),
        (245, 130, 30),
        (190, 170, 120),
        (50, 70, 190),
        (225, 50, 60),
        (40, 195, 185),
    ],
    np.uint8,
)
"""A colour a class, in the order of `CLASSES`."""

SYNONYMS = {"pavement": "sidewalk", "pedestrian": "person", "bicyclist": "bicycle"}

# Pictures are brought to so many pixels, CamVid's frames magnified by 1.2, as training did on average. But none is
# enlarged beyond MAX_SCALE, nor shrunk until its short side is below MIN_SHORT: what is long and thin stays long.
AREA = 432 * 576
MAX_SCALE = 4.0
MIN_SHORT = 64
# Long ones go through in tiles that overlap; all of these are multiples of 8.
TILE, OVERLAP = 1024, 128
# Label maps are made no finer than this and enlarged by repetition.
MAX_MAP_SIDE = 1024

PYRAMID = (1, 2, 4)
FEATURES = 96
# A class with less of the picture is taken for absent.
LEAST = 0.002


@dataclass
class Tile:
    """What the network makes of a part of a picture; the margin that neighbours see better is already cut away.

    Attributes:
        top, left: in cells of 8 pixels of the scaled picture.
        logits: (2h, 2w, classes) float32. context: (h, w, features) float32.
    """

    top: int
    left: int
    logits: np.ndarray
    context: np.ndarray


@dataclass
class Look:
    """A scaled picture: its size in pixels, what it was scaled by, and the tiles that cover it."""

    height: int
    width: int
    scale: float
    tiles: Iterator[Tile]


class ScenePath(ShippedNetwork):
    """DPSNet on pictures of any size and aspect; a subclass names its weights.

    `parse` has the context path compute in bfloat16 where that is fast: labels hardly change. Vectors would, from one
    processor to another, and are reckoned in single precision.
    """

    def build(self) -> Any:
        from models.dpsnet import DPSNet

        return DPSNet()

    def prepare(self, net: Any) -> Any:
        return super().prepare(net.fuse())

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), "pyramid": PYRAMID, "area": AREA}

    def embed(self, pictures: Sequence[np.ndarray]) -> Embeddings:
        return self._describe(pictures, parse=False)[0]

    def parse(self, picture: np.ndarray) -> Parse:
        look = self._look(picture, quick=True)
        labels = _LabelMap(look)
        for tile in look.tiles:
            labels.add(tile)
        return labels.at(picture.shape[0], picture.shape[1])

    def embed_and_parse(self, pictures: Sequence[np.ndarray]) -> tuple[Embeddings, list[Parse]]:
        """`embed` and `parse` of each picture out of one pass through the network."""
        return self._describe(pictures, parse=True)

    def _describe(self, pictures: Sequence[np.ndarray], parse: bool) -> tuple[Embeddings, list[Parse]]:
        import torch

        n, cells = len(pictures), PYRAMID[-1] ** 2
        global_ = np.zeros((n, self.card.dim or 0), np.float32)
        parts = np.zeros((n, len(CLASSES), FEATURES + cells), np.float32)
        visibility = np.zeros((n, len(CLASSES)), np.float32)
        parses = []
        for i, picture in enumerate(pictures):
            look = self._look(picture)
            shares = np.zeros((-(-look.height // 8), -(-look.width // 8), len(CLASSES)), np.float32)
            pooled = np.zeros((len(CLASSES), FEATURES), np.float64)
            labels = _LabelMap(look) if parse else None
            for tile in look.tiles:
                if labels is not None:
                    labels.add(tile)
                share = _shares(tile.logits)[: shares.shape[0] - tile.top, : shares.shape[1] - tile.left]
                height, width = share.shape[:2]
                shares[tile.top : tile.top + height, tile.left : tile.left + width] = share
                context = tile.context[:height, :width].reshape(-1, FEATURES)
                # In torch, not NumPy: two libraries' threads in turn would wait for each other, four times as long.
                pooled += (torch.from_numpy(share.reshape(-1, len(CLASSES))).T @ torch.from_numpy(context)).numpy()
            global_[i], parts[i], visibility[i] = describe(shares, pooled)
            if labels is not None:
                parses.append(labels.at(picture.shape[0], picture.shape[1]))
        return Embeddings.of(global_, parts, visibility), parses

    def _look(self, picture: np.ndarray, quick: bool = False) -> Look:
        height, width = picture.shape[:2]
        short = min(height, width)
        scale = min(MAX_SCALE, max(math.sqrt(AREA / (height * width)), min(1.0, MIN_SHORT / short)))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        if size != (height, width):
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            picture = cv2.resize(picture, size[::-1], interpolation=how)
        return Look(*size, scale, self._tiles(picture, quick))

    def _tiles(self, picture: np.ndarray, quick: bool) -> Iterator[Tile]:
        import torch

        height, width = (-(-side // 8) * 8 for side in picture.shape[:2])
        for top, bottom in _spans(height):
            for left, right in _spans(width):
                tile = picture[top:bottom, left:right]
                below, beside = bottom - top - tile.shape[0], right - left - tile.shape[1]
                if below or beside:
                    tile = cv2.copyMakeBorder(tile, 0, below, 0, beside, cv2.BORDER_REPLICATE)
                with torch.inference_mode():
                    tensor = to_tensor([tile], tile.shape[:2])
                    out = self._net(tensor, autocast=autocast() if quick else None)
                y0, y1 = _inner(top, bottom, height)
                x0, x1 = _inner(left, right, width)
                logits = out["logits"][0, :, 2 * y0 : 2 * y1, 2 * x0 : 2 * x1].permute(1, 2, 0)
                context = out["context"][0, :, y0:y1, x0:x1].permute(1, 2, 0)
                yield Tile(top // 8 + y0, left // 8 + x0, logits.contiguous().numpy(), context.contiguous().numpy())


class _LabelMap:
    """Labels of a picture, put together from its tiles and brought to the caller's frame."""

    def __init__(self, look: Look) -> None:
        self.look = look
        finer = math.ceil(1 / look.scale - 1e-6)
        # Each cell of 8 scaled pixels becomes so many times 8 labels a side.
        self.finer = max(1, min(finer, MAX_MAP_SIDE // max(look.height, look.width)))
        self.labels = np.zeros((look.height * self.finer, look.width * self.finer), np.uint8)

    def add(self, tile: Tile) -> None:
        top, left, cell = tile.top, tile.left, 8 * self.finer
        height, width = (side * cell // 2 for side in tile.logits.shape[:2])
        fine = cv2.resize(tile.logits, (width, height), interpolation=cv2.INTER_LINEAR)
        place = self.labels[top * cell : top * cell + height, left * cell : left * cell + width]
        place[:] = fine[: place.shape[0], : place.shape[1]].argmax(2)

    def at(self, height: int, width: int) -> Parse:
        labels = self.labels
        if labels.shape != (height, width):
            rows = ((np.arange(height) + 0.5) * labels.shape[0] / height).astype(np.int64)
            columns = ((np.arange(width) + 0.5) * labels.shape[1] / width).astype(np.int64)
            labels = labels[rows[:, None], columns]
        return Parse(labels, CLASSES, PALETTE)


def describe(shares: np.ndarray, pooled: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A scene as numbers: which classes lie where, and what the context path made of each.

    Layouts on a spatial pyramid are after Lazebnik, Schmid and Ponce, "Beyond Bags of Features: Spatial Pyramid
    Matching for Recognizing Natural Scene Categories", CVPR 2006. Shares and features are square-rooted, so that large
    areas do not drown the rest.

    Args:
        shares: (h, w, C), how much of each class every cell shows; sums to 1 in every cell.
        pooled: (C, D), features from 0 up, summed over cells by share.

    Returns:
        global (21 C + C D + D,), parts (C, D + 16): features and layout of each class, and visibility (C,), the share
        of the picture that each class takes; a class below `LEAST` counts as absent.
    """
    levels = [_grid(shares, side) for side in PYRAMID]  # (side^2, C) each
    share = levels[0][0]
    present = share >= LEAST
    features = l2_normalise(np.sqrt(np.maximum(pooled, 0)))  # (C, D)
    weighed = (np.sqrt(share) * present)[:, None] * features
    layout = np.concatenate([np.sqrt(level) / math.sqrt(len(level)) for level in levels])
    whole = np.sqrt(np.maximum(pooled.sum(0), 0))
    global_ = np.concatenate([l2_normalise(x.ravel()) for x in (layout, weighed, whole)])
    where = l2_normalise(np.sqrt(levels[-1].T))  # (C, 16)
    parts = np.concatenate([features, 0.5 * where], axis=1) * present[:, None]
    return global_, parts, share * present


def scene_words(parse: Parse, least: float = 0.005) -> tuple[str, ...]:
    """The classes that take at least that share of a label map, largest first, each followed by its synonym."""
    share = np.bincount(parse.labels.ravel(), minlength=len(parse.names)) / parse.labels.size
    present = [parse.names[i] for i in np.argsort(-share, kind="stable") if share[i] >= least]
    return tuple(word for name in present for word in (name, SYNONYMS.get(name)) if word)


def _shares(logits: np.ndarray) -> np.ndarray:
    """(2h, 2w, C) logits -> (h, w, C) probabilities, averaged over two by two."""
    rows, columns, classes = logits.shape
    likely = np.exp(logits - logits.max(2, keepdims=True))
    likely /= likely.sum(2, keepdims=True)
    return likely.reshape(rows // 2, 2, columns // 2, 2, classes).mean((1, 3))


def _grid(shares: np.ndarray, side: int) -> np.ndarray:
    """(h, w, C) -> (side^2, C): means over a grid of side by side equal areas; fewer cells than that are shared out."""
    height, width = shares.shape[:2]
    even = cv2.resize(shares, (-(-width // side) * side, -(-height // side) * side), interpolation=cv2.INTER_LINEAR)
    even = even.reshape(side, even.shape[0] // side, side, even.shape[1] // side, -1)
    return even.mean((1, 3)).reshape(side * side, -1)


def _spans(length: int) -> list[tuple[int, int]]:
    """Overlapping spans of at most `TILE` that cover a length."""
    starts = range(0, max(1, length - OVERLAP), TILE - OVERLAP)
    return [(start, min(start + TILE, length)) for start in starts]


def _inner(start: int, end: int, length: int) -> tuple[int, int]:
    """What of a span is its own, in cells of 8 counted from its start: half of each overlap goes to the neighbour."""
    margin = OVERLAP // 2
    return (margin if start else 0) // 8, (end - start - (margin if end < length else 0)) // 8


class DPSNetScenes(ScenePath):
    """The project's own weights."""

    card = Card(
        name="dpsnet",
        family="scene parser",
        subject="scene",
        does=("embed", "parse"),
        summary="Dual-path sparse scene parsing: streets pixel by pixel, and scenes found by what they contain.",
        dim=len(CLASSES) * (sum(side * side for side in PYRAMID) + FEATURES) + FEATURES,
        parts=CLASSES,
        weights="dpsnet.safetensors",
        licence="research only (CamVid CC BY-NC, Market-1501, Clothing Co-Parsing)",
        research_only=True,
        paper="Yu et al., BiSeNet, ECCV 2018; Graham et al., Submanifold Sparse Convolutional Networks, CVPR 2018",
        preprocessing="scaled to 248,832 pixels, aspect kept, padded to multiples of 8; ImageNet mean and deviation",
    )
    weights_sha256 = "635492e0ee4d89e969f228ea94789b86724d6d8ac135823d9b284de195a6f32b"


# Offered once its weights ship: their hash, above, is all that this takes.
if DPSNetScenes.weights_sha256:
    register(DPSNetScenes.card)(DPSNetScenes)
