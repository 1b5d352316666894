"""The optimiser and the learning rate that the recipes share."""

from __future__ import annotations

import math

import torch
from torch import nn


def adamw(model: nn.Module, rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, ICLR 2019) that decays matrices and filters, not biases and norms."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99))


def warm_cosine(progress: float, warm_up: float, floor: float = 0.01) -> float:
    """Factor on the peak rate at `progress` in 0..1: up in a line over `warm_up`, then down a cosine to `floor`."""
    if progress < warm_up:
        return max(floor, progress / warm_up)
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) * (1 - floor) + floor
