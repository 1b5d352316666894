import numpy as np

from reid.backends import get
from reid.backends.colour import STRIPES


def dressed(upper, lower) -> np.ndarray:
    picture = np.full((128, 64, 3), 120, np.uint8)
    picture[20:64, 16:48], picture[64:, 16:48] = upper, lower
    return picture


RED, BLUE, GREEN = (200, 20, 20), (20, 20, 200), (20, 180, 20)


def test_the_same_clothes_are_nearest():
    query, same, other = get("hsv-stripes").embed(
        [dressed(RED, BLUE), dressed((215, 25, 25), BLUE), dressed(GREEN, BLUE)]
    )
    assert query.global_ @ same.global_ > query.global_ @ other.global_ + 0.1


def test_a_part_tells_where_they_differ():
    one, other = get("hsv-stripes").embed([dressed(RED, BLUE), dressed(GREEN, BLUE)])
    similarity = dict(zip(STRIPES, (one.parts * other.parts).sum(1), strict=True))
    assert similarity["feet"] > 0.99
    assert similarity["waist"] < 0.6


def test_the_middle_counts_more_than_the_sides():
    plain, middle, sides = dressed(RED, RED), dressed(RED, RED), dressed(RED, RED)
    middle[:, 24:40] = GREEN
    sides[:, :8] = sides[:, -8:] = GREEN
    of = {n: e.global_ for n, e in zip("pms", get("hsv-stripes").embed([plain, middle, sides]), strict=True)}
    assert of["p"] @ of["s"] > of["p"] @ of["m"] + 0.1
