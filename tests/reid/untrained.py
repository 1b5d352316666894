"""A graph pose network that has learnt nothing: seeded weights, saved and loaded as those that ship."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save_file

from models.gpn.network import GPN
from reid.backends.gpn import GraphPoseNetwork


def save_untrained(folder: Path, name: str, seed: int = 0) -> str:
    """Write float16 weights to `folder/name` and return their SHA-256."""
    torch.manual_seed(seed)
    net = GPN()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)  # blocks begin as their shortcuts: let them speak
    save_file({k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}, folder / name)
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()


def untrained(base: type[GraphPoseNetwork], folder: Path, monkeypatch) -> type[GraphPoseNetwork]:
    """`base` with weights of its own in `folder`, which takes the place of the one they ship in."""
    assert base.card.weights is not None
    digest = save_untrained(folder, base.card.weights)
    monkeypatch.setattr("reid.backends.weights.WEIGHTS", folder)
    return type("Untrained", (base,), {"weights_sha256": digest})
