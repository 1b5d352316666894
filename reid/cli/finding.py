"""Finding in whole frames: `detect`, and what `index --detect` does."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reid.cli.common import Commands, check_able, print_json, progress_bar, warn_file
from reid.errors import PartwiseError

if TYPE_CHECKING:
    from reid.datasets import Sample

LEAST = 0.2
"""The lowest score that `detect` tells of where it is not told otherwise."""


def add(commands: Commands) -> None:
    sub = commands.add("detect", _detect, "Find people, cars and bicycles in whole frames.")
    sub.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    sub.add_argument("--backend", default="rfcn", metavar="B")
    sub.add_argument("--least", type=share, default=LEAST, metavar="SCORE", help="lowest score, 0 to 1")
    sub.add_argument("--most", type=int, default=100, metavar="N", help="boxes a frame, the best ones")


def share(text: str) -> float:
    """An argument from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to 1")
    return number


def labels(text: str) -> tuple[str, ...]:
    """An argument of one label or several, between commas."""
    from reid.datasets.coco import OBJECTS

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if unknown := set(names) - set(OBJECTS):
        raise argparse.ArgumentTypeError(f"{sorted(unknown)[0]!r} is none of {', '.join(OBJECTS)}")
    return names


def _detect(options: argparse.Namespace) -> None:
    from reid import backends
    from reid.images import load_image

    check_able(options.backend, "find")
    finder = backends.get(options.backend)
    rows: list[dict[str, Any]] = []
    for path in options.images:
        frame = load_image(path)
        with progress_bar(f"{finder.card.name} {path.name}") as progress:
            found = finder.find(frame, progress)
        good = [i for i, score in enumerate(found.scores) if score >= options.least]
        if len(good) > options.most:
            print(f"{path}: {len(good)} found; the best {options.most} are kept.", file=sys.stderr)
        if "person" not in {found.labels[i] for i in good}:
            print(f"{path}: nobody is seen here with a score of {options.least:g} or more.", file=sys.stderr)
        boxes = [
            {
                "xyxy": [round(float(v), 2) for v in found.xyxy[i]],
                "label": found.labels[i],
                "score": round(float(found.scores[i]), 4),
            }
            for i in good[: options.most]
        ]
        rows.append({"image": str(path), "boxes": boxes})
    if options.json:
        print_json(rows)
        return
    for row in rows:
        print(row["image"])
        for box in row["boxes"]:
            x0, y0, x1, y1 = box["xyxy"]
            print(f"  {box['label']:<8} {box['score']:.2f}  {x0:7.1f} {y0:7.1f} {x1:7.1f} {y1:7.1f}")


def index_detected(options: argparse.Namespace) -> None:
    """`index --detect`: a gallery of everyone who is found in a folder's pictures and videos, or in one video."""
    from reid import backends
    from reid.backends.descriptors import for_gallery
    from reid.galleries import Library
    from reid.search.regions import index_regions

    samples = _samples(options.folder, options.layout)
    check_able(options.finder, "find")
    finder = backends.get(options.finder)
    names = options.backend or [backends.default()]
    for name in names:
        check_able(name, "embed")
        backends.get(name)  # a name that is not known or ready leaves no empty gallery behind
    library = Library()
    gallery = library.open(options.gallery) if options.gallery in library else library.create(options.gallery)
    loaded = [for_gallery(name, gallery.folder) for name in names]
    with progress_bar(finder.card.name) as progress:
        report = index_regions(
            gallery,
            samples,
            finder,
            loaded,
            labels=options.find,
            every=options.every,
            progress=progress,
            on_error=warn_file,
        )
    if report.crowded:
        print(f"{report.crowded} frames showed over 100 people; the best 100 of each are kept.", file=sys.stderr)
    result = {
        "gallery": gallery.name,
        "regions": gallery.count(),
        "frames": report.frames,
        "added": report.added,
        "empty": report.empty,
        "unchanged": report.unchanged,
        "failed": len(report.failures),
    }
    if options.json:
        print_json(result)
    else:
        what = "people" if options.find == ("person",) else "regions"
        print(
            f"{result['gallery']}: {result['regions']} {what}, {report.added} of them new, in {report.frames} frames "
            f"({report.empty} without any), embedded by {', '.join(names)}"
        )


def _samples(root: Path, layout: str) -> list[Sample]:
    """One video, or the pictures and videos of a folder; a video is a camera of its own."""
    from reid.datasets import Sample, read_folder
    from reid.video import is_video_name

    if root.is_file():
        return [Sample(root, root.name, camera=root.stem if is_video_name(root) else None)]
    if not root.exists():
        raise PartwiseError(f"{root} does not exist; name a folder of pictures, or a video.")
    videos = [path for path in sorted(root.rglob("*")) if path.is_file() and is_video_name(path)]
    there = {path.resolve() for path in videos}

    def skipped(path: Path, why: str) -> None:
        if path.resolve() not in there:
            warn_file(path, why)

    try:
        # Folders of frames are not identities, unless one says so.
        pictures = read_folder(root, "flat" if layout == "auto" else layout, on_skip=skipped)
    except PartwiseError:
        if not videos:
            raise
        pictures = []
    return [*pictures, *(Sample(path, path.relative_to(root).as_posix(), camera=path.stem) for path in videos)]
