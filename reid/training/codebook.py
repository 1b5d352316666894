"""Learns a codebook from pictures: k-means or k-majority centres, and principal components of the descriptors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from reid.backends.aggregate import bit_deviations, hamming, unpack
from reid.backends.codebook import CENTRES, DIM, Codebook
from reid.backends.descriptors import LocalDescriptor
from reid.backends.registry import cards, create
from reid.backends.weights import WEIGHTS
from reid.errors import PartwiseError
from reid.training.sample_pictures import sample_pictures

ROUNDS = 20
AT_LEAST = 20 * CENTRES


def train_codebook(
    backend_name: str, pictures: Iterable[np.ndarray], out: Path, *, limit: int = 200_000, seed: int = 0
) -> Path:
    """Learn a codebook for a local descriptor and write it.

    Args:
        backend_name: "sift", "surf", "orb" or "vgg-descriptor".
        pictures: RGB uint8 (H, W, 3), of any sizes; read once, one at a time.
        out: the safetensors file to write.
        limit: descriptors to learn from; of more, a uniform sample.
        seed: of that sample and of the first centres: the same pictures give the same codebook.

    Returns:
        `out`; `reid.backends.descriptors.with_codebook(backend_name, out)` is the backend that uses it.

    Raises:
        PartwiseError: not a local descriptor, or the pictures hold too few keypoints to learn from.
    """
    backend = create(backend_name)
    if not isinstance(backend, LocalDescriptor):
        able = ", ".join(card.name for card in cards() if card.family == "local descriptor")
        raise PartwiseError(f"{backend_name} has no codebook to learn; backends with one: {able}.")
    rng = np.random.default_rng(seed)
    descriptors = _sample((backend.keypoints(picture).descriptors for picture in pictures), limit, rng)
    if len(descriptors) < AT_LEAST:
        raise PartwiseError(
            f"The pictures hold {len(descriptors)} {backend_name} keypoints, and a codebook takes {AT_LEAST}: "
            "use more pictures, larger ones, or such with more detail."
        )
    learn = learn_bits if descriptors.dtype == np.uint8 else learn_floats
    Codebook(backend_name, *learn(descriptors, seed)).save(out)
    return out


def learn_floats(descriptors: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal components and k-means of (N, d) float32: projection (d, DIM), centres (CENTRES, DIM), no `ones`."""
    import faiss

    projection = principal_components(descriptors)
    projected = np.ascontiguousarray(descriptors @ projection)
    # FAISS would take a sample of 256 descriptors a centre by itself.
    k_means = faiss.Kmeans(DIM, CENTRES, niter=ROUNDS, seed=seed, max_points_per_centroid=len(projected))
    k_means.train(projected)
    return projection, np.array(k_means.centroids, np.float32), np.zeros((0, 0), np.float32)


def learn_bits(descriptors: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """k-majority and principal components of (N, b / 8) uint8: projection (b, DIM), centres (CENTRES, b / 8), ones.

    Grana et al., "A Fast Approach for Integrating ORB Descriptors in the Bag of Words Model", SPIE 2013: k-means in
    Hamming space, where a centre's every bit is what most of its descriptors have.
    """
    rng = np.random.default_rng(seed)
    bits = unpack(descriptors)
    centres = descriptors[rng.choice(len(descriptors), CENTRES, replace=False)]
    for _ in range(ROUNDS):
        nearest = _nearest(descriptors, centres)
        belongs = (nearest == np.arange(CENTRES)[:, None]).astype(np.float32)
        # One set and one unset bit more: a bit that never changes here would otherwise deviate without bound.
        ones = (belongs @ bits + 1) / (belongs.sum(1, keepdims=True) + 2)
        centres = np.packbits(ones > 0.5, axis=1)
    ones = np.clip(ones, 0.02, 0.98).astype(np.float32)
    deviations = bit_deviations(descriptors, _nearest(descriptors, centres), ones)
    return principal_components(deviations), centres, ones


def principal_components(vectors: np.ndarray) -> np.ndarray:
    """The DIM directions of largest variance of (N, d): (d, DIM) float32, orthogonal columns.

    Halfway to whitening: full whitening blows up the noise of the last directions. Mukundan et al., "Understanding and
    Improving Kernel Local Descriptors", IJCV 2019.
    """
    variances, directions = np.linalg.eigh(np.cov(vectors, rowvar=False))
    variances, directions = variances[::-1][:DIM], directions[:, ::-1][:, :DIM]
    # What hardly varies at all is no direction but rounding.
    return (directions / np.maximum(variances, 1e-6 * variances[0]) ** 0.25).astype(np.float32)


def _nearest(descriptors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    blocks = range(0, len(descriptors), 8192)
    return np.concatenate([hamming(descriptors[i : i + 8192], centres).argmin(1) for i in blocks])


def _sample(batches: Iterable[np.ndarray], limit: int, rng: np.random.Generator) -> np.ndarray:
    """A uniform sample of at most `limit` rows from a stream of arrays: those that drew the smallest numbers."""
    kept: list[np.ndarray] = []
    drawn: list[np.ndarray] = []
    for batch in batches:
        kept.append(batch)
        drawn.append(rng.random(len(batch)))
        if sum(map(len, drawn)) > 2 * limit:
            kept, drawn = _thin(kept, drawn, limit)
    if not kept:
        return np.zeros((0, 0), np.float32)
    return _thin(kept, drawn, limit)[0][0]


def _thin(kept: list[np.ndarray], drawn: list[np.ndarray], limit: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rows, numbers = np.concatenate(kept), np.concatenate(drawn)
    chosen = np.sort(np.argsort(numbers, kind="stable")[:limit])
    return [rows[chosen]], [numbers[chosen]]


def train_shipped() -> None:
    """Learn the codebooks that ship, from pictures whose terms allow it."""
    for card in cards():
        if card.family == "local descriptor":
            path = train_codebook(card.name, sample_pictures(), WEIGHTS / str(card.weights))
            print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    train_shipped()
