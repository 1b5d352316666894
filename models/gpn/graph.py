"""The two-layer graph: joints talk along bones and between left and right, then parts talk to each other and the whole.

Graph convolutions: Morris et al., "Weisfeiler and Leman Go Neural", AAAI 2019, in torch-geometric's dense form, since a
skeleton's edges never change.
"""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.gpn.anatomy import BONES, JOINTS, MIRRORED, PART_JOINTS, PART_LABELS, PART_LINKS, PARTS

with warnings.catch_warnings():
    # It warns of what newer versions of torch will no longer have: its makers' concern, and nobody's who searches.
    warnings.simplefilter("ignore", FutureWarning)
    from torch_geometric.nn import DenseGraphConv


def adjacency(nodes: int, edges: tuple[tuple[int, int], ...]) -> Tensor:
    """Symmetric (nodes, nodes) adjacency of undirected edges."""
    matrix = torch.zeros(nodes, nodes)
    for a, b in edges:
        matrix[a, b] = matrix[b, a] = 1
    return matrix


class JointGraph(nn.Module):
    """Layer one. Nodes are joints; an edge type each for bones and for left-right pairs.

    Input: features at the joints (N, J, C), `xy` (N, J, 2), `xyz` (N, J, 3), `confidence` (N, J) in 0..1. Output
    (N, J, D). What a joint tells its neighbours is weighed by how well it is seen.
    """

    bones: Tensor
    pairs: Tensor

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.enter = nn.Linear(channels + 6, dim)
        self.along_bones = DenseGraphConv(dim, dim, aggr="mean")
        self.across = DenseGraphConv(dim, dim, aggr="mean")
        self.norm = nn.LayerNorm(dim)
        self.register_buffer("bones", adjacency(len(JOINTS), BONES), persistent=False)
        self.register_buffer("pairs", adjacency(len(JOINTS), MIRRORED), persistent=False)

    def forward(self, features: Tensor, xy: Tensor, xyz: Tensor, confidence: Tensor) -> Tensor:
        x = self.enter(torch.cat([features, xy, xyz, confidence[..., None]], 2))
        seen = confidence[:, None, :]
        told = self.along_bones(x, self.bones * seen) + self.across(x, self.pairs * seen)
        return self.norm(x + F.relu(told))


class PartGraph(nn.Module):
    """Layer two. Nodes are the parts and the whole person, which is tied to every part.

    Input: part features (N, P, D), the global feature (N, D), `visibility` (N, P) in 0..1. Output: (N, P, D), (N, D).
    """

    links: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.talk = DenseGraphConv(dim, dim, aggr="mean")
        self.norm = nn.LayerNorm(dim)
        index = {name: i for i, name in enumerate(PARTS)}
        whole = len(PARTS)
        edges = [(index[a], index[b]) for a, b in PART_LINKS] + [(i, whole) for i in range(whole)]
        self.register_buffer("links", adjacency(whole + 1, tuple(edges)), persistent=False)

    def forward(self, parts: Tensor, whole: Tensor, visibility: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([parts, whole[:, None]], 1)
        weight = torch.cat([visibility, torch.ones_like(visibility[:, :1])], 1)
        x = self.norm(x + F.relu(self.talk(x, self.links * weight[:, None, :])))
        return x[:, :-1], x[:, -1]


class PartPooling(nn.Module):
    """Joints and parse masks -> one feature and one visibility a part.

    Input: joint features (N, J, D), joint confidence (N, J) in 0..1, local features (N, C, h, w), parse probabilities
    (N, L, h, w). Output: features (N, P, D), visibility (N, P) in 0..1.
    """

    part_joints: Tensor
    part_labels: Tensor

    def __init__(self, channels: int, dim: int, labels: int) -> None:
        super().__init__()
        joints = torch.zeros(len(PARTS), len(JOINTS))
        masks = torch.zeros(len(PARTS), labels)
        for i, part in enumerate(PARTS):
            joints[i, list(PART_JOINTS[part])] = 1
            masks[i, list(PART_LABELS[part])] = 1
        self.register_buffer("part_joints", joints, persistent=False)
        self.register_buffer("part_labels", masks, persistent=False)
        self.join = nn.ModuleList(nn.Linear(dim + channels, dim) for _ in PARTS)
        self.visible = nn.ModuleList(nn.Linear(dim + channels + 2, 1) for _ in PARTS)

    def forward(self, joints: Tensor, confidence: Tensor, local: Tensor, parse: Tensor) -> tuple[Tensor, Tensor]:
        weight = self.part_joints * confidence[:, None, :]  # (N, P, J)
        total = weight.sum(2, keepdim=True)
        from_joints = torch.bmm(weight, joints) / total.clamp(min=1e-3)
        masks = torch.einsum("pl,nlhw->nphw", self.part_labels, parse).flatten(2)
        area = masks.sum(2, keepdim=True)
        from_masks = torch.bmm(masks, local.flatten(2).transpose(1, 2)) / area.clamp(min=1e-2)
        x = torch.cat([from_joints, from_masks], 2)
        clues = torch.cat([x, total / self.part_joints.sum(1)[:, None], (area + 1e-2).log() / 5], 2)
        features = torch.stack([layer(x[:, i]) for i, layer in enumerate(self.join)], 1)
        visible = torch.cat([layer(clues[:, i]) for i, layer in enumerate(self.visible)], 1)
        return features, visible
