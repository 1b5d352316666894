"""What training reads: public sets with what teachers said, rendered people, parsed photos; all as one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from models.gpn.anatomy import JOINTS
from reid.datasets import Sample
from reid.errors import DatasetError
from reid.rendering.truth import load_mask, read_truth
from reid.training.blends import Blends
from reid.training.body_losses import COARSE_PARSE, FULL_PARSE, NO_PARSE, SILHOUETTE, UNKNOWN, Bodies
from reid.training.people import People, read_people

BLAZEPOSE_TO_COCO = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""Where COCO's 17 joints are among BlazePose's 33 landmarks."""

HIPS = [JOINTS.index("left_hip"), JOINTS.index("right_hip")]

CCP_GROUPS: dict[str, set[str]] = {
    "hair": {"hair"},
    "skin": {"skin"},
    "upper": {"blazer", "blouse", "bodysuit", "bra", "cape", "cardigan", "coat", "dress", "hoodie", "intimate"}
    | {"jacket", "jumper", "romper", "scarf", "shirt", "suit", "sweater", "sweatshirt", "swimwear", "t-shirt"}
    | {"tie", "top", "vest"},
    "lower": {"belt", "jeans", "leggings", "panties", "pants", "shorts", "skirt", "stockings", "tights"},
    "shoe": {"boots", "clogs", "flats", "heels", "loafers", "pumps", "sandals", "shoes", "sneakers", "socks", "wedges"},
    "bag": {"bag", "purse", "wallet"},
    "hat": {"hat"},
}
"""Clothing Co-Parsing's tags by our coarse names; what is in none of them (jewellery, glasses, gloves) is unknown."""


@dataclass
class Table:
    """Pictures of one source, with whatever is known of them; N rows everywhere.

    Attributes:
        paths: N files.
        identities: N names; empty where there is none.
        joints, xyz, masks, scheme: as in `Bodies`, numpy.
        taught: (N, D) float32 or None.
        boxes: (N, 4) float32, the part of each file that is meant, as fractions; None for whole files.
        blends: of these pictures, with what a teacher said of them; or None.
    """

    paths: list[Path]
    identities: list[str]
    joints: np.ndarray
    xyz: np.ndarray
    masks: np.ndarray
    scheme: np.ndarray
    taught: np.ndarray | None = None
    boxes: np.ndarray | None = None
    blends: Blends | None = None


def unlabelled(samples: Sequence[Sample], mask_size: tuple[int, int]) -> Table:
    """Pictures of which nothing is known but who is on them."""
    n = len(samples)
    return Table(
        [sample.path for sample in samples],
        [sample.identity or "" for sample in samples],
        np.zeros((n, len(JOINTS), 3), np.float32),
        np.full((n, len(JOINTS), 3), np.nan, np.float32),
        np.full((n, *mask_size), UNKNOWN, np.uint8),
        np.full(n, NO_PARSE),
    )


def with_teachers(table: Table, embeddings: Path | None, poses: Path | None, sure: float = 0.5) -> Table:
    """Fill in what teachers said, cached by file name: embeddings (names, vectors), poses as BlazePose gives them.

    A pose file holds names, joints (N, 33, 4: x and y as fractions, visibility, presence), world (N, 33, 3 metres),
    confidence (N,) and masks (N, h, w uint8 silhouettes). Poses below `sure` are not believed.
    """
    names = [path.name for path in table.paths]
    if embeddings is not None:
        cache = np.load(embeddings, allow_pickle=False)
        row = _rows(cache["names"], names, embeddings)
        table.taught = cache["vectors"][row].astype(np.float32)
    if poses is not None:
        cache = np.load(poses, allow_pickle=False)
        row = _rows(cache["names"], names, poses)
        believed = cache["confidence"][row] > sure
        landmarks = cache["joints"][row][:, BLAZEPOSE_TO_COCO]
        seen = np.where(landmarks[..., 2] > 0.5, 2.0, 1.0)
        inside = (landmarks[..., :2] >= 0).all(2) & (landmarks[..., :2] < 1).all(2)
        table.joints = np.concatenate(
            [landmarks[..., :2], np.where(inside & believed[:, None], seen, 0)[..., None]], 2
        ).astype(np.float32)
        world = cache["world"][row][:, BLAZEPOSE_TO_COCO]
        world = world - world[:, HIPS].mean(1, keepdims=True)
        table.xyz = np.where((believed[:, None] & (seen > 1))[..., None], world, np.nan).astype(np.float32)
        silhouettes = cache["masks"]  # once: each look into the file unpacks all of them
        for i in np.flatnonzero(believed):
            soft = cv2.resize(silhouettes[row[i]], table.masks.shape[:0:-1], interpolation=cv2.INTER_LINEAR)
            table.masks[i] = np.where(soft > 200, 1, np.where(soft < 55, 0, UNKNOWN))
        table.scheme = np.where(believed, SILHOUETTE, NO_PARSE)
    return table


def rendered(folder: Path, mask_size: tuple[int, int]) -> Table:
    """A folder that `render` made: everything is known."""
    truth = read_truth(folder)
    n = len(truth["names"])
    paths = [folder / str(name) for name in truth["names"]]
    height, width = load_mask(folder, paths[0].name).shape
    count = len(JOINTS)
    xy = truth["joints"][:, :count] / np.array([width, height], np.float32)
    inside = ((xy >= 0) & (xy < 1)).all(2)
    seen = np.where(truth["visible"][:, :count], 2.0, np.where(inside, 1.0, 0.0))
    metres = truth["joints_3d"][:, :count]
    masks = np.empty((n, *mask_size), np.uint8)
    for i, path in enumerate(paths):
        # Labels are sampled, never averaged.
        masks[i] = cv2.resize(load_mask(folder, path.name), mask_size[::-1], interpolation=cv2.INTER_NEAREST)
    return Table(
        paths,
        [str(identity) for identity in truth["identity"]],
        np.concatenate([xy, seen[..., None]], 2).astype(np.float32),
        (metres - metres[:, HIPS].mean(1, keepdims=True)).astype(np.float32),
        masks,
        np.full(n, FULL_PARSE),
    )


def clothing_co_parsing(root: Path, mask_size: tuple[int, int]) -> Table:
    """Clothing Co-Parsing's training two thirds: photos whose number is not divisible by three, without identities.

    Yang et al., "Clothing Co-Parsing by Joint Image Segmentation and Labeling", CVPR 2014.
    """
    samples, masks = [], []
    for number, labels in ccp_labels(root):
        if number % 3:
            samples.append(Sample(root / "photos" / f"{number:04d}.jpg", f"{number:04d}"))
            masks.append(cv2.resize(labels, mask_size[::-1], interpolation=cv2.INTER_NEAREST))
    table = unlabelled(samples, mask_size)
    table.masks, table.scheme = np.stack(masks), np.full(len(masks), COARSE_PARSE)
    return table


def ccp_labels(root: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Number and label map, (H, W) uint8 in the order of `COARSE_NAMES` with 255 unknown, of every photo of CCP.

    Raises:
        DatasetError: it is not CCP's folder.
    """
    from scipy.io import loadmat

    try:
        tags = [str(tag[0]) for tag in loadmat(root / "label_list.mat")["label_list"][0]]
    except OSError as error:
        raise DatasetError(f"{root} has no label_list.mat; name the folder of Clothing Co-Parsing.") from error
    index = np.full(256, UNKNOWN, np.uint8)
    index[tags.index("null")] = 0
    for label, group in enumerate(CCP_GROUPS.values(), start=1):
        for tag in group:
            index[tags.index(tag)] = label
    for file in sorted((root / "annotations" / "pixel-level").glob("*.mat")):
        yield int(file.stem), index[loadmat(file)["groundtruth"]]


def join(tables: Sequence[Table], size: tuple[int, int]) -> tuple[People, Bodies]:
    """Read the pictures at `size` (height, width) and put the tables below each other; identities stay apart."""
    dim = next((t.taught.shape[1] for t in tables if t.taught is not None), 0)
    people = read_people([(t.paths, t.identities) for t in tables], size, boxes=[t.boxes for t in tables])
    nobody = np.array([not name for t in tables for name in t.identities])
    people.identities = np.where(nobody, -1, people.identities)
    _, people.identities[~nobody] = np.unique(people.identities[~nobody], return_inverse=True)
    if dim:
        people.taught = np.concatenate(
            [t.taught if t.taught is not None else np.zeros((len(t.paths), dim), np.float32) for t in tables]
        )

    def stacked(key: str) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([getattr(table, key) for table in tables]))

    bodies = Bodies(stacked("joints"), stacked("xyz"), stacked("masks"), stacked("scheme").long())
    return people, bodies


def _rows(cached: np.ndarray, names: Sequence[str], path: Path) -> np.ndarray:
    where = {str(name): i for i, name in enumerate(cached)}
    missing = [name for name in names if name not in where]
    if missing:
        raise DatasetError(f"{path} says nothing of {len(missing)} pictures, {missing[0]} first; make it anew.")
    return np.array([where[name] for name in names])
