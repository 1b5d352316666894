"""CamVid: street frames with a label for every pixel.

Brostow, Fauqueur and Cipolla, "Semantic object classes in video: A high-definition ground truth database", PRL 2009, in
the eleven classes and the split into train/, val/ and test/ (with trainannot/ ...) that SegNet made usual.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reid.datasets.folders import CAMVID_SPLITS, OnSkip, walk
from reid.errors import DatasetError

CAMVID_CLASSES: tuple[str, ...] = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
CAMVID_VOID = 11


@dataclass(frozen=True)
class LabelledFrame:
    """A frame and its label map (8-bit picture of indices into `CAMVID_CLASSES`, `CAMVID_VOID` for none)."""

    path: Path
    name: str
    labels: Path


def read_camvid(
    root: str | os.PathLike[str], split: str = "test", on_skip: OnSkip | None = None
) -> list[LabelledFrame]:
    """The frames of one split, sorted by name, each with its label map of the same stem.

    Raises:
        DatasetError: the split or its label maps are not there.
    """
    if split not in CAMVID_SPLITS:
        raise DatasetError(f"CamVid has no split {split!r}; it has {', '.join(CAMVID_SPLITS)}.")
    frames, annotations = Path(root) / split, Path(root) / f"{split}annot"
    for folder in (frames, annotations):
        if not folder.is_dir():
            raise DatasetError(f"{root} is not laid out as CamVid: it has no {folder.name}.")
    maps = {path.stem: path for _, path in walk(annotations, recursive=False)}
    pairs = []
    for name, path in walk(frames, recursive=False, on_skip=on_skip):
        if path.stem in maps:
            pairs.append(LabelledFrame(path, name, maps[path.stem]))
        elif on_skip:
            on_skip(path, f"no label map of this name in {annotations.name}")
    if not pairs:
        raise DatasetError(f"{root} holds no frame of {split} with a label map.")
    return pairs
