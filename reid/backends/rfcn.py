"""R-FCN: finds people, cars and bicycles in whole frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from reid.backends.frames import frame_tensor
from reid.backends.precision import autocast
from reid.backends.registry import Boxes, Card, register
from reid.backends.shipped import ShippedNetwork

if TYPE_CHECKING:
    from models.rfcn import Detections

LEAST = 0.05
"""The lowest score that is told of; who wants certainty asks for more (see `reid.finding`)."""

MOST = 300
"""Boxes a frame."""


def find(net: Any, frame: np.ndarray, least: float = LEAST, most: int = MOST) -> Boxes:
    """Find with a network in a frame (H, W, 3) uint8 RGB; boxes come back in its pixels, cut at its borders.

    Args:
        net: a module with `detect`, as `models.rfcn.RFCN` has it.
        least: lowest score that is kept.
        most: boxes that are kept.
    """
    x, back = frame_tensor(frame)
    with autocast():
        (found,) = net.detect(x, least=least, most=most)
    return in_frame(found, back, frame.shape[:2])


def in_frame(found: Detections, back: np.ndarray, size: tuple[int, ...]) -> Boxes:
    """What a network found in its input, in pixels of the frame of this (height, width)."""
    from models.boxes import CLASSES

    height, width = size[:2]
    xyxy = np.clip(found.boxes.numpy() * back, 0, np.array([width, height] * 2)).astype(np.float32)
    return Boxes(xyxy, tuple(CLASSES[i] for i in found.labels.tolist()), found.scores.numpy().astype(np.float32))


class RFCNFinder(ShippedNetwork):
    """A feature pyramid, region proposals and position-sensitive score maps; see `models.rfcn`."""

    card = Card(
        name="rfcn",
        family="region network",
        subject="any",
        does=("find",),
        summary="Finds people, cars and bicycles in whole frames: feature pyramid and position-sensitive score maps.",
        weights="rfcn.safetensors",
        licence="research only (CamVid, Market-1501, Clothing Co-Parsing)",
        research_only=True,
        paper="Dai et al., NeurIPS 2016; Lin et al., CVPR 2017",
        preprocessing="brought to 768x576 pixels in area, at most twice as large; ImageNet mean and deviation",
    )
    weights_sha256 = "b93f9c50ab7f417fbc5f19eac3bfdddfce7d2482336cceefe5e19684bc8904c9"
    needs = ("torch", "torchvision")

    def build(self) -> Any:
        from models.rfcn import RFCN

        return RFCN()

    def prepare(self, net: Any) -> Any:
        return super().prepare(net.fuse())

    def find(self, frame: np.ndarray, progress: Callable[[int, int], None] | None = None) -> Boxes:
        return find(self._net, frame)


# Offered once its weights ship: their hash, above, is all that this takes.
if RFCNFinder.weights_sha256:
    register(RFCNFinder.card)(RFCNFinder)
