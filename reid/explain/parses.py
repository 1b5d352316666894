"""Label maps made visible: coloured, laid over the picture, with a legend of the classes that occur."""

from __future__ import annotations

import cv2
import numpy as np

from reid.backends import Parse

LEGEND_ROW = 22
MIN_LEGEND_WIDTH = 150


def colour(parse: Parse) -> np.ndarray:
    """Each pixel in its class's colour: (H, W, 3) uint8 RGB."""
    return parse.palette[parse.labels]


def overlay(picture: np.ndarray, parse: Parse, opacity: float = 0.55) -> np.ndarray:
    """The picture with its label map laid over; a background stays clear. (H, W, 3) uint8 RGB."""
    if picture.shape[:2] != parse.labels.shape:
        raise ValueError(f"picture {picture.shape[:2]} and label map {parse.labels.shape} differ in size")
    blended = cv2.addWeighted(picture, 1 - opacity, colour(parse), opacity, 0)
    return np.where(parse.figure[..., None], blended, picture)


def with_legend(parse: Parse) -> np.ndarray:
    """The coloured label map over a legend of its classes, most frequent first: (H + rows, W', 3) uint8 RGB."""
    coloured = colour(parse)
    share = np.bincount(parse.labels.ravel(), minlength=len(parse.names)) / parse.labels.size
    classes = [int(i) for i in np.argsort(-share) if share[i] > 0]
    width = max(coloured.shape[1], MIN_LEGEND_WIDTH)
    columns = max(1, width // 170)
    rows = -(-len(classes) // columns)
    legend = np.full((rows * LEGEND_ROW + 8, width, 3), 255, np.uint8)
    for place, label in enumerate(classes):
        x, y = place % columns * (width // columns) + 6, place // columns * LEGEND_ROW + 6
        fill = tuple(int(c) for c in parse.palette[label])
        cv2.rectangle(legend, (x, y), (x + 14, y + 14), fill, -1)
        cv2.rectangle(legend, (x, y), (x + 14, y + 14), (90, 90, 90), 1)
        text = f"{parse.names[label]} {100 * share[label]:.0f} %"
        cv2.putText(legend, text, (x + 20, y + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (30, 30, 30), 1, cv2.LINE_AA)
    padded = np.full((coloured.shape[0], width, 3), 255, np.uint8)
    padded[:, : coloured.shape[1]] = coloured
    return np.concatenate([padded, legend])
