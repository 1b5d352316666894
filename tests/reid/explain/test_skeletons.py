"""Skeletons over pictures and in space."""

import json

import numpy as np
import pytest

from models.gpn.anatomy import BONES, JOINTS
from reid.backends import Skeleton
from reid.explain.skeletons import LEFT, RIGHT, draw_skeleton, in_space


def standing(confidence: float = 1.0) -> Skeleton:
    """A person who faces the camera: their own left is on the picture's right."""
    xy = np.zeros((17, 2), np.float32)
    for i, name in enumerate(JOINTS):
        side = 1 if name.startswith("left") else -1 if name.startswith("right") else 0
        down = next(d for part, d in HEIGHTS.items() if part in name)
        xy[i] = 32 + 12 * side, down
    xyz = np.stack([(xy[:, 0] - 32) / 64, (xy[:, 1] - 64) / 64, np.zeros(17)], 1).astype(np.float32)
    return Skeleton(JOINTS, xy, np.full(17, confidence, np.float32), xyz, BONES)


HEIGHTS = {"nose": 14, "eye": 12, "ear": 13, "shoulder": 26, "elbow": 42, "wrist": 58, "hip": 62, "knee": 88} | {
    "ankle": 114
}


def coloured(drawn: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(drawn.astype(int) - colour).sum(2) < 40


def test_sides_are_drawn_where_they_are():
    picture = np.zeros((128, 64, 3), np.uint8)
    drawn = draw_skeleton(picture, standing(), height=512)
    assert drawn.shape == (512, 256, 3)
    left, right = (np.nonzero(coloured(drawn, c)) for c in (LEFT, RIGHT))
    assert left[1].min() > 128 > right[1].max()
    assert left[0].max() == pytest.approx(114 * 4, abs=12)  # the ankle
    assert not picture.any()


def test_uncertain_joints_are_left_out():
    skeleton = standing()
    skeleton.confidence[[i for i, name in enumerate(JOINTS) if "right" in name]] = 0.1
    drawn = draw_skeleton(np.zeros((128, 64, 3), np.uint8), skeleton)
    assert coloured(drawn, LEFT).any()
    assert not coloured(drawn, RIGHT).any()
    nobody = draw_skeleton(np.zeros((128, 64, 3), np.uint8), standing(0.0))
    assert not nobody.any()


def test_the_pictures_own_height_can_be_kept():
    picture = np.full((128, 64, 3), 90, np.uint8)
    drawn = draw_skeleton(picture, standing(), height=None)
    assert drawn.shape == picture.shape
    assert (picture == 90).all()
    assert (drawn != 90).any()


def test_joints_beyond_the_picture_do_no_harm():
    skeleton = standing()
    skeleton.xy[9] = -500, 900
    assert draw_skeleton(np.zeros((128, 64, 3), np.uint8), skeleton).shape == (480, 240, 3)


def test_people_stand_side_by_side_in_space():
    figure = in_space({"Query": standing(), "Result 1": standing()})
    shown = [trace for trace in figure.data if trace.showlegend]
    assert [trace.name for trace in shown] == ["Query", "Result 1"]

    def extent(trace, axis: str) -> tuple[float, float]:
        values = [v for v in trace[axis] if v is not None]
        return min(values), max(values)

    assert extent(shown[0], "x")[1] < extent(shown[1], "x")[0]
    low, high = extent(shown[0], "z")
    assert (low, high) == pytest.approx((-(114 - 64) / 64, (64 - 12) / 64), abs=1e-5)  # feet below, head above


def test_uncertain_bones_are_faint_in_space():
    skeleton = standing()
    skeleton.confidence[:] = 0.1
    bold, faint = in_space({"Query": skeleton}).data
    assert len(bold.x) == 0
    assert len(faint.x) == 3 * len(BONES)
    assert faint.opacity < bold.opacity


def test_the_figure_is_plain_json():
    """Packed arrays need a newer Plotly in the browser than the page brings."""
    text = in_space({"Query": standing()}).to_json()
    assert "bdata" not in text
    assert json.loads(text)["layout"]["scene"]["aspectmode"] == "cube"


@pytest.mark.parametrize("count", [1, 2])
def test_everybody_fits_unsqueezed(count):
    figure = in_space({f"Person {n}": standing() for n in range(count)})
    scene = figure.layout.scene
    ranges = [scene.xaxis.range, scene.yaxis.range, scene.zaxis.range]
    assert len({round(high - low, 6) for low, high in ranges}) == 1
    for trace in figure.data:
        for values, (low, high) in zip((trace.x, trace.y, trace.z), ranges, strict=True):
            assert all(low < value < high for value in values if value is not None)
