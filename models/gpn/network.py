"""GPN, the graph pose network: a person becomes a global embedding and one for each body part with its visibility."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.gpn.anatomy import LABELS, PARTS
from models.gpn.decoder import Decoder
from models.gpn.fea_net import FeaNet
from models.gpn.graph import JointGraph, PartGraph, PartPooling
from models.gpn.parse_net import ParseNet
from models.gpn.skeleton_net import SkeletonNet, sample_at
from models.trunk import TrunkConfig


@dataclass(frozen=True)
class GPNConfig:
    """Shape of the network; every field changes the weights' shapes."""

    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    dim: int = 256
    decoder: int = 64
    attention: int = 4
    refinements: int = 2
    part_dim: int = 128


class GPN(nn.Module):
    """Pictures of one person each -> embeddings, skeleton and parsing.

    Input (N, 3, H, W), normalised; 256x128. Output, a dict: what `FeaNet` and `SkeletonNet` give, `rough` logits of the
    parsing (N, L, H/4, W/4), `parse` logits (N, L, H/2, W/2) and `hiding` logits (N, H/4, W/4) of somebody in the way
    of the person but for `parse=False` (nothing else hangs on them, and they take long; a mask (N,) asks for some
    pictures' alone), `parts` (N, P, Dp) not yet normalised, `visible` (N, P) logits, `whole` (N, Dp): the global branch
    after the graph.
    """

    def __init__(self, config: GPNConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GPNConfig()
        self.fea = FeaNet(config.trunk, dim=config.dim)
        self.decoder = Decoder(config.trunk.channels, config.decoder, config.attention, config.refinements)
        self.skeleton = SkeletonNet(config.decoder)
        self.parse = ParseNet(config.decoder)
        self.local = nn.Sequential(
            nn.Conv2d(config.trunk.channels[-1], config.part_dim, 1, bias=False), nn.BatchNorm2d(config.part_dim)
        )
        self.joint_graph = JointGraph(config.decoder + config.part_dim, config.part_dim)
        self.pooling = PartPooling(config.part_dim, config.part_dim, len(LABELS))
        self.whole = nn.Linear(config.trunk.channels[-1], config.part_dim)
        self.part_graph = PartGraph(config.part_dim)
        self.part_neck = nn.ModuleList(nn.BatchNorm1d(config.part_dim) for _ in PARTS)
        self.whole_neck = nn.BatchNorm1d(config.part_dim)

    def forward(self, pictures: Tensor, parse: bool | Tensor = True) -> dict[str, Tensor]:
        out = self.fea(pictures)
        maps = out["maps"]
        decoded = self.decoder(maps)
        out |= self.skeleton(decoded)
        out["rough"], between = self.parse.roughly(decoded)
        if isinstance(parse, Tensor):
            out["parse"], out["hiding"] = self.parse.closer(between[parse], decoded[parse], pictures[parse])
        elif parse:
            out["parse"], out["hiding"] = self.parse.closer(between, decoded, pictures)

        local = self.local(maps[-1])  # (N, Dp, H/16, W/16)
        size = (local.shape[2], local.shape[3])
        # The graph reads skeleton and parsing but does not bend them to its ends.
        heat = out["probability"].detach()
        seen = out["confidence"].detach().sigmoid()
        at_joints = torch.cat([sample_at(decoded, heat), sample_at(local, shrink(heat, size))], 2)
        joints = self.joint_graph(at_joints, out["xy"].detach(), out["xyz"].detach(), seen)
        masks = F.adaptive_avg_pool2d(out["rough"].detach().float().softmax(1), size)
        parts, out["visible"] = self.pooling(joints, seen, local.float(), masks)
        parts, whole = self.part_graph(parts, self.whole(out["neck"].float()), out["visible"].sigmoid())
        out["parts"] = torch.stack([neck(parts[:, i]) for i, neck in enumerate(self.part_neck)], 1)
        out["whole"] = self.whole_neck(whole)
        return out


def shrink(probability: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring maps that sum to 1 to a smaller size; they still do."""
    h, w = probability.shape[2:]
    return F.adaptive_avg_pool2d(probability, size) * (h * w / (size[0] * size[1]))
