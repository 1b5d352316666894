"""Retrieval networks: a trunk, a pooling, a neck, and one vector of unit length a picture."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.gpn.fea_net import FeaNet
from models.retrieval.pooling import POOLINGS


class Whitening(nn.Module):
    """Centred, turned to the principal axes and scaled to equal spread along them: (N, D) -> (N, W).

    Jégou and Chum, "Negative Evidences and Co-occurrences in Image Retrieval: The Benefit of PCA and Whitening", ECCV
    2012. What it holds is learnt outside, on vectors of unit length.
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, dim: int, whitened: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("matrix", torch.zeros(whitened, dim))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) @ self.matrix.T


class RetrievalNet(nn.Module):
    """Base: pictures (N, 3, H, W), normalised -> vectors (N, dim) of unit length.

    Attributes:
        channels: length of what `features` gives.
        whitening: applied to features of unit length, or None.
    """

    channels: int
    whitening: Whitening | None

    def __init__(self) -> None:
        super().__init__()
        self.whitening = None

    def features(self, x: Tensor) -> Tensor:
        """Pictures -> (N, channels), before anything is scaled: what training works on."""
        raise NotImplementedError

    def stages(self) -> list[nn.Module]:
        """The trunk in parts, from the picture on: what a schedule freezes and thaws."""
        raise NotImplementedError

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self.channels if self.whitening is None else len(self.whitening.matrix)

    def whiten(self, whitened: int | None) -> RetrievalNet:
        """Give it room for a whitening to so many numbers (None: no whitening), and return it."""
        self.whitening = None if whitened is None else Whitening(self.channels, whitened)
        return self

    def forward(self, x: Tensor) -> Tensor:
        vectors = F.normalize(self.features(x), dim=1)
        return vectors if self.whitening is None else F.normalize(self.whitening(vectors), dim=1)


class PooledNet(RetrievalNet):
    """Any trunk whose stages follow each other.

    Args:
        stages: the trunk's parts by name, from the picture on.
        channels: channels of the last map.
        pooling: one of `POOLINGS`.
        neck: batch norm between what is pooled and what softmax sees; the vectors are taken behind it. Luo et al.,
            "Bag of Tricks and a Strong Baseline for Deep Person Re-identification", CVPRW 2019.
    """

    def __init__(self, stages: OrderedDict[str, nn.Module], channels: int, *, pooling: str, neck: bool) -> None:
        super().__init__()
        self.trunk = nn.Sequential(stages)
        self.channels = channels
        self.pool = POOLINGS[pooling]
        self.neck: nn.Module = nn.BatchNorm1d(channels) if neck else nn.Identity()

    def stages(self) -> list[nn.Module]:
        return list(self.trunk)

    def features(self, x: Tensor) -> Tensor:
        return self.neck(self.pool(self.trunk(x)))


class PersonNet(RetrievalNet):
    """FEA NET: what identities demanded, what a teacher taught, and what each stripe saw, weighing the same."""

    def __init__(self, *, pooling: str = "gem") -> None:
        super().__init__()
        self.fea = FeaNet()
        if pooling != "gem":
            self.fea.pool = _Pool(pooling)  # type: ignore[assignment]
        self.channels = self.fea.channels + self.fea.dim + self.fea.n_stripes * self.fea.stripe_dim

    def stages(self) -> list[nn.Module]:
        return [self.fea.trunk.stem, *self.fea.trunk.stages]

    def features(self, x: Tensor) -> Tensor:
        out = self.fea(x)
        stripes = F.normalize(out["stripes"], dim=2).flatten(1)
        views = [F.normalize(view, dim=1) for view in (out["neck"], out["embedding"], stripes)]
        # As long as a batch-normed vector, so that training sees numbers of the same size from every network.
        return torch.cat(views, 1) * (self.channels / len(views)) ** 0.5


class _Pool(nn.Module):
    """A pooling as a module, where a network wants one."""

    def __init__(self, pooling: str) -> None:
        super().__init__()
        self.pool = POOLINGS[pooling]

    def forward(self, maps: Tensor) -> Tensor:
        return self.pool(maps)
