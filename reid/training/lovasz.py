"""A loss that follows the figure parsings are measured by, IoU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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
    classes = logits.shape[1]
    probabilities = logits.permute(1, 0, 2, 3).reshape(classes, -1).softmax(0)
    truth = (labels == torch.arange(classes, device=labels.device)[:, None]).float()  # (C, P)
    occurs = truth.amax(1)
    if logits.device.type == "cpu":  # what occurs nowhere need not be sorted; a GPU would have to be waited for
        truth, probabilities, occurs = (x[occurs > 0] for x in (truth, probabilities, occurs))
    # Void is nowhere wrong, so it comes last in the order, where it no longer counts.
    wrong, order = ((truth - probabilities).abs() * (labels != void)).sort(1, descending=True)
    losses = (wrong * _jaccard_steps(truth.gather(1, order))).sum(1)
    return (losses * occurs).sum() / occurs.sum().clamp(min=1)


def _jaccard_steps(truth: Tensor) -> Tensor:
    """What each further mistake, in the order given, takes from the IoU of a class: (C, P), truth as 0 and 1."""
    positives = truth.sum(1, keepdim=True)
    missed = truth.cumsum(1)
    jaccard = 1 - (positives - missed) / (positives + (1 - truth).cumsum(1)).clamp(min=1)
    return torch.diff(F.pad(jaccard, (1, 0)), dim=1)
