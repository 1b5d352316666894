"""A whole frame as the app's query: what is in it, and whether somebody has to be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reid.backends import Backend, Boxes
from reid.search.regions import crop, worth_keeping

SHOWN = 0.4
"""The score from which something found is offered: a wrong offer costs less here than a missing one."""

_FILLS = 0.4  # share of a picture from which one person is what it is of
_UPRIGHT = 1.4  # height by width from which a picture is shaped like a person

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Frame:
    """What a finder found in a query picture.

    Attributes:
        size: (width, height) of the picture in pixels.
        boxes: XYXY in its pixels, best first; at most 100.
        labels, scores: one for each box.
        needs_choice: False where the picture is of one person already, as a crop is.
        note: one sentence on what was found, and what to do.
    """

    size: tuple[int, int]
    boxes: tuple[Box, ...]
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    needs_choice: bool
    note: str


def look(finder: Backend, picture: np.ndarray) -> Frame:
    """Find people and objects in a picture (H, W, 3) uint8 RGB."""
    found = finder.find(picture)
    chosen, more = worth_keeping(found, ("person", "car", "bicycle"), SHOWN)
    height, width = picture.shape[:2]
    boxes = tuple(_box(found.xyxy[i]) for i in chosen)
    labels = tuple(found.labels[i] for i in chosen)
    return Frame(
        (width, height),
        boxes,
        labels,
        tuple(float(found.scores[i]) for i in chosen),
        not _is_crop(found, chosen, (height, width)),
        _note(labels, more),
    )


def cut_out(picture: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """The part of a picture in a box XYXY, which may lie partly outside; sides that are swapped are put right."""
    x0, x1 = sorted((box[0], box[2]))
    y0, y1 = sorted((box[1], box[3]))
    return crop(picture, (x0, y0, x1, y1))


def _is_crop(found: Boxes, chosen: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether one person fills the picture; in an upright one others may be seen behind, and parts taken for others."""
    height, width = size
    people = [i for i in chosen if found.labels[i] == "person"]
    if not people or (len(chosen) > 1 and height < _UPRIGHT * width):
        return False
    x0, y0, x1, y1 = found.xyxy[people].T
    return bool(((x1 - x0) * (y1 - y0)).max() >= _FILLS * height * width)


def _note(labels: Sequence[str], more: bool) -> str:
    people = sum(label == "person" for label in labels)
    if not labels:
        return "Nobody is found in this picture. Open it here to draw a box around what you are looking for."
    if more:
        return (
            f"More than {len(labels)} people and objects: the best {len(labels)} are shown. Click one, or draw a box."
        )
    if not people:
        return "No person is found, but other things are. Click one of them, or draw a box around what you mean."
    return "Click whom or what to look for, or draw a box around it."


def _box(xyxy: np.ndarray) -> Box:
    x0, y0, x1, y1 = (float(v) for v in xyxy)
    return x0, y0, x1, y1
