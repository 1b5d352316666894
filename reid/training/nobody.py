"""Pictures that show nobody: windows of frames beside their people, and things.

A network that was only ever shown people finds a body in a road sign. From these it learns to see none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reid.datasets import Sample
from reid.datasets.coco import AnnotatedFrame
from reid.images import load_image
from reid.training.body_losses import ABSENT, FULL_PARSE
from reid.training.sources import Table, unlabelled

PEOPLE = ("Faces", "Faces_easy", "BACKGROUND_Google")
"""Caltech-101's folders that show people, or whatever a search engine gave."""

# Boxes a detector could have drawn: upright, a fifth of the frame's height to all of it.
HEIGHTS = (0.2, 1.0)
ASPECTS = (0.3, 0.8)
TRIES = 20


def beside_people(frames: Sequence[AnnotatedFrame], mask_size: tuple[int, int], each: int = 1, seed: int = 0) -> Table:
    """Upright windows that touch no person and nobody on a bicycle, `each` a frame at most.

    Args:
        frames: with boxes around everybody in them; doubtful boxes are kept away from too.
        mask_size: (height, width) of the label maps.
    """
    rng = np.random.default_rng(seed)
    paths, boxes = [], []
    for frame in frames:
        height, width = load_image(frame.path).shape[:2]
        near = np.array([label != "car" for label in frame.labels], bool) | frame.doubtful
        people = frame.boxes[near]
        found = 0
        for _ in range(TRIES):
            h = rng.uniform(*HEIGHTS) * height
            w = min(h * rng.uniform(*ASPECTS), width)
            x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
            apart = (people[:, 2] < x) | (people[:, 0] > x + w) | (people[:, 3] < y) | (people[:, 1] > y + h)
            if apart.all():
                paths.append(frame.path)
                boxes.append((x / width, y / height, (x + w) / width, (y + h) / height))
                found += 1
            if found == each:
                break
    return _empty(paths, mask_size, np.array(boxes, np.float32).reshape(-1, 4))


def things(samples: Sequence[Sample], mask_size: tuple[int, int]) -> Table:
    """Caltech-101's pictures, but for its faces and what it has no name for."""
    return _empty([sample.path for sample in samples if sample.identity not in PEOPLE], mask_size, None)


def _empty(paths: list[Path], mask_size: tuple[int, int], boxes: np.ndarray | None) -> Table:
    """Nobody's joints are seen, and all that is parsed is background."""
    table = unlabelled([Sample(path, path.name) for path in paths], mask_size)
    table.boxes = boxes
    table.joints[:] = 0.5, 0.5, ABSENT
    table.masks[:] = 0
    table.scheme[:] = FULL_PARSE
    return table
