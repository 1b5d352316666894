"""Frames with boxes in COCO's format, as `python -m reid render --streets` writes them.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014. What no finder here has a name for is passed over.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reid.errors import DatasetError

OBJECTS: tuple[str, ...] = ("person", "car", "bicycle")
"""What frames are searched for."""

_PLACES = ("truth/coco.json", "coco.json", "annotations.json")


@dataclass(frozen=True)
class AnnotatedFrame:
    """A picture and the objects in it.

    Attributes:
        path: where the picture is. name: its path under the folder it came from.
        boxes: (N, 4) float32 XYXY in pixels, around what is visible.
        labels: N names out of `OBJECTS`.
        doubtful: (N,) bool: crowds, and what a teacher is not sure of; neither right nor wrong to find.
    """

    path: Path
    name: str
    boxes: np.ndarray
    labels: tuple[str, ...]
    doubtful: np.ndarray

    def of(self, label: str) -> np.ndarray:
        """(M, 4) the certain boxes of one label."""
        wanted = np.array([one == label for one in self.labels], bool) & ~self.doubtful
        return self.boxes[wanted]

    @classmethod
    def made(cls, path: Path, name: str, rows: list[tuple[list[float], str, bool]]) -> AnnotatedFrame:
        """From rows of box, label and doubt."""
        boxes = np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4)
        return cls(path, name, boxes, tuple(row[1] for row in rows), np.array([row[2] for row in rows], bool))


def read_coco(root: str | os.PathLike[str]) -> list[AnnotatedFrame]:
    """Frames in the order of the file, those without objects included.

    Args:
        root: the file, or a folder that has it as truth/coco.json, coco.json or annotations.json. Pictures lie in the
            folder, or beside the file that is named.

    Raises:
        DatasetError: there is no such file, or it is not COCO's format.
    """
    root = Path(root)
    if root.is_dir():
        file = next((root / place for place in _PLACES if (root / place).is_file()), None)
        if file is None:
            raise DatasetError(f"{root} has no frames with boxes: none of {', '.join(_PLACES)} is there.")
        folder = root
    else:
        file, folder = root, root.parent
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        names = {int(c["id"]): str(c["name"]) for c in document["categories"]}
        rows: dict[int, list[tuple[list[float], str, bool]]] = {int(i["id"]): [] for i in document["images"]}
        for note in document["annotations"]:
            x, y, w, h = (float(v) for v in note["bbox"])
            label = names[int(note["category_id"])]
            if label in OBJECTS and w > 0 and h > 0:
                rows[int(note["image_id"])].append(([x, y, x + w, y + h], label, bool(note.get("iscrowd", 0))))
        return [
            AnnotatedFrame.made(folder / image["file_name"], str(image["file_name"]), rows[int(image["id"])])
            for image in document["images"]
        ]
    except OSError as error:
        raise DatasetError(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{file} does not hold frames in COCO's format ({error!r}).") from error
