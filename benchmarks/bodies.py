"""Skeletons and parsings against the truth: the rendered test set, and the photos of CCP that training leaves out.

    PARTWISE_RENDERED=DIR PARTWISE_CCP=DIR python -m benchmarks.bodies [BACKEND ...]

PARTWISE_RENDERED is what `python -m reid render --identities 200 --views 12 --seed 1501` made. A joint is right within
5 % of the person's height: the rows from the highest to the lowest of the body's 23 joints, seen or not. Of Clothing
Co-Parsing (Yang et al., CVPR 2014) the photos count whose number is divisible by three, whole, with our labels merged
to what its tags tell apart: background, hair, skin, upper, lower, shoe, bag, hat. Other tags count as nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from models.gpn.anatomy import JOINTS, LABELS
from reid import backends
from reid.backends import Backend
from reid.images import load_image
from reid.metrics import confusion_matrix, mean_iou, pck
from reid.rendering.truth import iter_truth
from reid.training.body_losses import COARSE_GROUPS, COARSE_NAMES
from reid.training.sources import ccp_labels

ALPHA = 0.05


def main() -> None:
    rendered, ccp = os.environ.get("PARTWISE_RENDERED"), os.environ.get("PARTWISE_CCP")
    if not rendered and not ccp:
        print("PARTWISE_RENDERED or PARTWISE_CCP must name a set to measure on.")
        return
    print("| backend | set | what | measured |")
    print("| --- | --- | --- | --- |")
    for name in _names():
        backend = backends.get(name)
        if rendered:
            for what, figure in rendered_figures(backend, Path(rendered)).items():
                print(f"| `{name}` | rendered | {what} | {figure:.1f} |", flush=True)
        if ccp:
            for what, figure in ccp_figures(backend, Path(ccp)).items():
                print(f"| `{name}` | CCP | {what} | {figure:.1f} |", flush=True)


def rendered_figures(backend: Backend, folder: Path) -> dict[str, float]:
    """Joints within 5 % of the height, mean distance in space, and parsing, over every picture of a rendered set."""
    there, truth, heights, visible, off = [], [], [], [], []
    confusion = np.zeros((len(LABELS), len(LABELS) + 1), np.int64)
    for one in iter_truth(folder):
        picture = load_image(folder / one.name)
        skeleton = backend.pose(picture)
        there.append(skeleton.xy)
        truth.append(one.joints[: len(JOINTS)])
        visible.append(one.visible[: len(JOINTS)])
        heights.append(np.ptp(one.joints[:, 1]))
        metres = one.joints_3d[: len(JOINTS)]
        metres = metres - metres[[JOINTS.index("left_hip"), JOINTS.index("right_hip")]].mean(0)
        off.append(np.linalg.norm(skeleton.xyz - metres, axis=1)[visible[-1]])
        confusion += confusion_matrix(one.mask, backend.parse(picture).labels, len(LABELS))
    right = pck(np.array(there), np.array(truth), np.array(heights), np.array(visible), alpha=ALPHA)
    return {
        "visible joints within 5 % of the height": 100 * right,
        "visible joints, mean distance in space, mm": 1000 * float(np.concatenate(off).mean()),
        "parsing, mIoU of 11 labels": 100 * mean_iou(confusion)[0],
    }


def ccp_figures(backend: Backend, root: Path) -> dict[str, float]:
    """Mean and each label's intersection over union on the held-out third."""
    merged = np.zeros(len(LABELS), np.int64)
    for coarse, group in enumerate(COARSE_GROUPS):
        merged[list(group)] = coarse
    confusion = np.zeros((len(COARSE_GROUPS), len(COARSE_GROUPS) + 1), np.int64)
    for picture, labels in _held_out(root):
        confusion += confusion_matrix(labels, merged[backend.parse(picture).labels], len(COARSE_GROUPS))
    mean, each, _ = mean_iou(confusion)
    return {"parsing, mIoU": 100 * mean} | {f"IoU of {n}": 100 * v for n, v in zip(COARSE_NAMES, each, strict=True)}


def _held_out(root: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for number, labels in ccp_labels(root):
        if number % 3 == 0:
            yield load_image(root / "photos" / f"{number:04d}.jpg"), labels


def _names() -> Iterable[str]:
    return sys.argv[1:] or [card.name for card in backends.cards() if {"pose", "parse"} <= set(card.does)]


if __name__ == "__main__":
    main()
