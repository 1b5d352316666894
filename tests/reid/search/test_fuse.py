import numpy as np
import pytest

from reid.errors import PartwiseError, UnknownNameError
from reid.search.fuse import fit_weights, fuse, mean_ap, reciprocal_ranks, standardised, unit_range

RNG = np.random.default_rng(0)


def two_halves(queries=40, items=60, noise=1.0):
    """Items of 10 classes; each backend sees half of the truth, in cosines of its own range."""
    classes = np.arange(items) % 10
    relevant = classes[None] == (np.arange(queries) % 10)[:, None]
    first = 0.9 + 0.02 * (relevant + noise * RNG.normal(size=relevant.shape))
    second = 0.3 * (relevant + noise * RNG.normal(size=relevant.shape))
    return [first, second], relevant


@pytest.mark.parametrize("method", ["sum", "ranks"])
def test_two_that_err_apart_rank_better_together(method):
    similarities, relevant = two_halves()
    alone = [mean_ap(one, relevant) for one in similarities]
    assert mean_ap(fuse(similarities, method=method), relevant) > max(alone) + 0.05


def test_ranges_of_cosines_do_not_matter():
    similarities, _ = two_halves()
    scaled = [100 * similarities[0] - 7, similarities[1]]
    np.testing.assert_allclose(fuse(similarities), fuse(scaled), atol=1e-8)


def test_a_weight_of_one_leaves_one_ranking():
    similarities, _ = two_halves()
    np.testing.assert_array_equal(np.argsort(fuse(similarities, [0, 3])), np.argsort(similarities[1]))


def test_a_row_without_spread_says_nothing():
    assert (standardised(np.full((1, 4), 0.5)) == 0).all()


def test_reciprocal_ranks_begin_at_one_and_ties_keep_their_order():
    np.testing.assert_allclose(reciprocal_ranks(np.array([[0.1, 0.9, 0.9]])), [[1 / 63, 1 / 61, 1 / 62]])


def test_the_unit_range_keeps_the_order():
    scores = RNG.normal(size=(3, 9))
    ranged = unit_range(scores)
    assert (ranged.max(1) == 1).all()
    assert (ranged.min(1) == 0).all()
    np.testing.assert_array_equal(np.argsort(ranged), np.argsort(scores))
    assert (unit_range(np.ones((1, 3))) == 1).all()


class TestFitting:
    def test_a_useless_backend_gets_little(self):
        similarities, relevant = two_halves(noise=0.3)
        weights = fit_weights([similarities[0], RNG.normal(size=relevant.shape)], relevant)
        assert weights[0] >= 0.8
        assert weights.sum() == pytest.approx(1)

    def test_fitted_is_at_least_as_good_as_even_or_alone(self):
        similarities, relevant = two_halves()
        similarities[1] = similarities[1] + 0.3 * RNG.normal(size=relevant.shape)
        fitted = mean_ap(fuse(similarities, fit_weights(similarities, relevant)), relevant)
        assert fitted >= mean_ap(fuse(similarities), relevant)
        assert fitted >= max(mean_ap(one, relevant) for one in similarities)

    def test_what_is_not_counted_does_not_count(self):
        similarities, relevant = two_halves()
        counted = np.ones_like(relevant)
        counted[:, :30] = False
        expected = fit_weights([one[:, 30:] for one in map(standardised, similarities)], relevant[:, 30:])
        found = fit_weights(similarities, relevant, counted)
        assert np.abs(found - expected).max() <= 0.3

    def test_nothing_to_learn_from_gives_even_weights(self):
        assert fit_weights([np.eye(3)] * 2, np.zeros((3, 3), bool)).tolist() == [0.5, 0.5]


def test_mean_ap_is_the_mean_of_precisions_at_hits():
    scores = np.array([[3, 2, 1.0], [1, 2, 3.0]])
    relevant = np.array([[True, False, True], [False, False, False]])
    assert mean_ap(scores, relevant) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, float("nan")]])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(PartwiseError):
        fuse([np.eye(2)] * 2, weights)


def test_methods_and_single_backends_are_refused():
    with pytest.raises(UnknownNameError, match="sum, ranks"):
        fuse([np.eye(2)] * 2, method="vote")
    with pytest.raises(PartwiseError, match="two backends"):
        fuse([np.eye(2)])
