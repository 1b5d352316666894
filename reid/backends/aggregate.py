"""From a picture's local descriptors to one vector.

Float descriptors: VLAD, Jégou et al., "Aggregating Local Descriptors into a Compact Image Representation", CVPR 2010,
with intra-normalisation, Arandjelović and Zisserman, "All about VLAD", CVPR 2013. Binary descriptors: the Fisher
vector of independent bits, Uchida and Sakazawa, "Image Retrieval with Fisher Vectors of Binary Features", ACPR 2013.
"""

from __future__ import annotations

import numpy as np

from reid.embedding import l2_normalise

# A descriptor counts at so many centres: one that lies between two goes to both in a picture and in its copy. Philbin
# et al., "Lost in Quantization", CVPR 2008.
ASSIGNED = 3


def vlad(descriptors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Sum each centre's residuals, normalise them by centre, then as a whole.

    Args:
        descriptors: (N, d) float32.
        centres: (K, d) float32.

    Returns:
        (K * d,) float32 of unit length; all zero for N = 0.
    """
    nearness = descriptors @ centres.T - 0.5 * (centres**2).sum(1)
    sums = np.zeros_like(centres)
    for nearest in _assign(-nearness):
        sums += _belongs(nearest, len(centres)) @ (descriptors - centres[nearest])
    return _normalise(sums)


def bit_fisher(descriptors: np.ndarray, centres: np.ndarray, ones: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """Sum, for each centre, how its descriptors' bits deviate from what is usual there.

    Args:
        descriptors: (N, b / 8) uint8, b bits packed.
        centres: (K, b / 8) uint8, packed.
        ones: (K, b) float32, how often each bit is set among a centre's descriptors, between 0 and 1.
        projection: (b, d) float32, onto the directions in which bits deviate together.

    Returns:
        (K * d,) float32 of unit length; all zero for N = 0.
    """
    # Distances are whole numbers: of centres that are equally near, the first is taken.
    nearest = _assign(hamming(descriptors, centres) + np.arange(len(centres), dtype=np.float32) / len(centres))
    members = np.sum([_belongs(each, len(centres)) for each in nearest], axis=0)
    # What `bit_deviations` gives, summed by centre before anything is multiplied.
    deviations = (members @ unpack(descriptors) - members.sum(1, keepdims=True) * ones) / np.sqrt(ones * (1 - ones))
    return _normalise(deviations @ projection)


def bit_deviations(descriptors: np.ndarray, nearest: np.ndarray, ones: np.ndarray) -> np.ndarray:
    """How far each bit is from its centre's mean, in standard deviations: (N, b / 8), (N,), (K, b) -> (N, b)."""
    expected = ones[nearest]
    return (unpack(descriptors) - expected) / np.sqrt(expected * (1 - expected))


def unpack(bits: np.ndarray) -> np.ndarray:
    """(N, b / 8) packed uint8 -> (N, b) float32 of 0 and 1."""
    return np.unpackbits(bits, axis=1).astype(np.float32)


def hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Differing bits of all pairs of packed rows: (N, b / 8), (M, b / 8) uint8 -> (N, M) float32, whole numbers."""
    # As signs, the inner product is (equal bits) - (differing bits): a matrix product beats counting bits.
    signs_a, signs_b = 2 * unpack(a) - 1, 2 * unpack(b) - 1
    return 0.5 * (signs_a.shape[1] - signs_a @ signs_b.T)


def _assign(distances: np.ndarray) -> np.ndarray:
    """Each descriptor's nearest centres, in no order: (N, K) -> (ASSIGNED, N)."""
    if distances.shape[1] <= ASSIGNED:
        return np.repeat(np.arange(distances.shape[1])[:, None], len(distances), axis=1)
    return np.argpartition(distances, ASSIGNED - 1, axis=1)[:, :ASSIGNED].T


def _belongs(nearest: np.ndarray, count: int) -> np.ndarray:
    """(N,) centres -> (count, N) float32 of 0 and 1, which sums by centre when it multiplies."""
    return (nearest == np.arange(count)[:, None]).astype(np.float32)


def _normalise(sums: np.ndarray) -> np.ndarray:
    """Signed square root, unit length by centre, unit length overall: (K, d) -> (K * d,)."""
    # The root tempers bursts: a brick wall repeats one descriptor a hundred times.
    rooted = np.sign(sums) * np.sqrt(np.abs(sums))
    return l2_normalise(l2_normalise(rooted).ravel())
