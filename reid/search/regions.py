"""Galleries of regions: people and objects found in whole frames and footage, each kept with its box, frame and time.

A region refers to the file it was found in: nothing is copied, and every hit leads back to where it was.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reid.backends import Backend, Boxes
from reid.errors import ImageError
from reid.galleries import Gallery, files
from reid.galleries.gallery import Labelled
from reid.galleries.records import NewItem
from reid.images import load_image
from reid.search.keywords import embed_with_words, put_embedded
from reid.video import is_video_name, read_frames, video_info

SURE = 0.5
"""The score from which a box is taken for what it is said to be."""

MOST = 100
"""People or objects of one frame that are kept."""

LOOKS_A_SECOND = 2.0
"""How often footage is looked at where nothing else is asked for: people do not change faster."""

_SMALLEST = 16  # pixels a side; of less, no backend can say who it is


@dataclass
class RegionReport:
    """What was found and kept.

    Attributes:
        frames: pictures and frames that were searched.
        added: regions that are new in the gallery.
        empty: frames in which nothing was found.
        crowded: frames that showed more than `MOST`; the best of them were kept.
        unchanged: pictures and frames that were passed over, since their regions were there with their vectors.
        failures: path and reason of each file that could not be read, or not to its end.
    """

    frames: int = 0
    added: int = 0
    empty: int = 0
    crowded: int = 0
    unchanged: int = 0
    failures: list[tuple[Path, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Frame:
    sample: Labelled
    path: str
    picture: np.ndarray
    number: int | None
    time: float | None


def worth_keeping(boxes: Boxes, labels: Sequence[str] = ("person",), least: float = SURE) -> tuple[np.ndarray, bool]:
    """Which boxes (N,) to keep, best first, as indices: sure ones of these labels, and not too small to name.

    Returns:
        The indices, at most `MOST`, and whether there were more.
    """
    large = (boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]).min(1) >= _SMALLEST if len(boxes.xyxy) else np.zeros(0, bool)
    wanted = np.array([label in labels for label in boxes.labels], bool)
    chosen = np.flatnonzero(large & wanted & (boxes.scores >= least))
    chosen = chosen[np.argsort(-boxes.scores[chosen], kind="stable")]
    return chosen[:MOST], len(chosen) > MOST


def crop(picture: np.ndarray, box: Sequence[float] | np.ndarray) -> np.ndarray:
    """The pixels of a box XYXY (H, W, 3), as a gallery gives them back; at least one."""
    height, width = picture.shape[:2]
    x0, y0 = (int(min(max(v, 0), side - 1)) for v, side in zip(box[:2], (width, height), strict=True))
    x1, y1 = (int(min(np.ceil(v), side)) for v, side in zip(box[2:], (width, height), strict=True))
    return np.ascontiguousarray(picture[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)])


def index_regions(
    gallery: Gallery,
    samples: Sequence[Labelled],
    finder: Backend,
    backends: Sequence[Backend],
    *,
    labels: Sequence[str] = ("person",),
    every: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_error: Callable[[Path, str], None] | None = None,
) -> RegionReport:
    """Find people (or other objects) in pictures and footage, and bring them and their vectors into a gallery.

    What was searched before with the same backends is passed over, so that a run that was broken off goes on.

    Args:
        samples: pictures and videos, which their names tell apart.
        finder: loaded, with `find`.
        backends: loaded, with `embed`; each embeds every region.
        labels: what to keep.
        every: frames of footage from one look to the next; by default, `LOOKS_A_SECOND`.
        progress: called with (frames searched, frames in all, as far as is known).
        on_error: called with the path of what cannot be read, or not to its end, and why.

    Raises:
        GalleryError: the gallery cannot be written; frames that were done before are kept.
    """
    report = RegionReport()
    total, done = len(samples), 0

    def fail(path: Path, why: str) -> None:
        report.failures.append((path, why))
        if on_error is not None:
            on_error(path, why)

    known = _known(gallery, backends)
    for sample in samples:
        try:
            entry = _entry(sample)
            if is_video_name(sample.path):
                info = video_info(sample.path)
                step = every or max(1, round(info.rate / LOOKS_A_SECOND))
                total += max(info.frames // step, 1) - 1
            else:
                step = 1
            for frame in _frames(sample, step, lambda why, path=sample.path: fail(Path(path), why)):  # type: ignore[misc]
                if (entry.path, frame.number, entry.sha256) in known:
                    report.unchanged += 1
                else:
                    _keep(gallery, frame, entry, finder, backends, labels, report)
                done += 1
                if progress is not None:
                    progress(done, max(total, done))
        except (ImageError, OSError) as error:
            fail(Path(sample.path), str(error))
    return report


def _keep(
    gallery: Gallery,
    frame: _Frame,
    entry: NewItem,
    finder: Backend,
    backends: Sequence[Backend],
    labels: Sequence[str],
    report: RegionReport,
) -> None:
    boxes = finder.find(frame.picture)
    chosen, crowded = worth_keeping(boxes, labels)
    report.frames += 1
    report.crowded += crowded
    if not len(chosen):
        report.empty += 1
        return
    height, width = frame.picture.shape[:2]
    crops = [crop(frame.picture, boxes.xyxy[i]) for i in chosen]
    made = [(backend, *embed_with_words(backend, crops)) for backend in backends]
    place = entry.name if frame.number is None else f"{entry.name}@{frame.number}"
    items = [
        NewItem(
            name=f"{place}#{rank}",
            path=entry.path,
            sha256=entry.sha256,
            bytes=entry.bytes,
            stamp=entry.stamp,
            width=width,
            height=height,
            identity=entry.identity,
            camera=entry.camera,
            words=" ".join(filter(None, (entry.words, boxes.labels[i]))),
            box=tuple(round(float(v), 1) for v in boxes.xyxy[i]),  # type: ignore[arg-type]
            frame=frame.number,
            time=None if frame.time is None else round(frame.time, 3),
        )
        for rank, i in enumerate(chosen, 1)
    ]
    with gallery.transaction():
        put = gallery.put_items(items)
        for backend, embeddings, words in made:
            put_embedded(gallery, backend, [one.id for one in put], embeddings, words)
    report.added += sum(one.added for one in put)


def _frames(sample: Labelled, step: int, on_break: Callable[[str], None]) -> Iterator[_Frame]:
    path = files.canonical(sample.path)
    if not is_video_name(sample.path):
        yield _Frame(sample, path, load_image(sample.path), None, None)
        return
    for frame in read_frames(sample.path, every=step, on_break=on_break):
        yield _Frame(sample, path, frame.picture, frame.number, frame.time)


def _entry(sample: Labelled) -> NewItem:
    """What the regions of a file have in common; its size is that of a frame, and filled in there."""
    digest = hashlib.sha256()
    mark = files.stamp(sample.path)
    with open(sample.path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return NewItem(
        name=sample.name,
        path=files.canonical(sample.path),
        sha256=digest.hexdigest(),
        bytes=os.stat(sample.path).st_size,
        stamp=mark,
        width=0,
        height=0,
        identity=sample.identity,
        camera=sample.camera,
        words=sample.words,
    )


def _known(gallery: Gallery, backends: Sequence[Backend]) -> set[tuple[str, int | None, str]]:
    """Path, frame and hash of what has regions in the gallery that every backend has embedded."""
    with gallery.snapshot():
        items = [item for item in gallery.items() if item.box is not None]
        have = [set(gallery.vector_ids(backend.recipe_hash()).tolist()) for backend in backends]
    whole: dict[tuple[str, int | None, str], bool] = {}
    for item in items:
        key = (os.fspath(item.path), item.frame, item.sha256)
        whole[key] = whole.get(key, True) and all(item.id in ids for ids in have)
    return {key for key, complete in whole.items() if complete}
