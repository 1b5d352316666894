"""Labelled pictures in memory, whole or cut, and what a teacher says of each; a part of them held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reid.backends import Backend
from reid.backends.tensors import resize
from reid.errors import DatasetError, ImageError
from reid.pipeline import decode_batches

WHOLE = (0.0, 0.0, 1.0, 1.0)
"""The box of an uncut picture: x0, y0, x1, y1 as fractions."""

NOBODY = (None, "", "-1", "0000")
"""Marks of pictures whose class is not known: none, Market-1501's junk and its distractors."""


class Named(Protocol):
    """A picture with a class: a sample of a data set or an item of a gallery."""

    @property
    def path(self) -> Path: ...
    @property
    def name(self) -> str: ...
    @property
    def identity(self) -> str | None: ...


@dataclass
class Labelled:
    """Pictures of N rows, all of one size.

    Attributes:
        pictures: (N, H, W, 3) uint8 RGB.
        labels: (N,) int64, indices into `classes`.
        classes: names, sorted.
        taught: (N, D) float32, a teacher's vectors of unit length; None without one.
    """

    pictures: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    taught: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass
class Lessons:
    """What a teacher said of pictures: row i is about the picture `names[i]` cut to `boxes[i]`.

    Attributes:
        names: (N,) unicode, relative to the data set's folder.
        boxes: (N, 4) float32, fractions of the picture.
        vectors: (N, D) float32.
    """

    names: np.ndarray
    boxes: np.ndarray
    vectors: np.ndarray

    @classmethod
    def read(cls, path: Path) -> Lessons:
        """From an .npz with names and vectors, and boxes where pictures were cut.

        Raises:
            DatasetError: it is not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                names, vectors = file["names"], file["vectors"].astype(np.float32)
                boxes = file["boxes"] if "boxes" in file else np.tile(np.array(WHOLE, np.float32), (len(names), 1))
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(
                f"{path} is no .npz of names and vectors; make it with: python -m reid embed."
            ) from error
        return cls(names, boxes, vectors)


def teach(
    samples: Sequence[Named],
    backend: Backend,
    views: int,
    progress: Callable[[int, int], None],
    on_error: Callable[[Path, str], None] | None = None,
) -> Lessons:
    """Ask a teacher about each picture whole and about `views - 1` cut-outs of it.

    A student that sees the same cut-outs with the same answers learns far more from few pictures than from the whole
    ones alone: Beyer et al., "Knowledge Distillation: A Good Teacher Is Patient and Consistent", CVPR 2022.
    """
    names: list[str] = []
    boxes, vectors = [], []
    for batch in decode_batches(samples, 16, on_error=lambda s, error: on_error and on_error(s.path, str(error))):
        for sample, picture in zip(batch.samples, batch.pictures, strict=True):
            rng = np.random.default_rng(len(names))
            cuts = np.array([WHOLE] + [draw_box(rng) for _ in range(views - 1)], np.float32)
            names += [sample.name] * views
            boxes.append(cuts)
            vectors.append(backend.embed([cut(picture, box) for box in cuts]).global_)
        progress(len(names) // views, len(samples))
    if not names:
        raise DatasetError("None of the pictures can be read.")
    return Lessons(np.array(names), np.concatenate(boxes), np.concatenate(vectors))


def draw_box(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A box that covers 20-80 % of a picture, of about its own aspect."""
    area, aspect = rng.uniform(0.2, 0.8), np.exp(rng.uniform(-0.29, 0.29))
    width, height = min(1.0, float(np.sqrt(area * aspect))), min(1.0, float(np.sqrt(area / aspect)))
    x, y = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    return x, y, x + width, y + height


def cut(picture: np.ndarray, box: Sequence[float] | np.ndarray) -> np.ndarray:
    """The part of a picture inside a box of fractions; one pixel at least."""
    height, width = picture.shape[:2]
    x0, y0 = int(box[0] * width), int(box[1] * height)
    x1, y1 = max(x0 + 1, round(float(box[2]) * width)), max(y0 + 1, round(float(box[3]) * height))
    return picture[y0:y1, x0:x1]


def read_labelled(
    samples: Sequence[Named],
    size: tuple[int, int],
    lessons: Lessons | None = None,
    *,
    load: Callable[[Any], np.ndarray] | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_error: Callable[[Path, str], None] | None = None,
) -> Labelled:
    """Read pictures into memory.

    Args:
        samples: what to read; those of no class are left out.
        size: (height, width) each is brought to.
        lessons: what a teacher said; each picture then has a row for each of its cut-outs.
        load: reads one; by default the file at its path.
        progress: called with (done, total).
        on_error: called with each picture that cannot be read and why; it is left out.

    Raises:
        DatasetError: there is none, or the teacher was not asked about one.
    """
    known = [sample for sample in samples if sample.identity not in NOBODY]
    classes = tuple(sorted({str(sample.identity) for sample in known}))
    number = {name: i for i, name in enumerate(classes)}
    rows = _rows_by_name(lessons, known) if lessons is not None else {}
    total = sum(len(rows[sample.name]) for sample in known) if lessons is not None else len(known)
    if not total:
        raise DatasetError("There is no picture of a known class to learn from.")
    pictures = np.empty((total, *size, 3), np.uint8)
    labels: list[int] = []
    taken: list[int] = []

    def fail(sample: Named, error: ImageError) -> None:
        if on_error is not None:
            on_error(sample.path, str(error))

    for batch in decode_batches(known, 32, on_error=fail, load=load):
        for sample, picture in zip(batch.samples, batch.pictures, strict=True):
            for row in rows[sample.name] if lessons is not None else (None,):
                seen = picture if lessons is None or row is None else cut(picture, lessons.boxes[row])
                pictures[len(labels)] = resize(seen, size)
                labels.append(number[str(sample.identity)])
                taken.append(-1 if row is None else row)
        if progress is not None:
            progress(len(labels), total)
    if not labels:
        raise DatasetError("None of the pictures can be read.")
    taught = lessons.vectors[taken] if lessons is not None else None
    return Labelled(pictures[: len(labels)], np.array(labels), classes, taught)


def _rows_by_name(lessons: Lessons, samples: Sequence[Named]) -> dict[str, list[int]]:
    """For each picture the teacher's rows about it; teachers may have known it by its file name alone."""
    by_name: dict[str, list[int]] = {}
    for i, name in enumerate(lessons.names.tolist()):
        by_name.setdefault(name, []).append(i)
    found = {s.name: by_name.get(s.name) or by_name.get(s.path.name) for s in samples}
    missing = [name for name, rows in found.items() if not rows]
    if missing:
        raise DatasetError(f"The teacher said nothing of {len(missing)} pictures, {missing[0]} first; ask it anew.")
    return {name: rows or [] for name, rows in found.items()}


def hold_out(labels: np.ndarray, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into those to learn from and those to measure by.

    Where classes have four pictures or more, each of these gives a share of its own, at least two, so that a held-out
    picture has one to find. Where none has, whole classes are held out.

    Args:
        labels: (N,) class numbers.
        share: how much to hold out, 0..1.

    Returns:
        Row numbers to learn from, and held out; both ascending.

    Raises:
        DatasetError: there are too few pictures or classes for either.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    members = [rows for rows in members if len(rows) > 1]  # alone, a picture has no other to find
    large = [rows for rows in members if len(rows) >= 4]
    if len(members) < 2:
        raise DatasetError(
            "There is nothing to learn apart: at least two classes of two pictures are needed (a folder a class)."
        )
    held: list[np.ndarray] = []
    if len(large) >= 2:
        held = [rng.permutation(rows)[: max(2, round(share * len(rows)))] for rows in large]
    elif len(members) >= 4:
        count = max(2, round(share * len(members)))
        chosen = rng.permutation(len(members))[:count]
        held = [members[i] for i in chosen]
    else:
        raise DatasetError(
            "Too few pictures to hold a part out: at least two classes of four pictures are needed, or four of two."
        )
    out = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), out), out
