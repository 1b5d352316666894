"""Indexing Market-1501's 19,732 test pictures, and searching 20,000 pictures of 512 numbers and six parts of 128."""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reid import backends
from reid.backends import Backend, Card
from reid.datasets import read_folder
from reid.embedding import Embedding, Embeddings
from reid.galleries import Gallery, Library
from reid.galleries.records import NewItem
from reid.galleries.vectors import shelf
from reid.search import index, search

ITEMS, DIM, PARTS, PART_DIM, CAMERAS, IDENTITIES = 20_000, 512, 6, 128, 6, 750
# Backend -> pictures indexed (None: all).
INDEXED: dict[str, int | None] = {"hsv-stripes": None, "lite0": 2_000}


def main() -> None:
    print("| what | measured |")
    print("| --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        library = Library(folder)
        market = os.environ.get("PARTWISE_MARKET1501")
        if market:
            measure_indexing(library, Path(market) / "bounding_box_test")
        else:
            _row("indexing Market-1501", "passed over: PARTWISE_MARKET1501 is not set")
        measure_searching(library)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    _row("peak memory of all this", f"{peak / 1e9:.2f} GB")


def measure_indexing(library: Library, folder: Path) -> None:
    samples = read_folder(folder, "market1501")
    for name, count in INDEXED.items():
        backend = backends.get(name)
        chosen = samples[:count]
        backend.embed([np.zeros((128, 64, 3), np.uint8)])  # what is done once is not counted
        gallery = library.create(name)
        seconds = _seconds(lambda: index(gallery, chosen, backend))  # noqa: B023
        _row(f"`{name}`, {len(chosen):,} pictures indexed", f"{len(chosen) / seconds:,.0f} a second")
        seconds = _seconds(lambda: index(gallery, chosen, backend))  # noqa: B023
        _row(f"`{name}`, the same indexed again", f"{seconds:.2f} s")
        disk = sum(path.stat().st_size for path in gallery.folder.rglob("*") if path.is_file())
        _row(f"`{name}`, on disk", f"{disk / len(chosen) / 1000:.1f} kB a picture")


def measure_searching(library: Library) -> None:
    gallery, backend, queries = fill(library), Drawn(), drawn(20, seed=1)

    def ask(**options: Any) -> Callable[[Embedding], Any]:
        return lambda query: search(gallery, backend, query, top=10, **options)

    gallery.store(backend.recipe_hash())
    shelf.drop(gallery.uid)
    _row("first search, index from its file", f"{1000 * _seconds(lambda: ask()(queries[0])):.0f} ms")
    shelf.drop(gallery.uid)
    for file in (gallery.folder / "cache").iterdir():
        file.unlink()
    _row("first search, index made from the catalogue", f"{1000 * _seconds(lambda: ask()(queries[0])):.0f} ms")
    kinds: dict[str, dict[str, Any]] = {
        "search": {},
        "search on two cameras": {"cameras": ["c1", "c2"]},
        "search without the query's camera": {"exclude_camera": "c0"},
        "search with two words": {"words": "red upper"},
        "search with parts weighed": {"part_weights": {"part 1": 0}},
        "search re-ranked by parts": {"rerank": "parts"},
    }
    for what, options in kinds.items():
        asked = ask(**options)
        asked(queries[0])
        times = sorted(1000 * _seconds(lambda: asked(query)) for query in queries)  # noqa: B023
        _row(f"{what}, median (slowest of {len(times)})", f"{statistics.median(times):.1f} ms ({times[-1]:.1f})")


def fill(library: Library) -> Gallery:
    """A gallery of drawn vectors, a third of it with words."""
    gallery, recipe = library.create("drawn"), Drawn().recipe_hash()
    with gallery.transaction():
        for start in range(0, ITEMS, 1000):
            new = [
                NewItem(
                    *(f"{n:05}.jpg", f"/pictures/{n:05}.jpg", f"{n:064x}", 4000, "", 64, 128),
                    identity=f"{n % IDENTITIES:04}",
                    camera=f"c{n % CAMERAS}",
                    words=("red upper blue lower", "", "black upper backpack", "", "", "")[n % 6],
                )
                for n in range(start, start + 1000)
            ]
            ids = [put.id for put in gallery.put_items(new)]
            gallery.put_vectors(recipe, ids, drawn(1000, seed=start + 7), backend="drawn")
    return gallery


def drawn(count: int, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    shapes = (count, DIM), (count, PARTS, PART_DIM)
    return Embeddings.of(*(rng.normal(size=shape) for shape in shapes), rng.random((count, PARTS)))


class Drawn(Backend):
    """Stands for a backend whose embedding costs nothing."""

    card = Card("drawn", "none", "any", ("embed",), "", dim=DIM, parts=tuple(f"part {n}" for n in range(PARTS)))

    def load(self) -> None: ...


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _row(what: str, measured: str) -> None:
    print(f"| {what} | {measured} |", flush=True)


if __name__ == "__main__":
    main()
