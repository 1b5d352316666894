"""Skeletons made visible: drawn over the picture, and in space as a figure that can be turned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from reid.backends import Skeleton
from reid.explain.scaling import to_height, to_pixels

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HEIGHT = 480
# Joints that are less certain than this are not drawn over a picture, and faint in space.
CERTAIN = 0.3

LEFT, RIGHT, MIDDLE = (255, 140, 40), (40, 170, 255), (120, 230, 120)
"""Colours of the person's own left and right side, and of what joins them."""

PEOPLE = ("#dd5230", "#2a7fc9", "#4c9a52", "#8a5bb0")
"""A colour a person, in space."""


def draw_skeleton(picture: np.ndarray, skeleton: Skeleton, *, height: int | None = HEIGHT) -> np.ndarray:
    """The picture with its bones and joints, those that are certain enough.

    Args:
        picture: RGB uint8 (H, W, 3).
        skeleton: in the pixels of the picture.
        height: that the drawing is brought to; None keeps the picture's.

    Returns:
        (height, W', 3) uint8 RGB.
    """
    canvas = (picture if height is None else to_height(picture, height)).copy()
    # A network's fraction of the picture is a place between pixels, half a pixel from their centres.
    points = to_pixels(skeleton.xy - 0.5, picture, canvas)
    certain = skeleton.confidence >= CERTAIN
    thick = max(1, round(canvas.shape[0] / 160))
    for a, b in skeleton.bones:
        if certain[a] and certain[b]:
            cv2.line(canvas, points[a], points[b], (20, 20, 20), thick + 2, cv2.LINE_AA)
            cv2.line(canvas, points[a], points[b], _side(skeleton.names, a, b), thick, cv2.LINE_AA)
    for i in np.flatnonzero(certain).tolist():
        cv2.circle(canvas, points[i], thick + 2, (20, 20, 20), -1, cv2.LINE_AA)
        cv2.circle(canvas, points[i], thick + 1, _side(skeleton.names, i, i), -1, cv2.LINE_AA)
    return canvas


def in_space(people: Mapping[str, Skeleton]) -> Figure:
    """Skeletons in metres as one Plotly figure that can be turned, side by side, each standing up.

    Args:
        people: a name for the legend and the skeleton of each, at least one.
    """
    from plotly import graph_objects

    traces, places = [], []
    aside = 0.0
    for n, (name, skeleton) in enumerate(people.items()):
        # Camera axes are x right, y down, z away; a figure has its third axis up.
        place = np.stack([skeleton.xyz[:, 0], skeleton.xyz[:, 2], -skeleton.xyz[:, 1]], 1).astype(float)
        place[:, 0] += aside - (place[:, 0].min() if n else 0)
        aside = place[:, 0].max() + 0.4
        places.append(place)
        certain = skeleton.confidence >= CERTAIN
        for shown, opacity in ((True, 1.0), (False, 0.3)):
            bones = [(a, b) for a, b in skeleton.bones if bool(certain[a] and certain[b]) == shown]
            traces.append(_bones(graph_objects, place, bones, name, PEOPLE[n % len(PEOPLE)], opacity, legend=shown))
    figure = graph_objects.Figure(traces)
    corners = np.array([np.min(places, axis=(0, 1)), np.max(places, axis=(0, 1))])
    middle, half = corners.mean(0), 0.55 * np.ptp(corners, axis=0).max()
    # One length for all three axes, so that nobody is squeezed and one person fits as two do.
    x, y, z = ({"visible": False, "range": [float(m - half), float(m + half)]} for m in middle)
    figure.update_layout(
        template=None,
        height=360,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": 0, "font": {"color": "#888"}},
        scene={
            "aspectmode": "cube",
            "xaxis": x,
            "yaxis": y,
            "zaxis": z,
            "camera": {"eye": {"x": 0.35, "y": -1.5, "z": 0.2}, "up": {"x": 0, "y": 0, "z": 1}},
        },
    )
    return figure


def _bones(
    graph_objects: object,
    place: np.ndarray,
    bones: Sequence[tuple[int, int]],
    name: str,
    colour: str,
    opacity: float,
    *,
    legend: bool,
) -> object:
    """One line for all bones; None lifts the pen."""
    coordinates: list[list[float | None]] = [
        [value for a, b in bones for value in (place[a, axis], place[b, axis], None)] for axis in range(3)
    ]
    x, y, z = coordinates
    return graph_objects.Scatter3d(  # type: ignore[attr-defined]
        x=x,
        y=y,
        z=z,
        mode="lines+markers",
        name=name,
        legendgroup=name,
        showlegend=legend,
        opacity=opacity,
        hoverinfo="skip",
        line={"color": colour, "width": 6},
        marker={"color": colour, "size": 3},
    )


def _side(names: Sequence[str], a: int, b: int) -> tuple[int, int, int]:
    sides = {names[i].split("_")[0] for i in (a, b)}
    return LEFT if sides == {"left"} else RIGHT if sides == {"right"} else MIDDLE
