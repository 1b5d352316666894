"""Materials: a row of numbers each, read by the shading kernel, and one atlas for all that is drawn from a picture."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

# What a surface is patterned with. Colours A, B, C; sizes in metres.
PLAIN, H_STRIPES, V_STRIPES, PLAID, BLOCK, BLOTCHES, DOTS, DENIM, SIDE_STRIPE, CHECKS, HAIR, TEXTURE, FADE = range(13)
BRICKS, WINDOWS, PAVING, ROUGH, FOLIAGE, PLANKS = range(20, 26)

COLUMNS = 32
"""Row layout: 0 pattern; 1-3, 4-6, 7-9 linear colours A, B, C; 10 width, 11 height of the pattern; 12 phase;
13 threshold; 14 wrinkles; 15 gloss; 16 grain; 17-19 texture start, width, height; 20-22 print start, width, height;
23-24 its centre, 25-26 its half size; 27 the texture is see-through where its alpha is low."""


@dataclass
class Materials:
    """A table being filled. `add` and `image` return what meshes and rows refer to."""

    rows: list[np.ndarray] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)
    texels: int = 0

    def add(
        self,
        pattern: int,
        a: ArrayLike,
        b: ArrayLike | None = None,
        c: ArrayLike | None = None,
        *,
        size: tuple[float, float] = (0.1, 0.1),
        phase: float = 0.0,
        threshold: float = 0.5,
        wrinkles: float = 0.0,
        gloss: float = 0.0,
        grain: float = 0.0,
        texture: tuple[int, int, int] | None = None,
        see_through: bool = False,
        print_: tuple[int, int, int] | None = None,
        print_centre: tuple[float, float] = (0.0, 0.0),
        print_half: tuple[float, float] = (0.1, 0.1),
    ) -> int:
        """Add a row; colours as the eye sees them (0..1, about square-root encoded). Returns its number."""
        row = np.zeros(COLUMNS, np.float32)
        row[0] = pattern
        for start, colour in ((1, a), (4, a if b is None else b), (7, a if c is None else c)):
            row[start : start + 3] = np.clip(np.asarray(colour, float), 0, 1) ** 2
        row[10:17] = *size, phase, threshold, wrinkles, gloss, grain
        row[17:20] = texture or (-1, 1, 1)
        row[20:23] = print_ or (-1, 1, 1)
        row[23:27] = *print_centre, *print_half
        row[27] = see_through
        self.rows.append(row)
        return len(self.rows) - 1

    def image(self, rgba: np.ndarray) -> tuple[int, int, int]:
        """Add a picture (H, W, 4) uint8 to the atlas. Returns where it starts, its width and its height."""
        start = self.texels
        self.pictures.append(np.ascontiguousarray(rgba).reshape(-1, 4))
        self.texels += len(self.pictures[-1])
        return start, rgba.shape[1], rgba.shape[0]

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """(M, COLUMNS) float32 rows and (T, 4) uint8 atlas."""
        atlas = np.concatenate(self.pictures) if self.pictures else np.zeros((1, 4), np.uint8)
        return np.stack(self.rows), atlas


NOISE_SIDE = 256
NOISE_UNIT = 1 / 48


@functools.cache
def noise() -> np.ndarray:
    """(256, 256, 4) int8 tileable noise, in steps of `NOISE_UNIT` so that it stays in a core's cache: coarse and fine
    clouds in about -1..1, and the slopes of soft folds."""
    rng = np.random.default_rng(20)
    n = NOISE_SIDE
    frequency = np.hypot(np.fft.fftfreq(n)[:, None] * n, np.fft.rfftfreq(n)[None] * n)
    frequency[0, 0] = 1

    def clouds(low: float, high: float, fall: float) -> np.ndarray:
        spectrum = np.fft.rfft2(rng.standard_normal((n, n)))
        band = frequency**-fall * (frequency >= low) * (frequency <= high)
        field_ = np.fft.irfft2(spectrum * band, (n, n))
        return field_ / (2 * field_.std())

    folds = clouds(3, 26, 1.7)
    slopes = [np.roll(folds, -1, axis) - np.roll(folds, 1, axis) for axis in (1, 0)]
    layers = [clouds(3, 120, 1.1), clouds(20, 128, 0.6), *(s / (2 * s.std()) for s in slopes)]
    return np.clip(np.round(np.stack(layers, -1) / NOISE_UNIT), -127, 127).astype(np.int8)
