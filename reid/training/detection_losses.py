"""Losses of the region networks: which anchors and regions hold an object, and what they should have said.

Focal loss over all anchors: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017. Hard regions chosen by
their loss: Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example Mining", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_area, box_iou, sigmoid_focal_loss

from models.boxes import encode


@dataclass
class Target:
    """The truth of one picture.

    Attributes:
        boxes: (G, 4) XYXY in pixels of the batch. labels: (G,) int64 indices into `models.boxes.CLASSES`.
        doubtful: (D, 4) XYXY; what lies on them is neither right nor wrong.
    """

    boxes: Tensor
    labels: Tensor
    doubtful: Tensor


@dataclass
class Match:
    """What boxes were matched to.

    Attributes:
        label: (N,) int64: a class, 0 for background, -1 where nothing is to be learnt.
        target: (N, 4) the true box of those with a class; nought elsewhere.
    """

    label: Tensor
    target: Tensor


def match(boxes: Tensor, target: Target, right: float, wrong: float, *, rescue: float | None = None) -> Match:
    """Match boxes (N, 4) to the truth by intersection over union.

    Args:
        right: a box that overlaps a true one by this much takes its class.
        wrong: one that overlaps none by this much is background; between the two nothing is learnt.
        rescue: if given, the box that overlaps a true one most takes it even below `right`, if above this.
    """
    label = torch.zeros(len(boxes), dtype=torch.long)
    matched = boxes.new_zeros(len(boxes), 4)
    if len(target.boxes):
        overlap = box_iou(boxes, target.boxes)
        best, which = overlap.max(1)
        label[best >= wrong] = -1
        has = best >= right
        if rescue is not None:
            most, where = overlap.max(0)
            saved = most >= rescue
            has[where[saved]] = True
            which[where[saved]] = torch.nonzero(saved)[:, 0]
        label[has] = target.labels[which[has]]
        matched[has] = target.boxes[which[has]]
    if len(target.doubtful):
        label[(label == 0) & on_doubtful(boxes, target.doubtful)] = -1
    return Match(label, matched)


def on_doubtful(boxes: Tensor, doubtful: Tensor, share: float = 0.5) -> Tensor:
    """(N,) bool: at least this share of a box lies on one that is doubtful."""
    low = torch.maximum(boxes[:, None, :2], doubtful[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], doubtful[None, :, 2:])
    common = (high - low).clamp(min=0).prod(2)
    return (common / box_area(boxes).clamp(min=1e-3)[:, None]).amax(1) >= share


def anchor_losses(logits: Tensor, deltas: Tensor, anchors: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
    """Losses of region proposals: logits (N, A), deltas (N, A, 4), anchors (A, 4)."""
    matches = [match(anchors, target, 0.55, 0.4, rescue=0.2) for target in targets]
    label = torch.stack([m.label for m in matches])
    matched = torch.stack([m.target for m in matches])
    learnt, positive = label >= 0, label > 0
    count = positive.sum().clamp(min=1)
    objectness = sigmoid_focal_loss(logits[learnt], positive[learnt].float(), reduction="sum") / count
    wanted = encode(matched[positive], anchors.expand(len(targets), -1, -1)[positive])
    box = F.smooth_l1_loss(deltas[positive], wanted, beta=1.0, reduction="sum") / count
    return {"objectness": objectness, "anchor_box": 0.5 * box}


def region_losses(
    logits: Tensor, deltas: Tensor, regions: Sequence[Tensor], targets: Sequence[Target], *, keep: int
) -> dict[str, Tensor]:
    """Losses of what was read from regions: of all regions of a batch, the `keep` a picture that are worst.

    Args:
        logits: (R, classes). deltas: (R, 4), picture by picture as `regions`, each (R_i, 4) XYXY.
        keep: regions a picture, on average, that are learnt from.
    """
    matches = [match(r, target, 0.5, 0.5) for r, target in zip(regions, targets, strict=True)]
    label = torch.cat([m.label for m in matches])
    positive = label > 0
    wanted = encode(torch.cat([m.target for m in matches])[positive], torch.cat(list(regions))[positive])
    kinds = F.cross_entropy(logits, label, ignore_index=-1, reduction="none")
    boxes = logits.new_zeros(len(label)).masked_scatter(
        positive, F.smooth_l1_loss(deltas[positive], wanted, reduction="none").sum(1)
    )
    count = min(keep * len(targets), int((label >= 0).sum()))
    if not count:
        return {"class": logits.sum() * 0, "region_box": deltas.sum() * 0}
    hard = (kinds + boxes).detach().masked_fill(label < 0, -1).topk(count).indices
    return {"class": kinds[hard].sum() / count, "region_box": boxes[hard].sum() / count}


def jittered(boxes: Tensor, copies: int, strength: float = 0.12) -> Tensor:
    """Boxes (G, 4) shifted and stretched at random, `copies` of each: (G * copies, 4)."""
    many = boxes.repeat(copies, 1)
    sides = (many[:, 2:] - many[:, :2]).repeat(1, 2)
    return many + sides * torch.randn_like(many) * strength
