"""How fast people and streets are rendered, and how large they are on disk."""

import os
import resource
import tempfile
import time
from pathlib import Path

from reid.rendering import render_people, render_streets

CORES = min(os.cpu_count() or 1, 2)


def main() -> None:
    print("| what | a second | on cores | KB each | MB a process |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        people = _time(lambda n, out: render_people(out, n, 12, seed=9, processes=CORES), 4, 24, root / "people")
        _row("crops, 256x128, 2x2 samples", people * 12, root / "people", 24 * 12)
        streets = _time(
            lambda n, out: render_streets(out, n, seed=9, size=(480, 640), processes=CORES), 4, 24, root / "streets"
        )
        _row("streets, 640x480", streets, root / "streets", 24)


def _time(render, few: int, many: int, out: Path) -> float:
    """Units a second, start-up left out: a small run is taken off a larger one."""
    start = time.perf_counter()
    render(few, out.with_name(out.name + "-few"))
    middle = time.perf_counter()
    render(many, out)
    return (many - few) / max((time.perf_counter() - middle) - (middle - start), 1e-6)


def _row(what: str, speed: float, folder: Path, count: int) -> None:
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / count / 1024
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"| {what} | {speed:.1f} | {CORES} | {size:.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
