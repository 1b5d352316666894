"""Market-1501 with 30 to 50 % of every query hidden, by things or by another person: do parts help?

    PARTWISE_MARKET1501=DIR python -m benchmarks.occlusion [BACKEND ...]

The gallery stays as it is. `block`: black rises from the lower edge, as a wall or a car hides legs. `person`: another
identity's query, its middle columns, comes in from the left or the right. `patch`: a rectangle of one colour lies
anywhere. The same seed hides the same pixels for every backend. By parts, a backend that sees what hides a person takes
it away first, as every search by parts does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from reid import backends
from reid.backends import Backend
from reid.datasets import Sample, read_protocol
from reid.embedding import Embeddings
from reid.metrics import cosine_blocks, rank_metrics
from reid.pipeline import decode_batches
from reid.reports import embed_samples
from reid.search.parts import part_similarity

SHARE = (0.3, 0.5)
SEED = 0
SHORTLIST = 100

# (picture, another identity's picture, source of chance) -> picture of the same size
Hide = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def rectangle(height: int, width: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a rectangle anywhere in the picture that takes a share of it within `SHARE`."""
    share = rng.uniform(*SHARE)
    across = rng.uniform(share, 1)
    h, w = max(1, round(height * share / across)), max(1, round(width * across))
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    return slice(top, top + h), slice(left, left + w)


def by_block(picture: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The lower part of the picture in black."""
    hidden = picture.copy()
    hidden[len(picture) - round(len(picture) * rng.uniform(*SHARE)) :] = 0
    return hidden


def by_person(picture: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The middle of another person's picture over the left or the right side, at full height."""
    hidden = picture.copy()
    height, width = picture.shape[:2]
    columns = round(width * rng.uniform(*SHARE))
    start = (width - columns) // 2
    pasted = cv2.resize(other, (width, height), interpolation=cv2.INTER_LINEAR)[:, start : start + columns]
    left = 0 if rng.random() < 0.5 else width - columns
    hidden[:, left : left + columns] = pasted
    return hidden


def by_patch(picture: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A rectangle anywhere in one colour."""
    hidden = picture.copy()
    hidden[rectangle(*picture.shape[:2], rng)] = rng.integers(0, 256, 3)
    return hidden


def unchanged(picture: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return picture


WAYS: dict[str, Hide] = {"whole": unchanged, "block": by_block, "person": by_person, "patch": by_patch}


def hidden_queries(query: Sequence[Sample], hide: Hide, seed: int = SEED) -> Iterator[list[np.ndarray]]:
    """The queries in batches, in order, each hidden by chance of its own; all are read first (100 MB at 64x128)."""
    pictures = [picture for batch in decode_batches(query) for picture in batch.pictures]
    identities = np.array([sample.identity for sample in query])
    for start in range(0, len(query), 64):
        batch = []
        for i in range(start, min(start + 64, len(query))):
            rng = np.random.default_rng([seed, i])
            other = pictures[rng.choice(np.flatnonzero(identities != identities[i]))]
            batch.append(hide(pictures[i], other, rng))
        yield batch


def by_parts(query: Embeddings, gallery: Embeddings) -> Iterator[np.ndarray]:
    """Distances (b, G) that put each query's nearest `SHORTLIST` in the order of what both show."""
    i = 0
    for block in cosine_blocks(query.global_, gallery.global_):
        for row in block:
            near = np.argsort(row, kind="stable")[:SHORTLIST]
            items = Embeddings(gallery.global_[near], gallery.parts[near], gallery.visibility[near])
            order = np.argsort(-part_similarity(query[i], items), kind="stable")
            row[near[order]] = row.min() - len(near) + np.arange(len(near))
            i += 1
        yield block


def measure(backend: Backend, root: Path) -> None:
    """Print a row for each way to hide and each way to rank."""
    protocol = read_protocol(root, "market1501")
    gallery, answers = embed_samples(protocol.gallery, backend)
    labels = [[s.identity for s in protocol.query], [s.camera for s in protocol.query]]
    labels += [[s.identity for s in gallery], [s.camera for s in gallery]]
    for way, hide in WAYS.items():
        pictures = [picture for batch in hidden_queries(protocol.query, hide) for picture in batch]
        rankings = {"none": cosine_blocks(backend.embed(pictures).global_, answers.global_)}
        if backend.card.parts:
            rankings["parts"] = by_parts(backend.embed(backend.reveal(pictures)), answers)
        for name, blocks in rankings.items():
            found = rank_metrics(blocks, *labels)
            print(
                f"| {backend.card.name} | {way} | {name} | {100 * found.rank(1):.1f} | {100 * found.mAP:.1f} "
                f"| {100 * found.mINP:.1f} |",
                flush=True,
            )


def main(names: Sequence[str] = ()) -> None:
    root = os.environ.get("PARTWISE_MARKET1501")
    if not root:
        print("Passed over: PARTWISE_MARKET1501 names no folder.")
        return
    print("| backend | query hidden by | re-ranking | rank-1 | mAP | mINP |\n| --- | --- | --- | --- | --- | --- |")
    for name in names or [backends.default()]:
        measure(backends.get(name), Path(root))


if __name__ == "__main__":
    main(sys.argv[1:])
