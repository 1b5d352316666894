"""Every backend that embeds: dimension, weights, time a picture, and accuracy where data sets are named.

PARTWISE_MARKET1501 and PARTWISE_COREL name copies of the two sets; without them their columns stay empty. Backends that
are not ready (weights not on this machine) are passed over; timm models and fusions can be named in PARTWISE_BACKENDS,
separated by commas.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from reid import backends
from reid.backends import Backend
from reid.backends.weights import WEIGHTS
from reid.combined import evaluate_combined
from reid.errors import PartwiseError
from reid.reports import evaluate

ROUNDS = 5


def main() -> None:
    named = [name.strip() for name in os.environ.get("PARTWISE_BACKENDS", "").split(",") if name.strip()]
    names = [card.name for card in backends.cards() if "embed" in card.does] + named
    print("| backend | dimension | weights, MB | ms a picture, 1 | 32 | Market rank-1 / mAP | Corel mAP |")
    print("| --- " * 7 + "|")
    for name in names:
        cells = [""] * 4 if "+" in name else own_cells(name)
        if cells is None:
            continue
        cells += [accuracy(name, root, layout) for root, layout in roots()]
        print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)


def roots() -> list[tuple[str | None, str]]:
    """The two data sets: where they are, if anywhere, and how they are laid out."""
    return [(os.environ.get("PARTWISE_MARKET1501"), "market1501"), (os.environ.get("PARTWISE_COREL"), "corel")]


def own_cells(name: str) -> list[str] | None:
    """Dimension, size and times; None for a backend that is not ready."""
    backend = backends.create(name)
    if backend.why_not_ready() is not None:
        return None
    backend = backends.get(name)
    size = weights_bytes(backend)
    one, many = milliseconds(backend, 1), milliseconds(backend, 32)
    return [f"{backend.card.dim:,}", f"{size / 1e6:.1f}" if size else "", f"{one:.2f}", f"{many:.2f}"]


def weights_bytes(backend: Backend) -> int:
    """Size of a backend's file of weights where it has one on disk; 0 where it has none of its own."""
    weights = backend.card.weights
    path = Path(weights) if weights else None
    for candidate in (path and WEIGHTS / path, path):
        if candidate is not None and candidate.is_file():
            return candidate.stat().st_size
    network = getattr(backend, "_net", None) or getattr(backend, "_network", None)
    if network is None:
        return 0
    # Neither beside the project nor a file: what it takes in memory.
    return sum(p.numel() * p.element_size() for p in network.parameters())


def milliseconds(backend: Backend, count: int) -> float:
    """A picture's time in batches of `count`, the best of some rounds; decoding left out."""
    shape = (128, 64, 3) if backend.card.subject == "person" else (256, 256, 3)
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, shape[0] // 8, shape[1] // 8, 3), dtype=np.uint8)
    pictures = list(coarse.repeat(8, axis=1).repeat(8, axis=2))
    backend.embed(pictures)
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        backend.embed(pictures)
        best = min(best, time.perf_counter() - started)
    return 1000 * best / count


def accuracy(name: str, root: str | None, layout: str) -> str:
    if not root:
        return ""
    try:
        figures = evaluate_combined(root, layout, name, "fitted") if "+" in name else evaluate(root, layout, name)
    except PartwiseError as error:
        return str(error).replace("|", "/")
    if layout == "corel":
        return f"{figures['mAP']:.1f}"
    return f"{figures['rank1']:.1f} / {figures['mAP']:.1f}"


if __name__ == "__main__":
    main()
