"""R-CNN: regions that look like something, each warped and looked at by the trunk. Slow, and bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from reid.backends.frames import cut, frame_scale
from reid.backends.registry import Boxes, Card, register
from reid.backends.rfcn import LEAST, MOST, in_frame
from reid.backends.shipped import ShippedNetwork
from reid.backends.tensors import resize, to_tensor
from reid.embedding import Embeddings

if TYPE_CHECKING:
    from models.rcnn import RCNN

SIZE = (128, 64)
"""Height and width that regions are warped to."""

CONTEXT = 0.125
"""Share of a region's sides that is seen around it."""

REGIONS = 300
BATCH = 32

_SEARCHED_SIDE = 320  # pixels; the search takes four times as long for twice the side
_SAME = 0.85  # overlap of two regions that need not both be looked at
_LEAST_SIDE = 0.02  # share of the frame's longer side below which a region is too small to name

Progress = Callable[[int, int], None]


def selective_search(frame: np.ndarray, most: int = REGIONS) -> np.ndarray:
    """Regions of one colour, texture or both, merged from small to large.

    Uijlings et al., "Selective Search for Object Recognition", IJCV 2013, in fast mode on a small copy of the frame.

    Args:
        frame: (H, W, 3) uint8 RGB.
        most: regions that come back.

    Returns:
        (R, 4) float32 XYXY in pixels of the frame, R <= most; the same for the same frame.
    """
    import torch
    from torchvision.ops import nms

    height, width = frame.shape[:2]
    scale = min(1.0, _SEARCHED_SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(resize(frame, size)[..., ::-1]))
    search.switchToSelectiveSearchFast()
    found = np.asarray(search.process(), np.float32).reshape(-1, 4)
    found = found[found[:, 2:].min(1) >= max(2.0, _LEAST_SIDE * max(size))]
    # The search shuffles what it finds. Hence an order of our own: the same regions for the same frame, large and small
    # ones alike, and of those that are nearly the same only one.
    found = np.unique(found, axis=0)
    chance = np.random.default_rng(0).random(len(found), np.float32)
    boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], 1)
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(chance), _SAME).numpy()[:most]
    return boxes[kept] * np.array([width / size[1], height / size[0]] * 2, np.float32)


def look_at(net: RCNN, frame: np.ndarray, regions: np.ndarray, progress: Progress | None = None) -> Boxes:
    """Name regions (R, 4) of a frame, move their borders, and keep the best of those that overlap.

    Args:
        net: in inference mode.
        progress: called with (regions looked at, regions in all).
    """
    import torch

    from models.boxes import clip, decode
    from models.rfcn import select

    height, width = frame.shape[:2]
    scale = min(frame_scale(height, width), 1.0)
    small = resize(frame, (max(1, round(height * scale)), max(1, round(width * scale))))
    back = np.array([width / small.shape[1], height / small.shape[0]] * 2, np.float32)
    inside = regions / back
    probabilities, moved = [torch.zeros(0, 4)], [torch.zeros(0, 4)]
    with torch.inference_mode():
        for i in range(0, len(inside), BATCH):
            some = inside[i : i + BATCH]
            out = net(to_tensor([cut(small, box, SIZE, context=CONTEXT) for box in some], SIZE))
            probabilities.append(out["logits"].softmax(1))
            moved.append(clip(decode(out["deltas"], torch.from_numpy(some)), small.shape[:2]))
            if progress is not None:
                progress(min(i + BATCH, len(inside)), len(inside))
        found = select(torch.cat(moved), torch.cat(probabilities), LEAST, 0.4, MOST)
    return in_frame(found, back, (height, width))


class RCNNFinder(ShippedNetwork):
    """Selective search and a network a region; its descriptor of a region finds like ones. See `models.rcnn`."""

    card = Card(
        name="rcnn",
        family="region network",
        subject="any",
        does=("embed", "find"),
        summary="Looks at up to 300 proposed regions one by one: finds people and objects, and regions like them.",
        dim=512,
        weights="rcnn.safetensors",
        licence="research only (CamVid, Market-1501, Clothing Co-Parsing)",
        research_only=True,
        paper="Girshick et al., CVPR 2014; Uijlings et al., IJCV 2013",
        input_size=SIZE,
        preprocessing="resized to 128x64 (area when it shrinks, bilinear when it grows); ImageNet mean and deviation",
    )
    weights_sha256 = "7dd648eefbbbf2eb0ba083c17d7d94e6c375444eab857b96b2140a9c70ddbcef"
    needs = ("torch", "torchvision")

    def build(self) -> Any:
        from models.rcnn import RCNN

        return RCNN()

    def find(self, frame: np.ndarray, progress: Progress | None = None) -> Boxes:
        return look_at(self._net, frame, selective_search(frame), progress)

    def embed(self, pictures: Sequence[np.ndarray]) -> Embeddings:
        import torch

        assert self.card.dim is not None
        vectors = np.zeros((len(pictures), self.card.dim), np.float32)
        with torch.inference_mode():
            for i in range(0, len(pictures), BATCH):
                some = [cut(p, np.array([0, 0, p.shape[1], p.shape[0]]), SIZE) for p in pictures[i : i + BATCH]]
                vectors[i : i + BATCH] = self._net(to_tensor(some, SIZE))["pooled"].numpy()
        return Embeddings.of(vectors)


# Offered once its weights ship: their hash, above, is all that this takes.
if RCNNFinder.weights_sha256:
    register(RCNNFinder.card)(RCNNFinder)
