"""Losses of the body: joints, metres, parsing under several label schemes, and which parts are seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.gpn.anatomy import LABELS, PART_JOINTS, PART_LABELS, PARTS
from reid.training.lovasz import lovasz_softmax

UNKNOWN = 255
NO_PARSE, FULL_PARSE, SILHOUETTE, COARSE_PARSE = 0, 1, 2, 3
"""What a picture's label map holds: nothing, the 11 labels, person or not, or `COARSE_GROUPS`."""

ABSENT = -1.0
"""A joint's visibility where there is nobody: it has no place, and is not seen for certain."""

COARSE_NAMES = ("background", "hair", "skin", "upper", "lower", "shoe", "bag", "hat")
COARSE_GROUPS: tuple[tuple[int, ...], ...] = ((0,), (1,), (2, 3, 6, 7), (4,), (5,), (8,), (9,), (10,))
"""Labels that a data set which knows only skin, upper and lower clothes cannot tell apart."""


@dataclass
class Bodies:
    """Truth of N pictures, beside `People`.

    Attributes:
        joints: (N, J, 3) float32: x, y as fractions of the picture; 2 seen, 1 hidden, 0 unknown, -1
            (`ABSENT`) nobody's.
        xyz: (N, J, 3) float32, metres from the pelvis in camera axes; NaN where unknown.
        masks: (N, h, w) uint8 label maps, 255 unknown.
        scheme: (N,) int64, what each map holds.
    """

    joints: Tensor
    xyz: Tensor
    masks: Tensor
    scheme: Tensor


def joint_losses(out: dict[str, Tensor], joints: Tensor, sigma: float = 0.012) -> dict[str, Tensor]:
    """Heat maps against Gaussians, positions, and whether each joint is seen.

    `sigma` is a fraction of the picture's height. Hidden joints (1) still have a place; unknown ones (0) count nowhere;
    absent ones (-1) have no place, but are known not to be seen.
    """
    heat, xy = out["heat"], out["xy"]
    h, w = heat.shape[2:]
    known = joints[..., 2] > 0
    weight = known.float() * torch.where(joints[..., 2] > 1, 1.0, 0.3)
    total = weight.sum().clamp(min=1)
    xs = (torch.arange(w) + 0.5) / w
    ys = (torch.arange(h) + 0.5) / h
    aspect = 0.5  # pictures are twice as high as wide: a fraction of the width is half as many pixels
    dx = (xs - joints[..., 0, None]) * aspect
    dy = ys - joints[..., 1, None]
    log_target = -(dx[:, :, None, :].square() + dy[:, :, :, None].square()) / (2 * sigma**2)
    target = log_target.flatten(2).softmax(2)
    cross = -(target * heat.flatten(2).log_softmax(2)).sum(2)
    away = ((xy - joints[..., :2]).abs() * torch.tensor([aspect, 1.0])).sum(2)
    seen = F.binary_cross_entropy_with_logits(out["confidence"], (joints[..., 2] > 1).float(), reduction="none")
    told = joints[..., 2] != 0
    return {
        "heat": 0.3 * (cross * weight).sum() / total,
        "place": 10 * (away * weight).sum() / total,
        "seen": 0.5 * (seen * told).sum() / told.sum().clamp(min=1),
    }


def metre_loss(xyz: Tensor, truth: Tensor) -> Tensor:
    """Mean distance in metres over the joints whose place is known."""
    known = torch.isfinite(truth).all(2)
    if not known.any():
        return xyz.sum() * 0
    return (xyz[known] - truth[known]).abs().sum(1).mean()


SCHEMES: dict[int, tuple[tuple[int, ...], ...]] = {
    FULL_PARSE: tuple((i,) for i in range(len(LABELS))),
    SILHOUETTE: ((0,), tuple(range(1, len(LABELS)))),
    COARSE_PARSE: COARSE_GROUPS,
}
"""Which labels each scheme merges."""


def parse_loss(logits: Tensor, masks: Tensor, scheme: Tensor) -> Tensor:
    """Cross-entropy under each picture's own scheme: labels that a scheme merges compete as one.

    logits (N, L, h, w); masks (N, h, w) with 255 unknown; scheme (N,).
    """
    total, count = logits.sum() * 0, 0
    for log_p, labels, _ in _by_scheme(logits, masks, scheme):
        # Whoever is there counts somewhat more than what is around.
        losses = F.nll_loss(log_p, labels, ignore_index=UNKNOWN, reduction="none")
        weight = torch.where(labels > 0, 1.5, 1.0) * (labels != UNKNOWN)
        total = total + (losses * weight).sum() / weight.sum().clamp(min=1) * len(labels)
        count += len(labels)
    return total / max(count, 1)


def overlap_loss(logits: Tensor, masks: Tensor, scheme: Tensor) -> Tensor:
    """What is missing to an IoU of 1, so that a hat counts as much as a coat: of what `parse_loss` takes.

    Outlines have no small things and are left out; every second row and column stands for the rest.
    """
    total, count = logits.sum() * 0, 0
    for log_p, labels, kind in _by_scheme(logits[..., ::2, ::2], masks[:, ::2, ::2], scheme):
        if kind == SILHOUETTE:
            continue
        total, count = total + lovasz_softmax(log_p, labels, UNKNOWN) * len(labels), count + len(labels)
    return total / max(count, 1)


def hiding_loss(logits: Tensor, crossed: Tensor) -> Tensor:
    """Who is in the way, (N, h, w) logits, against what of other pictures was laid over, (N, H, W) bool.

    Whoever stood in the way when a picture was taken is known to nobody and passes for background: one of many.
    """
    height, width = logits.shape[1:]
    share = F.adaptive_avg_pool2d(crossed[:, None].float(), (height, width))[:, 0]
    return F.binary_cross_entropy_with_logits(logits, share)


def _by_scheme(logits: Tensor, masks: Tensor, scheme: Tensor) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Pictures of each scheme that has any: log probabilities (n, G, h, w) of its groups, labels, and the scheme."""
    log_p = logits.float().log_softmax(1)
    for kind, groups in SCHEMES.items():
        rows = torch.where(scheme == kind)[0]
        if not len(rows):
            continue
        own = log_p[rows]
        if kind != FULL_PARSE:
            own = torch.stack([own[:, list(group)].logsumexp(1) for group in groups], 1)
        yield own, masks[rows], kind


def visible_parts(joints: Tensor, masks: Tensor, scheme: Tensor) -> tuple[Tensor, Tensor]:
    """Which parts a picture shows, by what is known of it: (N, P) targets in 0..1 and (N, P) bool where they are known.

    Fully parsed pictures: half by the share of the part's joints that are seen, half by whether its labels have pixels;
    others by joints alone. A bag has no joints of its own: only a full parse knows it.
    """
    n = len(joints)
    target, known = torch.zeros(n, len(PARTS)), torch.zeros(n, len(PARTS), dtype=torch.bool)
    full = scheme == FULL_PARSE
    area = torch.stack([(masks == label).float().mean((1, 2)) for label in range(len(LABELS))], 1)  # (N, L)
    for i, part in enumerate(PARTS):
        mine = joints[:, list(PART_JOINTS[part]), 2]
        has = (mine > 0).any(1)
        seen = (mine > 1).float().sum(1) / (mine > 0).sum(1).clamp(min=1)
        share = area[:, list(PART_LABELS[part])].sum(1)
        shown = (share / 0.004).clamp(max=1)
        if part == "bag":
            target[:, i], known[:, i] = shown, full
        else:
            target[:, i] = torch.where(full, 0.5 * seen + 0.5 * shown, seen)
            known[:, i] = full | has
    return target, known
