"""How well a finder finds: average precision on annotated frames, and recall with few boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reid.backends import Boxes
from reid.datasets.coco import OBJECTS, AnnotatedFrame
from reid.images import load_image
from reid.metrics import average_precision_50, best_threshold, box_iou

Find = Callable[[np.ndarray], Boxes]
"""Turns an RGB uint8 frame (H, W, 3) into boxes in its pixels, e.g. a backend's `find`."""


def average_precision(
    find: Find,
    frames: Sequence[AnnotatedFrame],
    *,
    load: Callable[[AnnotatedFrame], np.ndarray] = lambda frame: load_image(frame.path),
) -> dict[str, float]:
    """AP50 of every label that occurs, in per cent, as `person_AP50`; what lies on doubtful objects counts neither way.

    Args:
        load: gives a frame's picture (H, W, 3) uint8; by default out of its file.

    Raises:
        ImageError: a frame cannot be read.
    """
    found = _found(find, frames, load)
    figures = {
        f"{label}_AP50": 100 * average_precision_50(found[label], [frame.of(label) for frame in frames])
        for label in OBJECTS
    }
    return {key: value for key, value in figures.items() if not np.isnan(value)}


def surest(find: Find, frames: Sequence[AnnotatedFrame], label: str) -> float:
    """The score, 0..1, from which on boxes of a label are best told of (see `reid.metrics.best_threshold`), or nan."""
    found = _found(find, frames, lambda frame: load_image(frame.path))
    return best_threshold(found[label], [frame.of(label) for frame in frames])


def recall(
    find: Find, frames: Sequence[AnnotatedFrame], label: str, *, taller: float = 0.0, most: int = 15, iou: float = 0.5
) -> tuple[float, int]:
    """The share, in per cent, of the objects of one label that the best boxes of their frame cover, and of how many.

    Args:
        taller: pixels; only objects that are taller count.
        most: boxes a frame that may be used, the best of the label.
        iou: the overlap that counts as found.
    """
    hits = total = 0
    for frame in frames:
        wanted = frame.of(label)
        wanted = wanted[wanted[:, 3] - wanted[:, 1] > taller]
        if not len(wanted):
            continue
        boxes = find(load_image(frame.path))
        mine = boxes.xyxy[np.array([one == label for one in boxes.labels], bool)][:most]
        total += len(wanted)
        if len(mine):
            hits += int((box_iou(wanted, mine).max(1) >= iou).sum())
    return 100 * hits / max(total, 1), total


def _found(
    find: Find, frames: Sequence[AnnotatedFrame], load: Callable[[AnnotatedFrame], np.ndarray]
) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Boxes and scores by label, a frame each; those on doubtful objects left out."""
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {label: [] for label in OBJECTS}
    for frame in frames:
        boxes = find(load(frame))
        for label in OBJECTS:
            found[label].append(_without_doubt(boxes, frame, label))
    return found


def _without_doubt(boxes: Boxes, frame: AnnotatedFrame, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of one label and their scores, less those that lie on a doubtful object and on no certain one."""
    mine = np.array([one == label for one in boxes.labels], bool)
    xyxy, scores = boxes.xyxy[mine], boxes.scores[mine]
    on_doubtful = _covered(xyxy, frame.boxes[frame.doubtful]) >= 0.5
    kept = ~on_doubtful | (_covered(xyxy, frame.of(label)) >= 0.5)
    return xyxy[kept], scores[kept]


def _covered(boxes: np.ndarray, by: np.ndarray) -> np.ndarray:
    """(N,) the largest share of each box (N, 4) that lies on one of the others (M, 4)."""
    if not len(boxes) or not len(by):
        return np.zeros(len(boxes))
    low, high = np.maximum(boxes[:, None, :2], by[None, :, :2]), np.minimum(boxes[:, None, 2:], by[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    return (common / np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-3)[:, None]).max(1)
