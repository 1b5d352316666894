"""Does one view of the scene explain both pictures? The shortlist is checked by keypoints and its inliers counted."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Protocol

import cv2
import numpy as np

from reid.backends.aggregate import hamming
from reid.backends.keypoints import Keypoints, Matches

__all__ = ["MIN_INLIERS", "KeypointCache", "Matches", "check_shortlist", "match", "order_by_inliers", "verify"]

RATIO = 0.85
TOLERANCE = 0.01
# Fewer agree by chance among a thousand keypoints: such an item keeps the place its similarity gave it.
MIN_INLIERS = 10

_MODELS: dict[str, tuple[Callable[..., Any], int]] = {
    "homography": (cv2.findHomography, 4),
    "fundamental": (cv2.findFundamentalMat, 8),
}


class HasKeypoints(Protocol):
    """A backend that finds keypoints; the local descriptors are."""

    def recipe_hash(self) -> str: ...
    def keypoints(self, picture: np.ndarray) -> Keypoints: ...


class KeypointCache:
    """Keypoints of the pictures that were last asked for, found on demand: they are too many to keep with the vectors.

    Safe among threads; the same picture may at worst be described twice.

    Args:
        capacity: pictures kept, of half a megabyte or less each.
    """

    def __init__(self, capacity: int = 256) -> None:
        self.capacity = capacity
        self._kept: OrderedDict[tuple[str, str], Keypoints] = OrderedDict()
        self._lock = Lock()

    def get(self, backend: HasKeypoints, key: str, load: Callable[[], np.ndarray]) -> Keypoints:
        """The keypoints of the picture that `key` names (its sha256, say) and `load` reads."""
        name = (backend.recipe_hash(), key)
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        found = backend.keypoints(load())
        with self._lock:
            self._kept[name] = found
            while len(self._kept) > self.capacity:
                self._kept.popitem(last=False)
        return found

    def __len__(self) -> int:
        return len(self._kept)


_cache = KeypointCache()


def match(query: Keypoints, item: Keypoints, ratio: float = RATIO) -> np.ndarray:
    """Pairs that are each other's nearest, and clearly nearer than the query's second nearest: (M, 2) row indices.

    Ratio test: Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 2004.
    """
    if len(query) < 2 or len(item) < 2:
        return np.zeros((0, 2), np.int64)
    distances = _distances(query.descriptors, item.descriptors)
    rows = np.arange(len(query))
    nearest = distances.argmin(1)
    best, second = np.partition(distances, 1, axis=1)[:, :2].T
    kept = (distances.argmin(0)[nearest] == rows) & (best < ratio * second)
    return np.stack([rows[kept], nearest[kept]], 1)


def verify(
    query: Keypoints,
    item: Keypoints,
    *,
    model: str = "homography",
    tolerance: float = TOLERANCE,
    ratio: float = RATIO,
) -> Matches:
    """The matches of two pictures that agree on one geometry.

    MAGSAC++: Barath et al., "MAGSAC++, a Fast, Reliable and Accurate Robust Estimator", CVPR 2020.

    Args:
        query, item: keypoints of the same backend.
        model: "homography" (a plane, a far scene, or a camera that only turned) or "fundamental" (any rigid scene;
            it binds a point only to a line, so that more agree by chance).
        tolerance: how far an inlier may be off, as a share of the item's longer side.
        ratio: of the ratio test, 0..1; higher lets more matches through.

    Returns:
        The inliers, in pixels of either picture; none where no geometry was found.
    """
    estimate, at_least = _MODELS[model]
    pairs = match(query, item, ratio)
    query_xy, item_xy = query.xy[pairs[:, 0]], item.xy[pairs[:, 1]]
    # Keypoints may share a place, one for each orientation; only distinct places bind a geometry.
    places = min(len(np.unique(query_xy, axis=0)), len(np.unique(item_xy, axis=0)))
    mask = None
    if places >= at_least:
        _, mask = estimate(
            query_xy, item_xy, cv2.USAC_MAGSAC, tolerance * max(item.size), maxIters=2000, confidence=0.999
        )
    inlier = np.zeros(len(pairs), bool) if mask is None else mask.ravel().astype(bool)
    return Matches(query_xy[inlier], item_xy[inlier])


def order_by_inliers(inliers: Sequence[int]) -> np.ndarray:
    """The new order of a shortlist that came by similarity: most inliers first; those with too few keep theirs."""
    counted = np.array([n if n >= MIN_INLIERS else 0 for n in inliers], np.int64)
    return np.argsort(-counted, kind="stable")


def check_shortlist(
    backend: HasKeypoints,
    query: np.ndarray,
    pictures: Sequence[tuple[str, Callable[[], np.ndarray]]],
    *,
    cache: KeypointCache | None = None,
) -> tuple[np.ndarray, list[Matches]]:
    """Check a shortlist by geometry.

    Args:
        backend: a local descriptor.
        query: RGB uint8 picture (H, W, 3).
        pictures: by similarity, for each a key that names its contents (the sha256) and a function that reads it.
        cache: where keypoints are kept; by default one for the process.

    Returns:
        order: indices into `pictures`, best first (`order_by_inliers`).
        matches: of `pictures[i]` at i; none for a pair without a common geometry.
    """
    cache = _cache if cache is None else cache
    asked = backend.keypoints(query)

    def check(picture: tuple[str, Callable[[], np.ndarray]]) -> Matches:
        return verify(asked, cache.get(backend, *picture))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        matches = list(pool.map(check, pictures))
    return order_by_inliers([m.inliers for m in matches]), matches


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """All distances between rows: Hamming for packed bits, else Euclidean. (N, d), (M, d) -> (N, M) float32."""
    if a.dtype == np.uint8:
        return hamming(a, b)
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squared, 0))
