"""Drawn classes that are told apart by their texture, whatever their colours; and a trunk small enough for tests."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
from torch import nn

from models.retrieval.small import convolution
from reid.images import save_image


def tiny() -> OrderedDict[str, nn.Module]:
    """A trunk of 24 channels that trains in a moment."""
    return OrderedDict(conv1=convolution(3, 16, 5, 2), conv2=convolution(16, 24, 3, 2), conv3=convolution(24, 24, 3))


def drawn(kind: int, rng: np.random.Generator, size: int = 32) -> np.ndarray:
    """Lying stripes, upright stripes or a chequered ground, of any phase, width and colours."""
    y, x = np.mgrid[:size, :size] * rng.uniform(0.6, 1.0) + rng.uniform(0, 6, (2, 1, 1))
    high = [np.sin(y) > 0, np.sin(x) > 0, np.sin(x) * np.sin(y) > 0][kind % 3]
    dark, light = rng.integers(0, 100, 3), rng.integers(120, 256, 3)
    if rng.random() < 0.5:
        dark, light = light, dark
    picture = dark + high[..., None] * (light - dark) + rng.normal(0, 10, (size, size, 3))
    return picture.clip(0, 255).astype(np.uint8)


def draw(folder: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """A folder a class, each of another kind."""
    rng = np.random.default_rng(seed)
    for kind, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            save_image(folder / name / f"{i:03}.png", drawn(kind, rng))
    return folder
