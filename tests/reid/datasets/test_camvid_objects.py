"""CamVid's objects: a box a piece, doubt where a piece cannot be one object."""

import cv2
import numpy as np
import pytest

from reid.datasets.camvid import CAMVID_CLASSES
from reid.datasets.camvid_objects import boxes_of, camvid_objects

CAR, PERSON, RIDER = (CAMVID_CLASSES.index(name) for name in ("car", "pedestrian", "bicyclist"))


def scene() -> np.ndarray:
    labels = np.zeros((100, 200), np.uint8)
    labels[20:80, 10:30] = PERSON
    labels[20:60, 40:100] = PERSON  # a crowd
    labels[50:55, 120:123] = PERSON  # a speck
    labels[10:30, 110:145] = CAR
    labels[70:90, 20:70] = CAR  # a row of parked ones
    labels[60:90, 150:170] = RIDER
    return labels


def test_a_box_a_piece():
    found = boxes_of(scene())
    assert ([10, 20, 30, 80], "person", False) in found
    assert ([40, 20, 100, 60], "person", True) in found
    assert ([120, 50, 123, 55], "person", True) in found
    assert ([110, 10, 145, 30], "car", False) in found
    assert ([20, 70, 70, 90], "car", True) in found
    assert ([150, 60, 170, 90], "bicycle", True) in found
    assert len(found) == 6


def test_pieces_that_touch_at_a_corner_are_one():
    labels = np.zeros((40, 40), np.uint8)
    labels[0:20, 0:8] = labels[20:40, 8:16] = PERSON
    assert [row[0] for row in boxes_of(labels)] == [[0, 0, 16, 40]]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_frames_of_a_split(tmp_path, split):
    (tmp_path / split).mkdir()
    (tmp_path / f"{split}annot").mkdir()
    cv2.imwrite(str(tmp_path / split / "f.png"), np.zeros((100, 200, 3), np.uint8))
    cv2.imwrite(str(tmp_path / f"{split}annot" / "f.png"), scene())
    (frame,) = camvid_objects(tmp_path, split)
    assert frame.path == tmp_path / split / "f.png"
    assert frame.of("person").tolist() == [[10, 20, 30, 80]]
