import numpy as np
import pytest

from reid.embedding import l2_normalise
from reid.errors import PartwiseError
from reid.search.feedback import fit_map, pairs_of, rocchio
from reid.search.fuse import mean_ap

RNG = np.random.default_rng(0)
NONE = np.zeros((0, 6), np.float32)


class TestRocchio:
    def test_the_query_moves_to_the_right_and_from_the_wrong(self):
        query, right, wrong = l2_normalise(np.eye(6)[:3] + 0.4)
        moved = rocchio(query, right[None], wrong[None])
        assert moved @ right > query @ right
        assert moved @ wrong < query @ wrong
        assert np.linalg.norm(moved) == pytest.approx(1)

    def test_without_judgements_it_stays(self):
        query = l2_normalise(RNG.normal(size=6))
        np.testing.assert_allclose(rocchio(query, NONE, NONE), query, atol=1e-6)


def dressed(people=30, each=8, dim=24):
    """Vectors whose last numbers say who, and whose first ones say only where the picture was taken."""
    who = np.repeat(RNG.normal(size=(people, 8)), each, 0)
    where = RNG.normal(size=(people * each, 8))
    rest = 0.3 * RNG.normal(size=(people * each, dim - 16))
    return l2_normalise(np.concatenate([1.5 * where, rest, who], 1)), np.repeat(np.arange(people), each)


class TestMap:
    def test_judgements_on_some_people_help_to_find_others(self):
        vectors, who = dressed()
        alike, unlike = [], []
        for person in range(10):  # judged: the first ten; asked for: the others
            rows = np.flatnonzero(who == person)
            a, u = pairs_of(vectors[rows[0]], vectors[rows[1:4]], vectors[RNG.choice(np.flatnonzero(who > 9), 3)])
            alike.append(a)
            unlike.append(u)
        learnt = fit_map(np.concatenate(alike), np.concatenate(unlike), strength=4)
        others, names = vectors[who > 9], who[who > 9]
        relevant = (names[:, None] == names[None]) & ~np.eye(len(names), dtype=bool)
        counted = ~np.eye(len(names), dtype=bool)
        mapped = learnt.apply(others)
        assert mean_ap(mapped @ mapped.T, relevant, counted) > mean_ap(others @ others.T, relevant, counted) + 0.05

    def test_what_was_not_judged_stays(self):
        alike = np.array([[0.5, 0, 0, 0, 0, 0]], np.float32)
        learnt = fit_map(alike, NONE)
        apart = np.eye(6, dtype=np.float32)[3]
        np.testing.assert_allclose(learnt.apply(apart), apart, atol=1e-6)
        both = l2_normalise(np.array([1, 1, 0, 0, 0, 0.0]))
        assert learnt.apply(both)[0] < both[0]  # alike ones differ in it, so it counts less

    def test_wrong_hits_alone_stretch_what_tells_them_apart(self):
        learnt = fit_map(NONE, np.array([[0, 0.7, 0, 0, 0, 0]], np.float32))
        both = l2_normalise(np.array([1, 1, 0, 0, 0, 0.0]))
        assert learnt.apply(both)[1] > both[1]

    def test_more_judgements_bend_the_space_more(self):
        pair = np.array([[0.5, 0, 0, 0, 0, 0]], np.float32)
        both = l2_normalise(np.array([1, 1, 0, 0, 0, 0.0]))
        few, many = (fit_map(np.repeat(pair, n, 0), NONE).apply(both)[0] for n in (1, 20))
        assert many < few

    def test_no_judgement_is_said_to_be_none(self):
        with pytest.raises(PartwiseError, match="mark a hit"):
            fit_map(NONE, NONE)


def test_pairs_join_the_query_with_all_right_ones():
    query, right, wrong = np.zeros(6), np.eye(6)[:2], np.eye(6)[3:4]
    alike, unlike = pairs_of(query, right, wrong)
    assert alike.shape == (3, 6)
    assert unlike.shape == (3, 6)
    assert pairs_of(query, NONE, NONE)[0].shape == (0, 6)
