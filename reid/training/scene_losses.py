"""Loss of scene parsing: weighted cross-entropy at any resolution."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reid.datasets import CAMVID_CLASSES, CAMVID_VOID


def class_weights(labels: np.ndarray, classes: int = len(CAMVID_CLASSES)) -> Tensor:
    """Weights (classes,) that grow as a class gets rare, but far less than in proportion; 1 on average over pixels.

    1 / ln(1.1 + share), after Paszke et al., "ENet: A Deep Neural Network Architecture for Real-Time Semantic
    Segmentation", 2016.
    """
    counts = np.bincount(labels.ravel(), minlength=classes)[:classes]
    share = counts / max(counts.sum(), 1)
    weights = 1 / np.log(1.1 + share)
    return torch.from_numpy(weights / max((weights * share).sum(), 1e-12)).float()


def at_size(labels: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """Label maps (N, H, W) at another size, each place with the label at its middle."""
    if labels.shape[1:] == tuple(size):
        return labels
    return F.interpolate(labels[:, None].float(), size=tuple(size), mode="nearest-exact")[:, 0].long()


def one_of_four(labels: Tensor, which: Tensor) -> Tensor:
    """Label maps (N, H, W), sides even, at half the size: in each map always the same one, `which` (N,), 0 to 3, of two
    by two. Drawn anew for each map it lies at their middle on average, where logits of half the size lie; the same for
    all would teach them to lie half a pixel off.
    """
    n, height, width = labels.shape
    fours = labels.view(n, height // 2, 2, width // 2, 2).transpose(2, 3).reshape(n, height // 2, width // 2, 4)
    return fours.gather(3, which.view(n, 1, 1, 1).expand(n, height // 2, width // 2, 1)).squeeze(3)


def parsing_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy of (N, C, h, w) logits at their own size; labels (N, H, W), void left out.

    0 where nothing but void is seen, so that a batch without truth does no harm.
    """
    labels = at_size(labels, logits.shape[2:])
    each = F.cross_entropy(logits, labels, weights, ignore_index=CAMVID_VOID, reduction="sum")
    total = F.pad(weights, (0, CAMVID_VOID + 1 - len(weights)))[labels].sum()
    return each / total.clamp(min=1e-6)
