import cv2
import numpy as np
import pytest

from reid.backends import get
from reid.backends.keypoints import Keypoints
from reid.search.geometry import MIN_INLIERS, KeypointCache, check_shortlist, match, order_by_inliers, verify
from tests.reid.backends.pictures import scene

HOMOGRAPHY = np.array([[0.9, -0.2, 40], [0.15, 0.95, -10], [1e-4, 5e-5, 1]])


def moved(rng: np.random.Generator, count: int, strangers: int) -> tuple[Keypoints, Keypoints]:
    """Points under a known homography, and others whose place is chance; all descriptors match."""
    xy = rng.uniform(0, 400, (count + strangers, 2)).astype(np.float32)
    there = cv2.perspectiveTransform(xy[None].astype(np.float64), HOMOGRAPHY)[0].astype(np.float32)
    there[count:] = rng.uniform(0, 400, (strangers, 2))
    descriptors = rng.normal(size=(count + strangers, 32)).astype(np.float32)
    return Keypoints(xy, descriptors, (400, 400)), Keypoints(there, descriptors.copy(), (400, 400))


def nowhere(descriptors: np.ndarray) -> Keypoints:
    return Keypoints(np.zeros((len(descriptors), 2), np.float32), descriptors, (100, 100))


class TestMatch:
    def test_only_mutual_and_clear_pairs(self):
        query = nowhere(np.array([[0, 0], [10, 0], [0, 10], [50, 50]], np.float32))
        # Row 0 has two near neighbours; row 3's nearest is nearer to row 2.
        item = nowhere(np.array([[1, 0], [-1, 0.1], [10, 0.5], [0, 10.5]], np.float32))
        np.testing.assert_array_equal(match(query, item), [[1, 2], [2, 3]])

    def test_bits_by_hamming_distance(self):
        rng = np.random.default_rng(0)
        bits = rng.integers(0, 256, (20, 32), dtype=np.uint8)
        flipped = bits.copy()
        flipped[:, 0] ^= 0b11
        np.testing.assert_array_equal(match(nowhere(bits), nowhere(flipped[::-1])), [[i, 19 - i] for i in range(20)])

    @pytest.mark.parametrize("count", [0, 1])
    def test_too_few_to_compare(self, count):
        some = nowhere(np.eye(5, dtype=np.float32))
        assert match(nowhere(np.zeros((count, 5), np.float32)), some).shape == (0, 2)
        assert match(some, nowhere(np.zeros((count, 5), np.float32))).shape == (0, 2)


class TestVerify:
    @pytest.mark.parametrize("model", ["homography", "fundamental"])
    def test_keeps_what_agrees(self, model):
        query, item = moved(np.random.default_rng(0), 60, 0)
        assert verify(query, item, model=model).inliers >= 58

    def test_drops_what_does_not_and_stays_in_the_callers_pixels(self):
        query, item = moved(np.random.default_rng(1), 60, 40)
        found = verify(query, item)
        assert 58 <= found.inliers <= 64
        there = cv2.perspectiveTransform(found.query_xy[None].astype(np.float64), HOMOGRAPHY)[0]
        assert np.linalg.norm(there - found.item_xy, axis=1).max() < 8

    def test_chance_does_not_reach_the_least_number(self):
        query, item = moved(np.random.default_rng(2), 0, 100)
        assert verify(query, item).inliers < MIN_INLIERS

    def test_degenerate_places_are_no_geometry_and_no_crash(self):
        descriptors = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
        line = np.stack([np.arange(30), np.arange(30)], 1).astype(np.float32)
        for xy in (np.zeros((30, 2), np.float32), line):
            points = Keypoints(xy, descriptors, (100, 100))
            for model in ("homography", "fundamental"):
                assert len(verify(points, points, model=model).item_xy) == verify(points, points, model=model).inliers
        assert verify(Keypoints(np.zeros((30, 2), np.float32), descriptors, (9, 9)), points).inliers == 0

    @pytest.mark.parametrize("name", ["sift", "surf", "orb", "vgg-descriptor"])
    def test_a_crop_is_found_where_it_was_cut(self, name):
        backend = get(name)
        picture = scene(3)
        found = verify(backend.keypoints(picture[40:200, 60:300]), backend.keypoints(picture))
        assert found.inliers >= 20
        offset = np.median(found.item_xy - found.query_xy, axis=0)
        np.testing.assert_allclose(offset, [60, 40], atol=1)
        assert verify(backend.keypoints(scene(3)), backend.keypoints(scene(4))).inliers < MIN_INLIERS


def test_inliers_lead_and_the_rest_keep_their_order():
    assert order_by_inliers([0, MIN_INLIERS - 1, 40, 3, MIN_INLIERS]).tolist() == [2, 4, 0, 1, 3]
    assert order_by_inliers([]).tolist() == []


def test_a_shortlist_is_put_right():
    pictures = [scene(seed) for seed in range(5)]
    query = pictures[3][30:220, 40:300]
    order, matches = check_shortlist(
        get("orb"), query, [(str(i), lambda p=p: p) for i, p in enumerate(pictures)], cache=KeypointCache()
    )
    assert order.tolist() == [3, 0, 1, 2, 4]
    assert matches[3].inliers >= MIN_INLIERS


class TestCache:
    def test_describes_once_and_forgets_the_oldest(self):
        class Counting:
            described = 0

            def recipe_hash(self):
                return "recipe"

            def keypoints(self, picture):
                self.described += 1
                return nowhere(np.zeros((1, 2), np.float32))

        backend, cache, picture = Counting(), KeypointCache(capacity=2), np.zeros((16, 16, 3), np.uint8)
        for key in "aab":
            cache.get(backend, key, lambda: picture)
        assert backend.described == 2
        cache.get(backend, "a", lambda: picture)
        cache.get(backend, "c", lambda: picture)  # b goes: a was asked for since
        assert len(cache) == 2
        cache.get(backend, "a", lambda: picture)
        assert backend.described == 3
        cache.get(backend, "b", lambda: picture)
        assert backend.described == 4
