"""Label maps made visible."""

import numpy as np
import pytest

from reid.backends import Parse
from reid.explain.parses import colour, overlay, with_legend

PALETTE = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)


@pytest.fixture
def parse():
    labels = np.zeros((40, 20), np.uint8)
    labels[:10] = 1
    return Parse(labels, ("background", "hair", "bag"), PALETTE)


def test_each_class_has_its_colour(parse):
    image = colour(parse)
    assert (image[:10] == [255, 0, 0]).all()
    assert (image[10:] == 0).all()


def test_the_background_stays_clear(parse):
    picture = np.full((40, 20, 3), 200, np.uint8)
    image = overlay(picture, parse)
    assert (image[10:] == 200).all()
    assert (image[:10] != 200).any()


def test_a_scene_is_coloured_all_over(parse):
    scene = Parse(parse.labels, ("sky", "road", "car"), PALETTE)
    assert parse.has_background
    assert not scene.has_background
    assert (parse.figure == (parse.labels > 0)).all()
    assert scene.figure.all()
    picture = np.full((40, 20, 3), 200, np.uint8)
    assert (overlay(picture, scene)[10:] != 200).all()


def test_a_picture_of_another_size_is_refused(parse):
    with pytest.raises(ValueError, match="differ in size"):
        overlay(np.zeros((41, 20, 3), np.uint8), parse)


def test_the_legend_shows_the_classes_that_occur(parse):
    image = with_legend(parse)
    assert (image[:10, :20] == [255, 0, 0]).all()
    below = image[40:].reshape(-1, 3)
    assert (below == [255, 0, 0]).all(1).any()
    assert not (below == [0, 255, 0]).all(1).any(), "the bag does not occur"
