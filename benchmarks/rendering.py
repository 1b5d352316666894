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

Progress = Callable[[int, int], None]


def main() -> None:
    print("| what | a second | processes | processor ms each | KB each | MB a process |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:

        def people(count: int, out: Path, progress: Progress) -> None:
            render_people(out, count // VIEWS, VIEWS, seed=9, processes=CORES, progress=progress)

        def streets(count: int, out: Path, progress: Progress) -> None:
            render_streets(out, count, seed=9, size=(480, 640), processes=CORES, progress=progress)

        _measure("crops, 256x128, 2x2 samples", people, 4 * VIEWS, 20 * VIEWS, Path(scratch) / "people")
        _measure("streets, 640x480, 2x2 samples", streets, 4, 20, Path(scratch) / "streets")


def _measure(what: str, render: Callable[[int, Path, Progress], None], few: int, many: int, out: Path) -> None:
    """Print a row. Start-up is left out: the clock runs from the first unit to the last, and the processor time of a
    small run is taken off that of a larger one."""
    spent = []
    for count, folder in ((few, out.with_name(out.name + "-few")), (many, out)):
        marks: list[tuple[float, float]] = []
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        render(count, folder, lambda done, total, marks=marks: marks.append((time.perf_counter(), done / total)))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    (start, first), (end, last) = marks[1], marks[-1]  # the first call comes before anything is drawn
    speed, each = many * (last - first) / (end - start), 1000 * (spent[1] - spent[0]) / (many - few)
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / many / 1024
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"| {what} | {speed:.1f} | {CORES} | {each:.0f} | {size:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
