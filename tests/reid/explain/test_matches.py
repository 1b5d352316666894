import numpy as np

from reid.backends.keypoints import Matches
from reid.explain.matches import GAP, draw_matches


def matches(query_xy, item_xy) -> Matches:
    return Matches(np.array(query_xy, np.float32).reshape(-1, 2), np.array(item_xy, np.float32).reshape(-1, 2))


def test_puts_both_at_one_height_side_by_side():
    query, item = np.full((100, 50, 3), 40, np.uint8), np.full((400, 400, 3), 90, np.uint8)
    drawn = draw_matches(query, item, matches([], []), height=200)
    assert drawn.shape == (200, 100 + GAP + 200, 3)
    assert drawn.dtype == np.uint8
    assert (drawn[:, :100] == 40).all()
    assert (drawn[:, 100 + GAP :] == 90).all()


def test_joins_the_points_of_either_picture():
    query = item = np.zeros((100, 100, 3), np.uint8)
    drawn = draw_matches(query, item, matches([[20, 50]], [[80, 50]]), height=200)
    coloured = (drawn > 0).any(2) & (drawn != 255).any(2)
    line = np.flatnonzero(coloured[101])
    # From twice (20, 50) in the left picture to twice (80, 50) in the right one, with a circle around either end.
    assert abs(line.min() - 40) <= 5
    assert abs(line.max() - (200 + GAP + 160)) <= 5
    assert not coloured[:90].any()


def test_draws_no_more_lines_than_asked_for():
    many = [[50, y] for y in range(0, 100, 2)]
    black = np.zeros((100, 100, 3), np.uint8)
    few, all_ = (draw_matches(black, black, matches(many, many), max_lines=n) for n in (5, 50))
    assert 0 < (few[:, : few.shape[1] // 3] > 0).sum() < (all_[:, : all_.shape[1] // 3] > 0).sum()


def test_leaves_the_pictures_as_they_were():
    query = np.zeros((480, 100, 3), np.uint8)
    draw_matches(query, query, matches([[20, 50]], [[80, 50]]))
    assert not query.any()
