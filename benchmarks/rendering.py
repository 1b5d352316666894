"""How fast people and streets are rendered, how large they are on disk, and how much memory a process takes."""

import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from reid.rendering import render_people, render_streets

CORES = min(os.cpu_count() or 1, 2)
VIEWS = 12


def main() -> None:
    print("| what | a second | processes | processor ms each | KB each | MB a process |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:

        def people(count: int, out: Path) -> None:
            render_people(out, count // VIEWS, VIEWS, seed=9, processes=CORES)

        def streets(count: int, out: Path) -> None:
            render_streets(out, count, seed=9, size=(480, 640), processes=CORES)

        _measure("crops, 256x128, 2x2 samples", people, 4 * VIEWS, 20 * VIEWS, Path(scratch) / "people")
        _measure("streets, 640x480, 2x2 samples", streets, 4, 20, Path(scratch) / "streets")


def _measure(what: str, render: Callable[[int, Path], None], few: int, many: int, out: Path) -> None:
    """Print a row. Start-up is left out: a small run is taken off a larger one."""
    marks = []
    for count, folder in ((few, out.with_name(out.name + "-few")), (many, out)):
        before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        render(count, folder)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        marks.append((time.perf_counter() - wall, spent))
    (wall_few, spent_few), (wall_many, spent_many) = marks
    units = many - few
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / many / 1024
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    speed, each = units / max(wall_many - wall_few, 1e-6), 1000 * (spent_many - spent_few) / units
    print(f"| {what} | {speed:.1f} | {CORES} | {each:.0f} | {size:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
