"""FEA NET: global context and local features of a person out of one trunk.

Generalised-mean pooling: Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019.
Stripes: Sun et al., "Beyond Part Models", ECCV 2018. The neck of batch norm: Luo et al., "Bag of Tricks and a Strong
Baseline for Deep Person Re-identification", CVPRW 2019.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.trunk import Trunk, TrunkConfig


class GeM(nn.Module):
    """Generalised mean over the map, (N, C, H, W) -> (N, C): between average (p = 1) and maximum (p -> infinity).

    p is fixed: learning it moves accuracy little, and powers to a tensor cost an eighth of a whole training step.
    """

    p: Tensor

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.register_buffer("p", torch.tensor(p))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        p = float(self.p)
        return x.float().clamp(min=self.eps).pow(p).mean((2, 3)).pow(1 / p)


class FeaNet(nn.Module):
    """Pictures -> maps of the trunk, a global feature and one feature a horizontal stripe.

    Input (N, 3, H, W), normalised. Output: a dict with `maps` (list of four), `pooled` (N, C), `neck` (N, C; pooled and
    batch-normed), `embedding` (N, D) and `stripes` (N, S, Ds).
    """

    def __init__(
        self, config: TrunkConfig | None = None, *, dim: int = 256, stripes: int = 4, stripe_dim: int = 128
    ) -> None:
        super().__init__()
        self.trunk = Trunk(config)
        channels = self.trunk.config.channels[-1]
        self.channels, self.dim, self.n_stripes, self.stripe_dim = channels, dim, stripes, stripe_dim
        self.pool = GeM()
        self.neck = nn.BatchNorm1d(channels)
        self.embed = nn.Linear(channels, dim, bias=False)
        self.stripe_embed = nn.ModuleList(nn.Linear(channels, stripe_dim, bias=False) for _ in range(stripes))
        self.stripe_neck = nn.ModuleList(nn.BatchNorm1d(stripe_dim) for _ in range(stripes))

    def forward(self, x: Tensor) -> dict[str, Tensor | list[Tensor]]:
        maps = self.trunk(x)
        pooled = self.pool(maps[-1])
        neck = self.neck(pooled)
        rows = F.adaptive_avg_pool2d(maps[-1].float(), (self.n_stripes, 1)).flatten(2)  # (N, C, S)
        stripes = [
            norm(embed(rows[:, :, i]))
            for i, (embed, norm) in enumerate(zip(self.stripe_embed, self.stripe_neck, strict=True))
        ]
        return {
            "maps": maps,
            "pooled": pooled,
            "neck": neck,
            "embedding": self.embed(neck),
            "stripes": torch.stack(stripes, 1),
        }
