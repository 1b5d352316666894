"""CamVid's people and cars as boxes: connected pieces of its label maps.

The maps tell classes apart, not objects, so that a piece may be several people: what is too wide for one is doubtful. A
bicyclist is a person and a bicycle in one label, and doubtful as either.
"""

from __future__ import annotations

import os

import cv2
import numpy as np

from reid.datasets.camvid import CAMVID_CLASSES, read_camvid
from reid.datasets.coco import AnnotatedFrame
from reid.images import load_labels

_LABELS = {"pedestrian": "person", "car": "car", "bicyclist": "bicycle"}
_WIDEST = {"pedestrian": 0.9, "car": 1.8}  # width / height of one of them
_LOWEST = 8  # pixels; a lower piece is a speck that nobody can name


def camvid_objects(root: str | os.PathLike[str], split: str = "test") -> list[AnnotatedFrame]:
    """The frames of one split with the boxes of their people and cars.

    Raises:
        DatasetError: the split or its label maps are not there.
        ImageError: a label map cannot be read.
    """
    return [
        AnnotatedFrame.made(frame.path, frame.name, boxes_of(load_labels(frame.labels)))
        for frame in read_camvid(root, split)
    ]


def boxes_of(labels: np.ndarray) -> list[tuple[list[float], str, bool]]:
    """Box XYXY, name and doubt of every piece in an (H, W) uint8 map of `CAMVID_CLASSES`."""
    found = []
    for name, label in _LABELS.items():
        mask = (labels == CAMVID_CLASSES.index(name)).astype(np.uint8)
        for x, y, w, h, _ in cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:].tolist():
            doubtful = h < _LOWEST or name not in _WIDEST or w > _WIDEST[name] * h
            found.append(([float(x), float(y), float(x + w), float(y + h)], label, doubtful))
    return found
