"""Whose left is left: a teacher's skeletons, mended by a network that saw exact truth.

    python -m reid.training.sides FOLDER --poses FILE.npz --out MENDED.npz [--backend gpn-synthetic]

Of a small picture of somebody's back BlazePose makes a front every third time: every joint is where it should be, under
the name of the other side. Who learns from that never learns to tell a back. Rendered people know their sides, so a
network trained on them alone decides; what it turns around keeps its places and loses its metres and its face.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from models.gpn.anatomy import JOINTS, MIRRORED
from reid import backends
from reid.errors import DatasetError
from reid.images import load_image
from reid.training.sources import BLAZEPOSE_TO_COCO

SURE = 0.6
"""A skeleton is turned around where that brings its joints this much nearer to what the judge sees, or more."""

SIDED = [joint for pair in MIRRORED for joint in pair if JOINTS[joint].split("_")[1] not in ("eye", "ear")]
"""Joints that tell the sides apart: what lies in the face is too close together."""

OTHER_SIDE = np.array([0, 4, 5, 6, 1, 2, 3, *(i + 1 if i % 2 else i - 1 for i in range(7, 33))])
"""BlazePose's 33 landmarks under the names of the other side."""

FACE = slice(0, 7)
"""Nose and eyes: who is seen from behind shows none."""


def turned(theirs: np.ndarray, judged: np.ndarray, aspect: np.ndarray) -> np.ndarray:
    """Which skeletons are better under the names of the other side.

    Args:
        theirs: (N, J, 3) the teacher's joints, x and y as fractions of the picture, and visibility 0..1.
        judged: (N, J, 2) the judge's, likewise.
        aspect: (N,) width of each picture over its height.

    Returns:
        (N,) bool; a skeleton of which nothing is seen stays as it is.
    """
    swap = np.arange(len(JOINTS))
    for a, b in MIRRORED:
        swap[a], swap[b] = b, a
    unit = np.stack([aspect, np.ones_like(aspect)], 1)[:, None]
    seen = theirs[:, SIDED, 2] > 0.5

    def distance(joints: np.ndarray) -> np.ndarray:
        away = np.linalg.norm((joints[:, SIDED, :2] - judged[:, SIDED]) * unit, axis=2)
        return (away * seen).sum(1)

    return distance(theirs[:, swap]) < SURE * distance(theirs)


def mend(poses: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """A file of poses (see `sources.with_teachers`) with the skeletons of `rows` (N,) bool turned around."""
    joints, world = poses["joints"].copy(), poses["world"].copy()
    joints[rows] = joints[rows][:, OTHER_SIDE]
    joints[rows, FACE, 2] = 0
    world[rows] = np.nan
    return {**poses, "joints": joints, "world": world}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m reid.training.sides", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="the pictures that the poses are of")
    parser.add_argument("--poses", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--backend", default="gpn-synthetic", help="who decides: gpn-synthetic")
    options = parser.parse_args()
    poses = dict(np.load(options.poses, allow_pickle=False))
    judge = backends.get(options.backend)
    paths = [options.folder / str(name) for name in poses["names"]]
    if missing := [path for path in paths if not path.is_file()]:
        raise DatasetError(
            f"{missing[0]} is not there, and {options.poses} knows of it; name the folder it was made of."
        )
    judged, aspect = [], []
    for path in tqdm(paths, file=sys.stderr):
        picture = load_image(path)
        height, width = picture.shape[:2]
        judged.append(judge.pose(picture).xy / np.array([width, height]))
        aspect.append(width / height)
    rows = turned(poses["joints"][:, BLAZEPOSE_TO_COCO][..., :3], np.array(judged), np.array(aspect))
    np.savez_compressed(options.out, **mend(poses, rows))  # type: ignore[arg-type]
    print(f"{rows.sum()} of {len(rows)} skeletons turned around.")


if __name__ == "__main__":
    main()
