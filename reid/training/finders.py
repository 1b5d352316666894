"""What the recipes of the region networks share: which frames they see how often, and what they are measured on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reid.datasets.camvid_objects import camvid_objects
from reid.datasets.coco import AnnotatedFrame, read_coco
from reid.errors import DatasetError
from reid.finding.figures import Find, average_precision, surest

SHARES = {"streets": 0.5, "camvid": 0.2, "frames": 0.3}
"""How often a batch draws from each set: rendered streets are exact and many, CamVid's few, a teacher's unsure."""

DATA = (*SHARES, "streets-val")

_MEASURED = 60  # frames of each set that an evaluation in the middle of a run can afford

Groups = list[tuple[Sequence[AnnotatedFrame], float]]


def groups(data: Mapping[str, Path]) -> Groups:
    """The sets of frames that are given and their shares: `streets`, `camvid` (its training split), `frames`.

    Raises:
        DatasetError: none is given, or one is not laid out as it should be.
    """
    found: Groups = []
    for name, share in SHARES.items():
        if name in data:
            frames = camvid_objects(data[name], "train") if name == "camvid" else read_coco(data[name])
            if not frames:
                raise DatasetError(f"{data[name]} has no frame; name a folder with frames and boxes.")
            found.append((frames, share))
    if not found:
        raise DatasetError("This recipe needs frames with boxes; give --data streets=DIR, camvid=DIR or frames=DIR.")
    return found


def validation(data: Mapping[str, Path]) -> dict[str, list[AnnotatedFrame]]:
    """Frames that are measured on while training: of `streets-val`, and of CamVid's validation split."""
    sets = {}
    if "streets-val" in data:
        sets["streets"] = read_coco(data["streets-val"])[:_MEASURED]
    if "camvid" in data and (data["camvid"] / "val").is_dir():
        frames = camvid_objects(data["camvid"], "val")
        sets["camvid"] = frames[:: max(len(frames) // _MEASURED, 1)]
    return sets


def figures(find: Find, sets: Mapping[str, Sequence[AnnotatedFrame]]) -> dict[str, float]:
    """`average_precision` of each set, as `streets_person_AP50`."""
    return {
        f"{name}_{key}": value
        for name, frames in sets.items()
        for key, value in average_precision(find, frames).items()
    }


def doubt(find: Find, sets: Mapping[str, Sequence[AnnotatedFrame]]) -> float:
    """What the background's logit lacks for a score of one half to be where people are best told from all else.

    Training on the hardest or on chosen regions makes a network think objects more frequent than they are in a frame;
    the order of its scores is not touched by this, only what they say.
    """
    score = surest(find, [frame for frames in sets.values() for frame in frames], "person")
    return 0.0 if math.isnan(score) else math.log(score / (1 - score)) if 0 < score < 1 else 0.0


def due(epoch: int, epochs: int, every: int, sets: Mapping[str, Any]) -> bool:
    """Whether this epoch is measured."""
    return bool(sets) and ((epoch + 1) % every == 0 or epoch + 1 == epochs)
