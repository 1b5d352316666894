"""Blends: what is drawn, what it looks like, and that files find their pictures."""

import numpy as np
import pytest

from reid.errors import DatasetError
from reid.training.blends import MIXED, Blends, blend, draw, join_blends, read_blends

WHITE, BLACK = np.full((8, 4, 3), 255, np.uint8), np.zeros((8, 4, 3), np.uint8)


def test_a_blend_changes_at_its_cut_or_shows_both():
    cut = blend(WHITE, BLACK, np.array([1.0, 0.0]), 0.5)
    assert cut.dtype == np.uint8
    assert (cut[:4] == 255).all()
    assert (cut[4:] == 0).all()
    assert (blend(WHITE, BLACK, np.array([0.4, 0.4]), 0.5) == 102).all()


def test_pairs_differ_and_shares_are_of_the_two_kinds():
    pairs, shares, cuts = draw(5, 4000, np.random.default_rng(0))
    assert pairs.min() == 0
    assert pairs.max() == 4
    assert (pairs[:, 0] != pairs[:, 1]).all()
    mixed = shares[:, 0] == shares[:, 1]
    assert mixed.mean() == pytest.approx(MIXED, abs=0.03)
    assert (shares[~mixed] == [1, 0]).all()
    assert 0.25 <= cuts.min() < cuts.max() <= 0.75


def test_a_file_finds_its_pictures_by_name(tmp_path):
    file = tmp_path / "blends.npz"
    columns = {"shares": np.float32([[1, 0], [0, 0]]), "cuts": np.float32([0.5, 0.6]), "vectors": np.eye(2, 4)}
    np.savez(file, names=np.array(["b.jpg", "c.jpg", "a.jpg"]), pairs=np.array([[1, 2], [0, 2]]), **columns)
    blends = read_blends(file, ["a.jpg", "b.jpg"])
    assert blends.pairs.tolist() == [[1, 0]]
    assert blends.shares.tolist() == [[0, 0]]
    assert blends.taught.tolist() == [[0, 1, 0, 0]]
    pictures = np.stack([BLACK, WHITE])
    assert (blends.picture(pictures, 0) == 0).all()
    with pytest.raises(DatasetError, match="blends none"):
        read_blends(file, ["a.jpg"])


def test_sources_stand_below_each_other():
    one = Blends(np.array([[0, 1]]), np.float32([[1, 0]]), np.float32([0.5]), np.eye(1, 4, dtype=np.float32))
    both = join_blends([(one, 3), (None, 10), (one, 2)])
    assert both.pairs.tolist() == [[0, 1], [13, 14]]
    assert len(both.taught) == len(both) == 2
    assert join_blends([(None, 3)]) is None
