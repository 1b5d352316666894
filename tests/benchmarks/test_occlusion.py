"""What is hidden of a query: as much as promised, the same every time, and by somebody else."""

import numpy as np
import pytest

from benchmarks.occlusion import SHARE, by_block, by_parts, by_patch, by_person, hidden_queries, rectangle
from reid.datasets import Sample
from reid.embedding import Embeddings
from reid.images import save_image


@pytest.fixture(scope="module")
def queries(tmp_path_factory):
    """Twelve plain pictures: identity n has the grey 20 n."""
    folder = tmp_path_factory.mktemp("query")
    samples = []
    for n in range(12):
        save_image(folder / f"{n}.png", np.full((128, 64, 3), 20 * (n // 2), np.uint8))
        samples.append(Sample(folder / f"{n}.png", f"{n}.png", identity=str(n // 2), camera=f"c{n % 2}"))
    return samples


def test_rectangles_hide_30_to_50_percent():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        mask = np.zeros((128, 64), bool)
        mask[rectangle(128, 64, rng)] = True
        shares.append(mask.mean())
    assert SHARE[0] - 0.01 <= min(shares) < 0.32
    assert 0.48 < max(shares) <= SHARE[1] + 0.01


@pytest.mark.parametrize("hide", [by_block, by_person, by_patch])
def test_chance_is_seeded_by_query(queries, hide):
    one, again = (np.concatenate([np.stack(b) for b in hidden_queries(queries, hide)]) for _ in range(2))
    other = np.concatenate([np.stack(b) for b in hidden_queries(queries, hide, seed=1)])
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    alone = np.concatenate([np.stack(b) for b in hidden_queries(queries[:6], by_block)])
    np.testing.assert_array_equal(alone, np.concatenate([np.stack(b) for b in hidden_queries(queries, by_block)])[:6])


def test_a_block_rises_from_the_lower_edge(queries):
    for picture in (picture for batch in hidden_queries(queries[2:], by_block) for picture in batch):
        shown = (picture > 0).all((1, 2))
        assert 0.49 < shown.mean() < 0.71
        assert shown[: shown.sum()].all()


def test_the_other_person_is_another_one(queries):
    pictures = [picture for batch in hidden_queries(queries, by_person) for picture in batch]
    for n, picture in enumerate(pictures):
        own, others = 20 * (n // 2), set(np.unique(picture)) - {20 * (n // 2)}
        assert 0.49 < (picture == own).mean() < 0.71
        assert len(others) == 1
        assert others < {20 * m for m in range(6)}


def test_parts_reorder_the_nearest_only():
    rng = np.random.default_rng(0)
    query = Embeddings.of(rng.normal(size=(3, 8)), rng.normal(size=(3, 2, 4)), rng.random((3, 2)))
    gallery = Embeddings.of(rng.normal(size=(150, 8)), rng.normal(size=(150, 2, 4)), rng.random((150, 2)))
    plain = np.argsort(-query.global_ @ gallery.global_.T, axis=1)
    reordered = np.argsort(np.concatenate(list(by_parts(query, gallery))), axis=1)
    for before, after in zip(plain, reordered, strict=True):
        assert set(before[:100]) == set(after[:100])
        assert (before[:100] != after[:100]).any()
        np.testing.assert_array_equal(before[100:], after[100:])
