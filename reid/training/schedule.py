"""The optimiser and the learning rate that the recipes share."""

from __future__ import annotations

import math

import torch
from torch import nn


def adamw(
    model: nn.Module, rate: float, weight_decay: float, slow: nn.Module | None = None, eager: float = 1.0
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, ICLR 2019) that decays matrices and filters, not biases and norms.

    Args:
        slow: a part of the model that learns at `rate`, while all else learns at `eager` times that.
    """
    kept = set() if slow is None else {id(p) for p in slow.parameters()}
    groups = []
    for parameters, speed in (
        ([p for p in model.parameters() if id(p) not in kept], 1.0 if slow is None else eager),
        ([p for p in model.parameters() if id(p) in kept], 1.0),
    ):
        for decay, chosen in (
            (weight_decay, [p for p in parameters if p.ndim > 1]),
            (0.0, [p for p in parameters if p.ndim <= 1]),
        ):
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "lr": rate * speed})
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), fused=True)


def warm_cosine(progress: float, warm_up: float, floor: float = 0.01) -> float:
    """Factor on the peak rate at `progress` in 0..1: up in a line over `warm_up`, then down a cosine to `floor`."""
    if progress < warm_up:
        return max(floor, progress / warm_up)
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) * (1 - floor) + floor
