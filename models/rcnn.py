"""R-CNN: one region, one picture for the network: what is it, and where are its borders really?

Girshick et al., "Rich Feature Hierarchies for Accurate Object Detection and Semantic Segmentation", CVPR 2014, on the
trunk of the person networks and with softmax in place of support vector machines.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.boxes import CLASSES
from models.trunk import Trunk, TrunkConfig


class RCNN(nn.Module):
    """Warped regions (N, 3, H, W), normalised, sides multiples of 16 -> logits, box deltas and a descriptor.

    Output: a dict of `logits` (N, 4), `deltas` (N, 4), what leads from the region to the object (see `models.boxes`),
    and `pooled` (N, C), the region's descriptor.
    """

    def __init__(self, config: TrunkConfig | None = None) -> None:
        super().__init__()
        self.trunk = Trunk(config)
        self.channels = self.trunk.config.channels[-1]
        self.classify = nn.Linear(self.channels, len(CLASSES))
        # Borders are a matter of place, which a global mean forgets: the box is read from a 4x2 grid of means.
        self.pool = nn.AdaptiveAvgPool2d((4, 2))
        self.regress = nn.Sequential(nn.Linear(8 * self.channels, 64), nn.ReLU(inplace=True), nn.Linear(64, 4))
        nn.init.normal_(self.classify.weight, std=0.01)
        nn.init.zeros_(self.classify.bias)
        last = self.regress[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.trunk(x)[-1].float()
        pooled = torch.mean(features, (2, 3))
        return {
            "logits": self.classify(pooled),
            "deltas": self.regress(self.pool(features).flatten(1)),
            "pooled": pooled,
        }

    def doubting(self, amount: float) -> dict[str, Tensor]:
        """The tensors of this network, by name, that change if background gets so much more of a logit everywhere."""
        bias = self.classify.bias.detach().clone()
        bias[0] += amount
        return {"classify.bias": bias}
