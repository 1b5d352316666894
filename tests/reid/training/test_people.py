"""Reading people and batches by identity."""

import cv2
import numpy as np
import pytest

from reid.errors import DatasetError
from reid.training.people import identity_batches, read_people


def test_a_batch_holds_so_many_people_with_so_many_views():
    identities = np.repeat(np.arange(30), np.random.default_rng(0).integers(1, 20, 30))
    for batch in identity_batches(identities, people=6, views=4, rng=np.random.default_rng(1), steps=20):
        chosen = identities[batch].reshape(6, 4)
        assert (chosen == chosen[:, :1]).all()


def test_every_identity_comes_up():
    identities = np.repeat(np.arange(50), 4)
    batches = identity_batches(identities, 10, 4, np.random.default_rng(0), steps=5)
    assert set(identities[np.concatenate(list(batches))]) == set(range(50))


def test_read_people_numbers_identities_apart_and_finds_the_teachers_rows(tmp_path):
    paths = []
    for name in ("a1", "a2", "b1"):
        paths.append(tmp_path / f"{name}.png")
        cv2.imwrite(str(paths[-1]), np.full((40, 20, 3), 90, np.uint8))
    taught = {"a1.png": np.ones(4, np.float32), "a2.png": np.zeros(4, np.float32)}
    people = read_people([(paths[:2], ["a", "a"]), (paths[2:], ["a"])], (32, 16), [taught, None])
    assert people.pictures.shape == (3, 32, 16, 3)
    assert people.identities.tolist() == [0, 0, 1], "the same name in two sources is two people"
    assert people.taught is not None
    assert people.taught.sum(1).tolist() == [4, 0, 0]


def test_an_unreadable_picture_is_named(tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"bad\.jpg"):
        read_people([([bad], ["a"])], (32, 16))
    with pytest.raises(DatasetError, match="no pictures"):
        read_people([], (32, 16))
