"""Figures of finders: perfect finders get all, doubtful objects count neither way, few boxes bound recall."""

import cv2
import numpy as np
import pytest

from reid.backends import Boxes
from reid.datasets.coco import AnnotatedFrame
from reid.finding.figures import average_precision, recall

ROWS = [
    ([10.0, 10.0, 20.0, 60.0], "person", False),
    ([30.0, 10.0, 36.0, 40.0], "person", False),
    ([60.0, 10.0, 90.0, 60.0], "person", True),
    ([10.0, 70.0, 60.0, 90.0], "car", False),
]


@pytest.fixture
def frame(tmp_path):
    cv2.imwrite(str(tmp_path / "f.png"), np.zeros((100, 100, 3), np.uint8))
    return AnnotatedFrame.made(tmp_path / "f.png", "f.png", ROWS)


def finder(*rows):
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    return lambda frame: Boxes(boxes, tuple(row[1] for row in rows), np.linspace(0.9, 0.1, len(rows), dtype=np.float32))


def test_a_perfect_finder(frame):
    found = finder(*ROWS)
    assert average_precision(found, [frame]) == {"person_AP50": 100, "car_AP50": 100}
    assert recall(found, [frame], "person") == (100, 2)


def test_boxes_on_doubtful_objects_count_neither_way(frame):
    on_crowd = ([62.0, 12.0, 75.0, 60.0], "person", False)
    nowhere = ([2.0, 60.0, 8.0, 99.0], "person", False)
    assert average_precision(finder(on_crowd, *ROWS), [frame])["person_AP50"] == 100
    assert average_precision(finder(nowhere, *ROWS), [frame])["person_AP50"] == pytest.approx(100 * 2 / 3)


def test_labels_are_kept_apart(frame):
    wrong = finder(*((row[0], "car", False) for row in ROWS))
    assert average_precision(wrong, [frame])["person_AP50"] == 0


def test_recall_counts_tall_ones_among_the_best_boxes(frame):
    assert recall(finder(*ROWS), [frame], "person", taller=40) == (100, 1)
    assert recall(finder(ROWS[1], ROWS[0]), [frame], "person", most=1) == (50, 2)
    assert recall(finder(), [frame], "person") == (0, 2)
    assert recall(finder(), [], "person") == (0, 0)
