"""Hidden parts neither help nor hurt, and weights turn the match to what one looks at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.embedding import Embedding, Embeddings
from reid.search.parts import chosen_part_similarity, part_cosines, part_similarity, shared_visibility


def random_embeddings(seed: int, n: int, parts: int = 3) -> Embeddings:
    rng = np.random.default_rng(seed)
    return Embeddings.of(rng.normal(size=(n, 6)), rng.normal(size=(n, parts, 4)), rng.uniform(size=(n, parts)))


# Zero or a weight that single precision still adds up.
weight = st.floats(0, 4).map(lambda x: round(x, 3))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 5), weight, st.lists(weight, min_size=3, max_size=3))
def test_equals_the_formula_written_out(seed, n, share, weights):
    items = random_embeddings(seed, n)
    query = random_embeddings(seed + 1, 1)[0]
    ours = part_similarity(query, items, np.array(weights), share)
    for i, item in enumerate(items):
        above, below = share * float(query.global_ @ item.global_), share
        for p in range(3):
            w = weights[p] * min(query.visibility[p], item.visibility[p])
            above += w * float(query.parts[p] @ item.parts[p])
            below += w
        assert ours[i] == pytest.approx(above / below if below > 0 else 0, abs=1e-4)
    assert ours.shape == (n,)
    assert ours.dtype == np.float32


def test_a_picture_is_its_own_best_match():
    items = random_embeddings(3, 20)
    for i in range(20):
        similarity = part_similarity(items[i], items)
        assert similarity.argmax() == i
        assert similarity[i] == pytest.approx(1, abs=1e-5)


def test_what_one_picture_hides_does_not_count():
    query = Embedding.of(np.ones(2), np.array([[1, 0], [0, 1]]), np.array([1, 0]))
    items = Embeddings.of(
        np.ones((2, 2)), np.array([[[1, 0], [0, 1]], [[1, 0], [0, -1]]]), np.array([[1.0, 1.0], [1.0, 1.0]])
    )
    assert part_similarity(query, items) == pytest.approx([1, 1])
    assert shared_visibility(query, items).tolist() == [[1, 0], [1, 0]]
    assert part_cosines(query, items).tolist() == [[1, 1], [1, -1]]


def test_weights_turn_the_match():
    query = Embedding.of(np.ones(2), np.array([[1, 0], [1, 0]]))
    items = Embeddings.of(np.ones((2, 2)), np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]]]))
    assert part_similarity(query, items, np.array([1, 0])).argmax() == 0
    assert part_similarity(query, items, np.array([0, 1])).argmax() == 1
    assert part_similarity(query, items, np.array([1, 0]), global_weight=0) == pytest.approx([1, 0])
    assert part_similarity(query, items, np.zeros(2), global_weight=0).tolist() == [0, 0]


def test_without_parts_the_whole_decides():
    rng = np.random.default_rng(0)
    items = Embeddings.of(rng.normal(size=(4, 6)))
    assert part_similarity(items[1], items) == pytest.approx(items.global_ @ items.global_[1])


def test_bad_weights_are_refused():
    items = random_embeddings(0, 2)
    with pytest.raises(ValueError, match="3 parts"):
        part_similarity(items[0], items, np.ones(2))
    with pytest.raises(ValueError, match="negative"):
        part_similarity(items[0], items, np.array([1, -1, 1]))


def test_a_hidden_part_does_not_win_a_search_for_it():
    """One item hides the part by which it would be nearest: it ranks as a stranger, behind a like one that shows it."""
    query = Embedding.of(np.ones(2), np.float32([[1, 0]]))
    cosines = np.array([0.99, 0.8, 0.1, -0.3])
    parts = np.stack([cosines, np.sqrt(1 - cosines**2)], 1)[:, None]
    items = Embeddings.of(np.ones((4, 2)), parts, np.array([[0.0], [1.0], [1.0], [1.0]]))
    found = chosen_part_similarity(query, items, np.ones(1))
    assert found.argmax() == 1
    assert found[0] == pytest.approx(cosines[1:].mean(), abs=1e-5)
    assert found[1:] == pytest.approx(cosines[1:], abs=1e-5)


def test_a_part_of_weight_zero_leaves_the_match():
    rng = np.random.default_rng(0)
    query = Embedding.of(rng.normal(size=3), rng.normal(size=(2, 4)), rng.random(2))
    parts, visibility = rng.normal(size=(6, 2, 4)), rng.random((6, 2))
    changed = parts.copy()
    changed[:, 1] = rng.normal(size=(6, 4))
    weights = np.array([0.7, 0.0])
    one, other = (
        chosen_part_similarity(query, Embeddings.of(np.ones((6, 3)), each, visibility), weights)
        for each in (parts, changed)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("weights", [np.ones(3), -np.ones(2), np.zeros(2)])
def test_weights_that_choose_nothing_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        chosen_part_similarity(
            Embedding.of(np.ones(2), np.ones((2, 2))), Embeddings.of(np.ones((1, 2)), np.ones((1, 2, 2))), weights
        )


def test_no_items_have_no_similarity():
    query = Embedding.of(np.ones(2), np.ones((2, 2)))
    assert chosen_part_similarity(query, Embeddings.of(np.ones((0, 2)), np.ones((0, 2, 2))), np.ones(2)).shape == (0,)
