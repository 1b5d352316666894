"""Whole frames as queries: what is offered, when nobody needs to choose, and the part that is cut out."""

import numpy as np
import pytest

from reid.backends import Backend, Boxes
from reid.backends.registry import Card
from reid.studio.frames import cut_out, look


class Finder(Backend):
    card = Card(name="f", family="region network", subject="any", does=("find",), summary="Finds what it is told.")

    def __init__(self, *rows):
        self.rows = rows

    def load(self):
        pass

    def find(self, frame, progress=None):
        boxes = np.array([box for box, _, _ in self.rows], np.float32).reshape(-1, 4)
        scores = np.array([score for _, _, score in self.rows], np.float32)
        return Boxes(boxes, tuple(label for _, label, _ in self.rows), scores)


PICTURE = np.zeros((100, 200, 3), np.uint8)


def test_what_is_sure_is_offered_best_first():
    frame = look(
        Finder(([0, 0, 20, 50], "person", 0.6), ([30, 0, 90, 50], "car", 0.9), ([0, 0, 40, 40], "person", 0.2)), PICTURE
    )
    assert frame.size == (200, 100)
    assert frame.labels == ("car", "person")
    assert frame.boxes == ((30, 0, 90, 50), (0, 0, 20, 50))
    assert frame.scores == pytest.approx((0.9, 0.6))
    assert frame.needs_choice
    assert frame.note.startswith("Click whom")


def test_a_picture_of_one_person_needs_no_choice():
    person = ([10, 0, 150, 100], "person", 0.9)
    assert not look(Finder(person), PICTURE).needs_choice
    assert look(Finder(([10, 0, 30, 60], "person", 0.9)), PICTURE).needs_choice, "one among much else"
    assert look(Finder(([10, 0, 150, 100], "car", 0.9)), PICTURE).needs_choice
    assert look(Finder(person, ([150, 0, 190, 90], "person", 0.9)), PICTURE).needs_choice


def test_in_an_upright_picture_others_behind_a_person_do_not_count():
    crop = np.zeros((256, 128, 3), np.uint8)
    person, behind = ([10, 10, 110, 250], "person", 0.9), ([0, 20, 30, 90], "person", 0.7)
    assert not look(Finder(person, behind), crop).needs_choice
    assert look(Finder(behind, ([90, 20, 128, 90], "person", 0.7)), crop).needs_choice, "nobody fills it"


def test_nobody_is_said_with_what_to_do():
    frame = look(Finder(), PICTURE)
    assert frame.needs_choice
    assert "Nobody" in frame.note
    assert "draw a box" in frame.note
    assert "No person" in look(Finder(([30, 0, 90, 50], "car", 0.9)), PICTURE).note


def test_of_a_crowd_the_best_hundred_are_offered():
    crowd = [([i, 0, i + 20, 50], "person", 0.5 + i / 1000) for i in range(130)]
    frame = look(Finder(*crowd), PICTURE)
    assert len(frame.boxes) == 100
    assert frame.scores[0] == pytest.approx(0.629)
    assert "More than 100" in frame.note


def test_a_box_is_cut_out_however_it_was_drawn():
    picture = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3)
    np.testing.assert_array_equal(cut_out(picture, (10, 20, 30, 60)), picture[20:60, 10:30])
    np.testing.assert_array_equal(cut_out(picture, (30, 60, 10, 20)), picture[20:60, 10:30])
    np.testing.assert_array_equal(cut_out(picture, (-5, -5, 900, 900)), picture)
    assert cut_out(picture, (50, 50, 50, 50)).shape == (1, 1, 3)
