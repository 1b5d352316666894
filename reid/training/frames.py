"""Frames for the region networks: cut, scaled, mirrored and recoloured at random, with people pasted in.

A frame is seen at about the scale that inference brings it to, through a small window: a batch of windows costs what
two whole frames would, and shows many more places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torch import Tensor

from models.boxes import CLASSES
from reid.backends.frames import AREA, cut, frame_scale
from reid.datasets.coco import AnnotatedFrame
from reid.images import load_image
from reid.training.augmentation import normalised, recolour
from reid.training.body_losses import NO_PARSE, UNKNOWN
from reid.training.detection_losses import Target
from reid.training.sources import Table

MEAN_COLOUR = (124, 116, 104)


@dataclass(frozen=True)
class WindowSettings:
    """How windows are taken; probabilities are a window's.

    Attributes:
        size: (height, width) of a window.
        zoom: the least and the most that a frame is magnified beside `frame_scale`.
        area: pixels that `frame_scale` brings frames to.
        stretch: how much wider or narrower things may become.
        near: probability that a window is laid around an object, not anywhere.
        colour, grey, soft: strengths of what is done to colours and sharpness.
        paste: mean number of people pasted into a window, if there are any to paste.
    """

    size: tuple[int, int] = (288, 384)
    zoom: tuple[float, float] = (0.45, 1.6)
    area: int = AREA
    stretch: float = 0.12
    near: float = 0.7
    colour: float = 0.3
    grey: float = 0.05
    soft: float = 0.2
    paste: float = 0.5


@dataclass
class Boxes:
    """Boxes under way: XYXY (N, 4), class indices (N,), doubt (N,) and the share of each that is still seen (N,)."""

    xyxy: np.ndarray
    classes: np.ndarray
    doubtful: np.ndarray
    seen: np.ndarray = field(default_factory=lambda: np.ones(0, np.float32))

    @classmethod
    def of(cls, frame: AnnotatedFrame) -> Boxes:
        classes = np.array([CLASSES.index(label) for label in frame.labels], np.int64)
        return cls(frame.boxes.copy(), classes, frame.doubtful.copy(), np.ones(len(classes), np.float32))


class Cutouts:
    """People cut out of crops, to be pasted into frames.

    Args:
        tables: crops with masks (see `reid.training.sources`); those without are passed over.
        most: how many are kept in memory, drawn at random.
    """

    def __init__(self, tables: Sequence[Table], most: int = 3000) -> None:
        rng = np.random.default_rng(5)
        known = [(t, i) for t in tables for i in np.flatnonzero(t.scheme != NO_PARSE)]
        self.people: list[tuple[np.ndarray, np.ndarray]] = []
        for k in rng.permutation(len(known))[:most]:
            table, i = known[k]
            picture = load_image(table.paths[i])
            mask = ((table.masks[i] > 0) & (table.masks[i] != UNKNOWN)).astype(np.float32)
            mask = cv2.resize(mask, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            rows, columns = np.flatnonzero((mask > 0.5).any(1)), np.flatnonzero((mask > 0.5).any(0))
            # A silhouette that fills its crop, or hardly any of it, was misjudged.
            if len(rows) and len(columns) and 0.1 < mask.mean() < 0.8 and rows[-1] - rows[0] > picture.shape[0] / 2:
                around = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                self.people.append((picture[around].copy(), mask[around].copy()))

    def __len__(self) -> int:
        return len(self.people)

    def paste(self, window: np.ndarray, boxes: Boxes, rng: np.random.Generator) -> Boxes:
        """Put one person into a window (changed in place); the boxes, with theirs, and less seen of the others."""
        person, mask = self.people[int(rng.integers(len(self.people)))]
        h, w = window.shape[:2]
        height = min(math.exp(rng.uniform(math.log(24), math.log(0.8 * h))), 2.5 * person.shape[0])
        width = height * person.shape[1] / person.shape[0]
        shape = (max(round(width), 3), max(round(height), 8))
        if rng.random() < 0.5:
            person, mask = person[:, ::-1], mask[:, ::-1]
        shrinks = shape[1] < person.shape[0]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        person, mask = cv2.resize(person, shape, interpolation=how), cv2.resize(mask, shape, interpolation=how)
        x, y = int(rng.integers(-shape[0] // 4, w - shape[0] // 2)), int(rng.integers(0, max(h - shape[1] // 2, 1)))
        x0, y0, x1, y1 = max(x, 0), y, min(x + shape[0], w), min(y + shape[1], h)
        if x1 - x0 < 3 or y1 - y0 < 8:
            return boxes
        inside = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
        person, mask = person[inside].astype(np.float32), mask[inside][..., None]
        # Crops and frames are lit alike on average, or every paste would give itself away.
        there = window[y0:y1, x0:x1].astype(np.float32)
        person *= np.clip((there.mean() + 40) / (person.mean() + 40), 0.6, 1.6)
        window[y0:y1, x0:x1] = (mask * person + (1 - mask) * there).clip(0, 255).astype(np.uint8)
        new = np.array([x0, y0, x1, y1], np.float32)
        share = (x1 - x0) * (y1 - y0) / (shape[0] * shape[1])
        return Boxes(
            np.vstack([boxes.xyxy, new[None]]),
            np.append(boxes.classes, CLASSES.index("person")),
            np.append(boxes.doubtful, False),
            np.append(boxes.seen * (1 - _covered(boxes.xyxy, new)), share).astype(np.float32),
        )


def window(
    frame: AnnotatedFrame, settings: WindowSettings, rng: np.random.Generator, cutouts: Cutouts | None = None
) -> tuple[np.ndarray, Target]:
    """One window (h, w, 3) uint8 on a frame, and what it shows."""
    picture = load_image(frame.path)
    boxes = Boxes.of(frame)
    height, width = picture.shape[:2]
    h, w = settings.size
    scale = frame_scale(height, width, settings.area) * math.exp(rng.uniform(*np.log(settings.zoom)))
    stretch = math.exp(rng.uniform(-settings.stretch, settings.stretch))
    across, down = w / (scale * stretch), h * stretch / scale  # pixels of the frame that the window shows
    if len(boxes.xyxy) and rng.random() < settings.near:
        x0, y0, x1, y1 = boxes.xyxy[int(rng.integers(len(boxes.xyxy)))]
        x, y = rng.uniform(x0, x1), rng.uniform(y0, y1)
        left, top = x - rng.uniform(0.2, 0.8) * across, y - rng.uniform(0.2, 0.8) * down
    else:
        left, top = rng.uniform(-0.1, 1.1) * (width - across), rng.uniform(-0.1, 1.1) * (height - down)
    left, top = _on_frame(left, across, width), _on_frame(top, down, height)
    view = cut(picture, np.array([left, top, left + across, top + down]), (h, w), fill=MEAN_COLOUR)
    moved = ((boxes.xyxy - [left, top] * 2) * np.tile([w / across, h / down], 2)).astype(np.float32)
    boxes.xyxy = _clipped(moved, (h, w))
    boxes.seen = _area(boxes.xyxy) / np.maximum(_area(moved), 1e-3)
    if rng.random() < 0.5:
        view = np.ascontiguousarray(view[:, ::-1])
        boxes.xyxy = np.stack([w - boxes.xyxy[:, 2], boxes.xyxy[:, 1], w - boxes.xyxy[:, 0], boxes.xyxy[:, 3]], 1)
    if cutouts:
        for _ in range(int(rng.poisson(settings.paste))):
            boxes = cutouts.paste(view, boxes, rng)
    view = recolour(view, rng, settings.colour, settings.grey)
    if rng.random() < settings.soft:
        factor = rng.uniform(0.4, 0.8)
        small = cv2.resize(view, (round(w * factor), round(h * factor)), interpolation=cv2.INTER_AREA)
        view = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
    return view, _target(boxes)


def batch(windows: Sequence[tuple[np.ndarray, Target]]) -> tuple[Tensor, list[Target]]:
    """Windows of one size as a normalised batch (N, 3, h, w), and what they show."""
    x = torch.from_numpy(normalised(np.stack([view for view, _ in windows])))
    return x.permute(0, 3, 1, 2), [target for _, target in windows]


def _target(boxes: Boxes) -> Target:
    sides = boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
    there = (boxes.seen > 0.02) & (sides > 2).all(1) if len(sides) else np.zeros(0, bool)
    # Of too little no eye and no network can say what it is.
    unsure = boxes.doubtful | (boxes.seen < 0.35) | (sides[:, 1] < 10) | (sides[:, 0] < 4)
    sure, unsure = there & ~unsure, there & unsure
    return Target(
        torch.from_numpy(boxes.xyxy[sure]).float(),
        torch.from_numpy(boxes.classes[sure]),
        torch.from_numpy(boxes.xyxy[unsure]).float(),
    )


def _on_frame(start: float, extent: float, size: float) -> float:
    """Move a window so that it stays on the frame, but for a margin; one larger than the frame has it all."""
    margin = 0.1 * extent
    low, high = sorted((-margin, size - extent + margin))
    return min(max(start, low), high)


def _clipped(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.clip(boxes, 0, np.tile(size[::-1], 2)).astype(np.float32)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def _covered(boxes: np.ndarray, by: np.ndarray) -> np.ndarray:
    """The share of each box (N, 4) that a box (4,) lies over."""
    low, high = np.maximum(boxes[:, :2], by[:2]), np.minimum(boxes[:, 2:], by[2:])
    return np.prod(np.maximum(high - low, 0), axis=1) / np.maximum(_area(boxes), 1e-3)
