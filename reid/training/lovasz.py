"""A loss that follows the figure parsings are measured by, IoU."""

from __future__ import annotations

import torch
from torch import Tensor


def lovasz_softmax(logits: Tensor, labels: Tensor, void: int) -> Tensor:
    """How far the classes' IoU is from 1, made smooth: mean over the classes that occur.

    Berman, Rannen Triki and Blaschko, "The Lovasz-Softmax Loss: A Tractable Surrogate for the Optimization of the
    Intersection-over-Union Measure in Neural Networks", CVPR 2018.

    Args:
        logits: (N, C, h, w).
        labels: (N, h, w); `void` is left out.
    """
    labels = labels.flatten()
    counted = labels != void
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
