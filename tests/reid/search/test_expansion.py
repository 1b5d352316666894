import numpy as np
import pytest

from reid.embedding import l2_normalise
from reid.search.expansion import augment_gallery, expand, expand_all
from reid.search.fuse import mean_ap

RNG = np.random.default_rng(0)


def clusters(classes=20, each=10, dim=64, noise=0.16):
    centres = RNG.normal(size=(classes, dim)) / np.sqrt(dim)
    vectors = np.repeat(centres, each, 0) + noise * RNG.normal(size=(classes * each, dim))
    return l2_normalise(vectors), np.repeat(np.arange(classes), each)


def test_without_neighbours_a_query_stays():
    query = l2_normalise(RNG.normal(size=8))
    np.testing.assert_allclose(expand(query, np.zeros((0, 8), np.float32)), query, atol=1e-6)


def test_the_nearest_count_most_and_what_points_away_not_at_all():
    query = np.array([1, 0, 0], np.float32)
    near, far, against = np.array([0.9, 0.436, 0]), np.array([0.3, 0, 0.954]), np.array([-1.0, 0, 0])
    found = expand(query, np.stack([near, far, against]).astype(np.float32), alpha=3)
    expected = l2_normalise(query + 0.9**3 * near + 0.3**3 * far)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_alpha_of_nought_is_the_plain_average():
    query, neighbours = l2_normalise(np.abs(RNG.normal(size=5))), l2_normalise(np.abs(RNG.normal(size=(3, 5))))
    np.testing.assert_allclose(expand(query, neighbours, 0), l2_normalise(query + neighbours.sum(0)), atol=1e-6)


def test_expanding_finds_more_of_a_class():
    vectors, classes = clusters()
    queries, gallery = vectors[::10], np.delete(vectors, np.s_[::10], 0)
    relevant = classes[::10][:, None] == np.delete(classes, np.s_[::10])[None]
    plain = mean_ap(queries @ gallery.T, relevant)
    expanded = mean_ap(expand_all(queries, gallery, 4) @ gallery.T, relevant)
    augmented = mean_ap(queries @ augment_gallery(gallery, 4).T, relevant)
    assert expanded > plain + 0.02
    assert augmented > plain + 0.02


def test_rows_are_expanded_as_single_ones():
    vectors, _ = clusters(3, 5)
    first = np.argsort(-(vectors[3:] @ vectors[0]), kind="stable")[:4]
    np.testing.assert_allclose(
        expand_all(vectors[:2], vectors[3:], 4)[0], expand(vectors[0], vectors[3:][first]), atol=1e-6
    )


@pytest.mark.parametrize("count", [0, 5, 50])
def test_more_neighbours_than_there_are_is_no_error(count):
    vectors, _ = clusters(2, 3)
    found = augment_gallery(vectors, count)
    assert found.shape == vectors.shape
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
