"""What the networks that ship make of rendered pictures, kept in tests/data/golden.npz; `python -m` this file makes it.

Made anew only when weights change: a test compares what the networks say now with what is kept.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reid import backends
from reid.images import load_image

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "tests" / "data" / "golden.npz"
PEOPLE = sorted((ROOT / "gallery" / "people").glob("*_c1s1_*.jpg"))[:6]
SCENES = sorted((ROOT / "gallery" / "scenes").glob("*.jpg"))[:24:8]
SURE = 0.5
"""Only boxes of at least this score are compared: what is doubtful may come or go with the last digits."""


def names(does: str) -> list[str]:
    """The networks that have weights of their own under models/weights and do this."""
    files = {path.name for path in (ROOT / "models" / "weights").glob("*.safetensors")}
    cards = [card for card in backends.cards() if does in card.does and card.family != "local descriptor"]
    return [card.name for card in cards if card.weights in files]


def embeddings(name: str) -> dict[str, np.ndarray]:
    """Vectors, and parts with visibility where there are any, of six people or three scenes."""
    backend = backends.get(name)
    files = SCENES if backend.card.subject == "scene" else PEOPLE
    found = backend.embed([load_image(file) for file in files])
    out = {f"{name}.global": found.global_}
    if found.parts.shape[1]:
        out |= {f"{name}.parts": found.parts, f"{name}.visibility": found.visibility}
    return out


def shares(name: str) -> dict[str, np.ndarray]:
    """How much of each label the parsings of the same pictures have, (N, labels) in percent."""
    backend = backends.get(name)
    files = SCENES if backend.card.subject == "scene" else PEOPLE
    parses = [backend.parse(load_image(file)) for file in files]
    counts = [np.bincount(p.labels.ravel(), minlength=len(p.names)) / p.labels.size for p in parses]
    return {f"{name}.shares": 100 * np.array(counts)}


def boxes(name: str) -> dict[str, np.ndarray]:
    """Sure boxes of the first scenes, XYXY, sorted."""
    backend = backends.get(name)
    out = {}
    for file in SCENES:
        found = backend.find(load_image(file))
        sure = found.xyxy[found.scores >= SURE]
        out[f"{name}.boxes.{file.stem}"] = sure[np.lexsort(sure.T)]
    return out


def everything() -> dict[str, np.ndarray]:
    out: dict[str, np.ndarray] = {}
    for name in names("embed"):
        out |= embeddings(name)
    for name in names("parse"):
        out |= shares(name)
    for name in names("find"):
        out |= boxes(name)
    return out


if __name__ == "__main__":
    np.savez_compressed(FILE, **everything())
