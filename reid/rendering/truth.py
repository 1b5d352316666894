"""What is known of every rendered picture, and how to read it back. Needs neither numba nor the body.

DIR/0001_c1s1_000002_00.jpg    pictures, named as Market-1501 names them
DIR/manifest.csv               name, identity, camera, view, words
DIR/truth/set.json             how the set was made, names of labels and joints
DIR/truth/masks/NAME.png       8-bit part mask of each picture, values index `LABELS`
DIR/truth/0001.npz             all views of an identity: see `Truth`
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from models.gpn.anatomy import JOINTS as COCO_JOINTS
from models.gpn.anatomy import LABELS
from reid.errors import DatasetError

LABEL = {name: i for i, name in enumerate(LABELS)}

JOINTS: tuple[str, ...] = (
    *COCO_JOINTS,
    "left_big_toe",
    "right_big_toe",
    "left_small_toe",
    "right_small_toe",
    "left_heel",
    "right_heel",
)
"""COCO's joints, then six of the feet."""

BONES: tuple[tuple[int, int], ...] = (
    (0, 5), (0, 6), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12),
    (11, 13), (13, 15), (12, 14), (14, 16), (15, 17), (15, 21), (16, 18), (16, 22),
)  # fmt: skip
"""Pairs of joints that a drawing of the skeleton connects."""


@dataclass(frozen=True)
class Truth:
    """All that is known of one picture.

    Attributes:
        name: its file name.
        identity, camera, view: numbers; camera counts from 1, view from 0.
        mask: (H, W) uint8, values index `LABELS`; nobody but the identity is labelled.
        joints: (23, 2) float32, x and y in pixels of the picture, in the order of `JOINTS`; may lie outside of it.
        visible: (23,) bool: inside the picture and hidden by nothing.
        joints_3d: (23, 3) float32, metres in camera space: x right, y down, z away from the camera.
        intrinsics: (3, 3) float32; projecting `joints_3d` with it gives `joints`.
        box: (4,) float32, XYXY in pixels around what is visible of the person.
        yaw: radians in 0..2π the person is turned by: 0 faces the camera, π/2 faces the picture's right.
        words: what the person wears, comma between.
    """

    name: str
    identity: int
    camera: int
    view: int
    mask: np.ndarray
    joints: np.ndarray
    visible: np.ndarray
    joints_3d: np.ndarray
    intrinsics: np.ndarray
    box: np.ndarray
    yaw: float
    words: str


def load_truth(folder: str | os.PathLike[str], name: str) -> Truth:
    """What is known of the picture `name` of a rendered set.

    Raises:
        DatasetError: the folder is no rendered set, or it has no such picture.
    """
    folder = Path(folder)
    records = _records(folder / "truth" / f"{name.split('_')[0]}.npz")
    found = np.flatnonzero(records["names"] == Path(name).name)
    if not len(found):
        raise DatasetError(f"{folder} has no truth of a picture {name}.")
    return _truth(folder, records, int(found[0]))


def iter_truth(folder: str | os.PathLike[str]) -> Iterator[Truth]:
    """What is known of every picture, masks and all, identity by identity."""
    for path in _identity_files(Path(folder)):
        records = _records(path)
        for i in range(len(records["names"])):
            yield _truth(Path(folder), records, i)


def read_truth(folder: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The whole set but its masks as arrays with a row for each picture.

    Returns:
        names, words (M,) unicode; identity, camera, view (M,) int32; joints (M, 23, 2) float32; visible (M, 23) bool;
        joints_3d (M, 23, 3) float32; intrinsics (M, 4) float32 fx, fy, cx, cy; box (M, 4) float32; yaw (M,) float32.
    """
    tables = [_records(path) for path in _identity_files(Path(folder))]
    return {key: np.concatenate([t[key] for t in tables]) for key in tables[0]}


def load_mask(folder: str | os.PathLike[str], name: str) -> np.ndarray:
    """The part mask of a picture: (H, W) uint8, values index `LABELS`."""
    path = Path(folder) / "truth" / "masks" / f"{Path(name).stem}.png"
    try:
        with Image.open(path) as mask:
            return np.asarray(mask)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read; render the set again.") from error


def _identity_files(folder: Path) -> list[Path]:
    paths = sorted((folder / "truth").glob("[0-9]*.npz"))
    if not paths:
        raise DatasetError(f"{folder} is no rendered set: it has no truth/*.npz.")
    return paths


@functools.lru_cache(maxsize=64)
def _records(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read; render the set again.") from error


def _truth(folder: Path, records: dict[str, np.ndarray], i: int) -> Truth:
    name = str(records["names"][i])
    fx, fy, cx, cy = records["intrinsics"][i]
    return Truth(
        name=name,
        identity=int(records["identity"][i]),
        camera=int(records["camera"][i]),
        view=int(records["view"][i]),
        mask=load_mask(folder, name),
        joints=records["joints"][i],
        visible=records["visible"][i],
        joints_3d=records["joints_3d"][i],
        intrinsics=np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float32),
        box=records["box"][i],
        yaw=float(records["yaw"][i]),
        words=str(records["words"][i]),
    )
