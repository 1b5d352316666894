"""Losses of scene parsing: weighted cross-entropy at any resolution, and one that follows the figure itself, IoU."""

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


def parsing_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy of (N, C, h, w) logits at their own size; labels (N, H, W), void left out.

    0 where nothing but void is seen, so that a batch without truth does no harm.
    """
    labels = at_size(labels, logits.shape[2:])
    each = F.cross_entropy(logits, labels, weights, ignore_index=CAMVID_VOID, reduction="sum")
    total = F.pad(weights, (0, CAMVID_VOID + 1 - len(weights)))[labels].sum()
    return each / total.clamp(min=1e-6)


def lovasz_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """How far the classes' IoU is from 1, made smooth: mean over the classes that occur.

    Berman, Rannen Triki and Blaschko, "The Lovasz-Softmax Loss: A Tractable Surrogate for the Optimization of the
    Intersection-over-Union Measure in Neural Networks", CVPR 2018.

    Args:
        logits: (N, C, h, w).
        labels: (N, H, W), taken at the logits' size; void left out.
    """
    labels = at_size(labels, logits.shape[2:]).flatten()
    counted = labels != CAMVID_VOID
    labels = labels[counted]
    probabilities = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])[counted].softmax(1)
    losses = []
    for label in labels.unique().tolist():
        truth = (labels == label).float()
        wrong, order = (truth - probabilities[:, label]).abs().sort(descending=True)
        losses.append(wrong @ _jaccard_steps(truth[order]))
    return torch.stack(losses).mean() if losses else logits.sum() * 0


def _jaccard_steps(truth: Tensor) -> Tensor:
    """What each further mistake, in the order given, takes from the IoU of a class: (P,), truth as 0 and 1."""
    positives = truth.sum()
    missed = truth.cumsum(0)
    jaccard = 1 - (positives - missed) / (positives + (1 - truth).cumsum(0))
    return torch.diff(jaccard, prepend=jaccard.new_zeros(1))
