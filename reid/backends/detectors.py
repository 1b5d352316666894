"""Four ways to find and describe keypoints: a grey uint8 picture -> positions (N, 2) and descriptors (N, d).

Each is also told by how much the picture was scaled.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from mahotas.features import surf as mahotas_surf

from reid.embedding import l2_normalise

Found = tuple[np.ndarray, np.ndarray]

SIFT_LIMIT = 1000
SURF_LIMIT = 1024
SURF_COARSE = 4
ORB_LIMIT = 1000
ORB_CONTRAST = 10
VGG_LIMIT = 300  # more than a millisecond each
VGG_LEAST, VGG_PIXELS = 40, 128  # small pictures hold fewer that differ: one for so many pixels, as the picture came
VGG_SIFT_SCALE = 6.75  # how much of a SIFT keypoint's surroundings the descriptor sees; OpenCV's advice


def sift(grey: np.ndarray, factor: float = 1.0) -> Found:
    """Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 2004; 128 floats.

    Square roots of L1-normalised histograms ("RootSIFT"): Arandjelović and Zisserman, "Three Things Everyone Should
    Know to Improve Object Retrieval", CVPR 2012.
    """
    keypoints, descriptors = cv2.SIFT.create(SIFT_LIMIT).detectAndCompute(grey, None)
    if descriptors is None:
        return _nothing(128)
    return _places(keypoints), np.sqrt(descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-12))


def surf(grey: np.ndarray, factor: float = 1.0) -> Found:
    """Bay et al., "SURF: Speeded Up Robust Features", CVIU 2008; 64 floats, from mahotas."""
    # The pixels of a picture that was enlarged this much say little one by one; every other takes a third of the time.
    step = 2 if factor >= SURF_COARSE else 1
    # y, x, scale, score, laplacian, angle, descriptor
    rows = mahotas_surf.surf(grey, initial_step_size=step, max_points=SURF_LIMIT)
    descriptors = np.nan_to_num(rows[:, 6:]).astype(np.float32)
    # A signed square root does for SURF's signed sums what RootSIFT does for counts.
    return rows[:, [1, 0]].astype(np.float32), l2_normalise(np.sign(descriptors) * np.sqrt(np.abs(descriptors)))


def orb(grey: np.ndarray, factor: float = 1.0) -> Found:
    """Rublee et al., "ORB: An Efficient Alternative to SIFT or SURF", ICCV 2011; 256 bits in 32 bytes."""
    keypoints, descriptors = cv2.ORB.create(ORB_LIMIT, fastThreshold=ORB_CONTRAST).detectAndCompute(grey, None)
    if descriptors is None:
        return _nothing(32, np.uint8)
    return _places(keypoints), descriptors


def vgg(grey: np.ndarray, factor: float = 1.0) -> Found:
    """Simonyan et al., "Learning Local Feature Descriptors Using Convex Optimisation", TPAMI 2014; 120 floats.

    The descriptor of Oxford's Visual Geometry Group, not its network; at SIFT's strongest keypoints.
    """
    limit = int(np.clip(grey.size / factor**2 / VGG_PIXELS, VGG_LEAST, VGG_LIMIT))
    keypoints = cv2.SIFT.create(limit).detect(grey, None)
    # OpenCV keeps ties beyond the limit.
    keypoints = sorted(keypoints, key=lambda k: -k.response)[:limit]
    if not keypoints:
        return _nothing(120)
    describer = cv2.xfeatures2d.VGG.create(scale_factor=VGG_SIFT_SCALE)
    keypoints, descriptors = describer.compute(grey, keypoints)
    if descriptors is None:
        return _nothing(120)
    return _places(keypoints), l2_normalise(np.sign(descriptors) * np.sqrt(np.abs(descriptors)))


def _places(keypoints: Sequence[cv2.KeyPoint]) -> np.ndarray:
    return np.array(cv2.KeyPoint.convert(keypoints), np.float32).reshape(-1, 2)


def _nothing(width: int, dtype: type = np.float32) -> Found:
    return np.zeros((0, 2), np.float32), np.zeros((0, width), dtype)
