"""Reading pictures, and the figures of Market-1501's size: 3,368 queries against 15,913 vectors of 512 numbers."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from reid.datasets import Sample, read_folder
from reid.embedding import l2_normalise
from reid.images import load_image, save_image
from reid.metrics import cosine_blocks, rank_metrics
from reid.pipeline import decode_batches

QUERIES, GALLERY, DIM, IDENTITIES, CAMERAS = 3368, 15913, 512, 750, 6


def main() -> None:
    print("| what | measured |")
    print("| --- | --- |")
    market = os.environ.get("PARTWISE_MARKET1501")
    with tempfile.TemporaryDirectory() as folder:
        if market:
            samples = read_folder(Path(market) / "bounding_box_test")
            kind = "Market-1501's crops"
        else:
            samples = _drawn(Path(folder), 2000)
            kind = "drawn 64x128 JPEGs"
        print(f"| {kind}, one after the other | {_rate(len(samples), lambda: _read(samples))} |")
        for threads in (1, 2):
            rate = _rate(len(samples), lambda t=threads: sum(map(len, decode_batches(samples, 64, t))))
            print(f"| {kind}, in batches, {threads} thread{'s' * (threads > 1)} | {rate} |")
    # A process of its own, so that the peak of memory is this work's alone.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, before, peak = pool.apply(_evaluate)
    print(f"| CMC, mAP, mINP of {QUERIES} x {GALLERY}, {DIM}-d | {seconds:.1f} s |")
    print(f"| its peak memory, vectors included | {peak:.2f} GB ({before:.2f} GB before the first block) |")


def _drawn(folder: Path, count: int) -> list[Sample]:
    """Smooth noise, which JPEG packs to about the 2.5 KB of a real crop."""
    rng = np.random.default_rng(0)
    samples = []
    for i in range(count):
        coarse = rng.integers(0, 256, (16, 8, 3), dtype=np.uint8)
        path = folder / f"{i}.jpg"
        save_image(path, coarse.repeat(8, axis=0).repeat(8, axis=1))
        samples.append(Sample(path, path.name))
    return samples


def _read(samples: list[Sample]) -> None:
    for sample in samples:
        load_image(sample.path)


def _rate(count: int, work: Callable[[], object]) -> str:
    started = time.perf_counter()
    work()
    return f"{count / (time.perf_counter() - started):,.0f} img/s"


def _evaluate() -> tuple[float, float, float]:
    rng = np.random.default_rng(0)
    query, gallery = (l2_normalise(rng.normal(size=(n, DIM)).astype(np.float32)) for n in (QUERIES, GALLERY))
    sides = []
    for n in (QUERIES, GALLERY):
        sides += [rng.integers(1, IDENTITIES + 1, n).astype(str), rng.integers(0, CAMERAS, n).astype(str)]
    before = _peak()
    started = time.perf_counter()
    rank_metrics(cosine_blocks(query, gallery), *sides)
    return time.perf_counter() - started, before, _peak()


def _peak() -> float:
    """Most memory this process has held, in GB."""
    if sys.platform == "linux":  # where `ru_maxrss` begins with what the starting process had
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


if __name__ == "__main__":
    main()
