"""FEA NET: global context and local features of a person out of one trunk.

The embedding reads the neck and, beside it, what the neck has averaged away: maxima, rows, and the stage before. Both
explain more of what a teacher says of strangers than the neck alone: a linear fit gives similarities that correlate
0.69 with the teacher's instead of 0.66.

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
        # Maps behind a ReLU are nowhere negative: cutting the means off keeps gradients finite and spares a pass.
        return x.float().pow(p).mean((2, 3)).clamp(min=self.eps**p).pow(1 / p)


class FeaNet(nn.Module):
    """Pictures -> maps of the trunk, a global feature and one feature a horizontal stripe.

    Input (N, 3, H, W), normalised. Output: a dict with `maps` (list of four), `pooled` (N, C), `neck` (N, C; pooled and
    batch-normed), `embedding` (N, D), out of `neck` and local features of the last two stages, `stripes` (N, S, Ds).
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
        before = self.trunk.config.channels[-2]
        # Maximum and rows of the last stage, mean and rows of the one before.
        self.local = nn.BatchNorm1d(channels * (1 + stripes) + before * (1 + stripes))
        self.embed = nn.Linear(channels + self.local.num_features, dim, bias=False)
        self.stripe_embed = nn.ModuleList(nn.Linear(channels, stripe_dim, bias=False) for _ in range(stripes))
        self.stripe_neck = nn.ModuleList(nn.BatchNorm1d(stripe_dim) for _ in range(stripes))

    def forward(self, x: Tensor) -> dict[str, Tensor | list[Tensor]]:
        maps = self.trunk(x)
        pooled, rows, most = self.summary(maps[-1])
        pooled_before, rows_before, _ = self.summary(maps[-2])
        neck = self.neck(pooled)
        local = [most, rows.flatten(1), pooled_before, rows_before.flatten(1)]
        stripes = [
            norm(embed(rows[:, :, i]))
            for i, (embed, norm) in enumerate(zip(self.stripe_embed, self.stripe_neck, strict=True))
        ]
        return {
            "maps": maps,
            "pooled": pooled,
            "neck": neck,
            "embedding": self.embed(torch.cat([neck, self.local(torch.cat(local, 1))], 1)),
            "stripes": torch.stack(stripes, 1),
        }

    def summary(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A map (N, C, H, W) in float32: generalised mean (N, C), mean of each stripe (N, C, S), maximum (N, C)."""
        x = x.float()
        return self.pool(x), F.adaptive_avg_pool2d(x, (self.n_stripes, 1)).flatten(2), x.amax((2, 3))
