"""Named colours: what every eye agrees on, whatever the light does to it."""

import cv2
import numpy as np
import pytest

from reid.colours import MIN_PIXELS, NAMES, median_colour, name_colour

EXAMPLES = {
    "black": [(10, 10, 12), (35, 32, 34)],
    "white": [(245, 245, 240), (200, 205, 205)],
    "grey": [(110, 110, 112), (90, 92, 95)],
    "red": [(200, 20, 30), (110, 15, 20)],
    "orange": [(240, 130, 20)],
    "yellow": [(245, 220, 40), (200, 180, 60)],
    "green": [(30, 130, 50), (20, 70, 35)],
    "blue": [(30, 60, 200), (20, 40, 110)],
    "purple": [(120, 30, 150)],
    "pink": [(250, 150, 180)],
    "brown": [(100, 65, 40)],
}


def lab(rgb: tuple[int, int, int]) -> np.ndarray:
    return cv2.cvtColor(np.float32([[rgb]]) / 255, cv2.COLOR_RGB2LAB)[0, 0]


@pytest.mark.parametrize(("name", "rgb"), [(name, rgb) for name, each in EXAMPLES.items() for rgb in each])
def test_plain_colours_have_their_names(name, rgb):
    assert name_colour(lab(rgb)) == name


def test_every_colour_has_a_name():
    for rgb in np.random.default_rng(0).integers(0, 256, (2000, 3)):
        assert name_colour(lab(tuple(rgb))) in NAMES


@pytest.mark.parametrize("name", ["red", "green", "blue", "yellow", "purple"])
def test_light_changes_the_name_little(name):
    for gain in (0.7, 1.0, 1.15):
        rgb = np.clip(np.array(EXAMPLES[name][0]) * gain, 0, 255)
        assert name_colour(lab(tuple(rgb))) == name


def test_a_print_and_a_rim_of_street_do_not_move_the_median():
    picture = np.full((40, 20, 3), (200, 20, 30), np.uint8)
    plain = median_colour(picture, np.ones((40, 20), bool))
    picture[:8] = (90, 90, 90)
    picture[15:22] = 255
    assert median_colour(picture, np.ones((40, 20), bool)) == pytest.approx(plain, abs=1)
    assert plain == pytest.approx(lab((200, 20, 30)), abs=1)


def test_a_few_pixels_say_nothing():
    picture = np.zeros((40, 20, 3), np.uint8)
    mask = np.zeros((40, 20), bool)
    mask.ravel()[: MIN_PIXELS - 1] = True
    assert median_colour(picture, mask) is None
    mask.ravel()[:MIN_PIXELS] = True
    assert median_colour(picture, mask) == pytest.approx([0, 0, 0])
