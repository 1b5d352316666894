"""Colour histograms by horizontal stripes: what a person wears from head to foot, and the baseline to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reid.backends.registry import Backend, Card, register
from reid.embedding import Embeddings

STRIPES = ("head", "shoulders", "waist", "hips", "knees", "feet")
BINS = (8, 4, 4)  # hue, saturation, value
HEIGHT, WIDTH = 64, 32
SPREAD = 0.15


@register(
    Card(
        name="hsv-stripes",
        family="baseline",
        subject="person",
        does=("embed",),
        summary="Colour histograms of six horizontal stripes; fast, nothing learnt.",
        dim=len(STRIPES) * BINS[0] * BINS[1] * BINS[2],
        parts=STRIPES,
        licence="Apache-2.0",
        input_size=(HEIGHT, WIDTH),
        preprocessing=f"area resize; HSV in {BINS} bins; columns by a Gaussian of {SPREAD} widths; square root",
    )
)
class HsvStripes(Backend):
    """One histogram over hue, saturation and value a stripe, compared by Bhattacharyya's coefficient (the square root).

    Columns in the middle count more: there the person stands, at the sides is street.
    """

    def load(self) -> None:
        hue, saturation, value = BINS
        levels = np.arange(256)
        self._tables = (
            (levels * hue // 256 * saturation * value).astype(np.int32),
            (levels * saturation // 256 * value).astype(np.int32),
            (levels * value // 256).astype(np.int32),
        )
        columns = (np.arange(WIDTH) + 0.5) / WIDTH - 0.5
        self._weights = np.exp(-0.5 * (columns / SPREAD) ** 2)

    def embed(self, pictures: Sequence[np.ndarray]) -> Embeddings:
        import cv2

        n, stripes, bins = len(pictures), len(STRIPES), int(np.prod(BINS))
        # All pictures below each other: one conversion and one count serve the batch.
        small = np.empty((n * HEIGHT, WIDTH, 3), np.uint8)
        for i, picture in enumerate(pictures):
            cv2.resize(picture, (WIDTH, HEIGHT), dst=small[i * HEIGHT : (i + 1) * HEIGHT], interpolation=cv2.INTER_AREA)
        if n == 0:
            return Embeddings.of(np.zeros((0, stripes * bins)), np.zeros((0, stripes, bins)))
        hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV_FULL)
        hue, saturation, value = self._tables
        cell = hue[hsv[..., 0]] + saturation[hsv[..., 1]] + value[hsv[..., 2]]  # (N * H, W)
        stripe = np.arange(n)[:, None] * stripes + np.arange(HEIGHT) * stripes // HEIGHT  # (N, H)
        cell += (stripe * bins).reshape(-1, 1).astype(np.int32)
        weights = np.broadcast_to(self._weights, cell.shape).ravel()
        counts = np.bincount(cell.ravel(), weights, minlength=n * stripes * bins)
        parts = np.sqrt(counts).reshape(n, stripes, bins)
        # Every stripe holds the same weight, so each root histogram has the same length: no part drowns the others.
        return Embeddings.of(parts.reshape(n, -1), parts)
