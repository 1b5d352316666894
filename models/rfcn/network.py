"""R-FCN on a feature pyramid: finds people, cars and bicycles in whole frames, fully convolutional.

Dai et al., NeurIPS 2016 (the head), on Lin et al., CVPR 2017 (the pyramid).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms

from models.blocks import fuse
from models.boxes import CLASSES, clip, decode
from models.rfcn.anchors import grid_anchors
from models.rfcn.proposals import RegionProposals, propose
from models.rfcn.pyramid import STRIDES, Pyramid
from models.rfcn.score_maps import ScoreMaps


@dataclass(frozen=True)
class RFCNConfig:
    """Shape of the network.

    Attributes:
        channels: of the stem (stride 4) and the stages at strides 8, 16 and 32.
        depths: residual blocks a stage.
        width: channels of the pyramid.
        grid: parts a side of the position-sensitive maps.
        sizes: for each map of the pyramid, square roots of its anchors' areas in pixels; each about 1.5 times the last.
        ratios: height / width of the anchors: people stand, cars lie, bicycles are between.
    """

    channels: tuple[int, int, int, int] = (32, 64, 128, 256)
    depths: tuple[int, int, int] = (2, 3, 2)
    width: int = 64
    grid: int = 5
    sizes: tuple[tuple[float, ...], ...] = ((20, 30, 45), (67, 100, 150), (225, 340, 510))
    ratios: tuple[float, ...] = (2.6, 1.2, 0.55)


@dataclass(frozen=True)
class Detections:
    """What was found in one picture, best first.

    Attributes:
        boxes: (N, 4) XYXY in pixels of the network's input.
        labels: (N,) int64 indices into `CLASSES`, never background.
        scores: (N,) in 0..1.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor


@dataclass
class Maps:
    """All that the network computes before it looks at regions.

    Attributes:
        logits: (N, A) whether an anchor holds an object. deltas: (N, A, 4). anchors: (A, 4) XYXY.
        scores: for each map of the pyramid, its position-sensitive maps.
        size: (height, width) of the input.
    """

    logits: Tensor
    deltas: Tensor
    anchors: Tensor
    scores: list[Tensor]
    size: tuple[int, int] = field(default=(0, 0))


class RFCN(nn.Module):
    """Frames (N, 3, H, W), normalised, sides multiples of 32 -> `Maps`; `detect` goes on to boxes."""

    def __init__(self, config: RFCNConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RFCNConfig()
        self.pyramid = Pyramid(config.channels, config.depths, config.width)
        self.proposals = RegionProposals(config.width, len(config.sizes[0]) * len(config.ratios))
        self.score_maps = ScoreMaps(config.width, len(CLASSES), config.grid)
        # A region belongs to the map whose anchors are nearest to it in size.
        self.limits = [(a[-1] * b[0]) ** 0.5 for a, b in zip(config.sizes[:-1], config.sizes[1:], strict=True)]

    def forward(self, x: Tensor) -> Maps:
        pyramid = self.pyramid(x)
        logits, deltas = self.proposals(pyramid)
        shapes = [(y.shape[2], y.shape[3]) for y in pyramid]
        anchors = grid_anchors(shapes, STRIDES, self.config.sizes, self.config.ratios)
        return Maps(logits, deltas, anchors, self.score_maps(pyramid), (x.shape[2], x.shape[3]))

    def read(self, maps: Maps, regions: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Class logits (R, 4) and deltas (R, 4) of regions, given for each picture as (R_i, 4) XYXY."""
        return self.score_maps.read(maps.scores, regions, STRIDES, self.limits)

    @torch.inference_mode()
    def detect(
        self, x: Tensor, *, least: float = 0.05, overlap: float = 0.5, most: int = 300, regions: int = 200
    ) -> list[Detections]:
        """Find what frames (N, 3, H, W) show.

        Args:
            least: lowest score of a box that is kept.
            overlap: intersection over union above which the weaker of two boxes of a class goes.
            most: boxes a frame.
            regions: proposals a frame that are looked at.
        """
        maps = self(x)
        proposed = propose(maps.logits.float(), maps.deltas.float(), maps.anchors, maps.size, after=regions)
        logits, deltas = self.read(maps, proposed)  # single precision, whatever the maps came in
        counts = [len(p) for p in proposed]
        found = []
        for boxes, logit, delta in zip(proposed, logits.split(counts), deltas.split(counts), strict=True):
            found.append(select(clip(decode(delta, boxes), maps.size), logit.softmax(1), least, overlap, most))
        return found

    def doubting(self, amount: float) -> dict[str, Tensor]:
        """The tensors of this network, by name, that change if background gets so much more of a logit everywhere."""
        assert self.score_maps.maps.bias is not None
        bias = self.score_maps.maps.bias.detach().clone()
        bias[: self.config.grid**2] += amount  # a class's maps lie together, background's first; a region averages them
        return {"score_maps.maps.bias": bias}

    def fuse(self) -> RFCN:
        """Fold each batch norm into its convolution, for inference alone."""
        fuse(self)
        return self


def select(boxes: Tensor, probabilities: Tensor, least: float, overlap: float, most: int) -> Detections:
    """Boxes (R, 4) with probabilities (R, classes) -> those worth showing: suppressed class by class, best first."""
    region, label = torch.nonzero(probabilities[:, 1:] >= least, as_tuple=True)
    scores, boxes, labels = probabilities[region, label + 1], boxes[region], label + 1
    kept = batched_nms(boxes, scores, labels, overlap)[:most]
    return Detections(boxes[kept], labels[kept], scores[kept])
