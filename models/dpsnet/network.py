"""DPSNet: a sparse local path and a context path, each with its own view of the picture, joined by a fusion head.

In the line of two-path networks (Yu et al., "BiSeNet", ECCV 2018), with a local path that is computed only where the
picture has detail; where it has none, the context alone decides, as in Kirillov et al., "PointRend: Image Segmentation
as Rendering", CVPR 2020.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from models.blocks import fuse
from models.dpsnet.context_path import ContextPath
from models.dpsnet.sparse import Rulebook, Sites, SparseConv2d, active_sites

CELL = 4
"""The local path's stride in pixels; the context path's features are half as fine."""


@dataclass(frozen=True)
class DPSNetConfig:
    """Shape of the network.

    Attributes:
        classes: labels.
        local: channels of the local path and of the fusion head.
        blocks: residual blocks of the local path.
        channels, depths: of the context path, see `ContextPath`.
        width: channels of the context path's features.
        active: share of the cells that the local path is computed at.
    """

    classes: int = 11
    local: int = 64
    blocks: int = 2
    channels: tuple[int, int, int, int] = (32, 64, 128, 256)
    depths: tuple[int, int, int] = (2, 2, 1)
    width: int = 96
    active: float = 0.25


@dataclass(frozen=True)
class Grid:
    """Where the local path is computed: its sites and the two rulebooks that all its layers share; None if dense."""

    sites: Sites
    stem: Rulebook | None
    inner: Rulebook | None

    @classmethod
    def of(cls, picture: Tensor, fraction: float, dense: bool) -> Grid:
        shape = (picture.shape[0], picture.shape[2] // CELL, picture.shape[3] // CELL)
        if dense:
            return cls(Sites.all(shape, picture.device), None, None)
        sites = active_sites(picture, CELL, fraction)
        return cls(sites, Rulebook(Sites.all(shape, picture.device), sites), Rulebook(sites, sites))


class LocalBlock(nn.Module):
    """Two convolutions added to their shortcut, each behind a norm.

    Layer norm, site by site: what a site gets does not hang on which others are active, so that one set of weights
    serves any share of them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        first, second = SparseConv2d(channels, channels), SparseConv2d(channels, channels)
        nn.init.zeros_(second.weight)  # a block starts as its shortcut
        self.convs = nn.ModuleList([first, second])

    def forward(self, x: Tensor, rulebook: Rulebook | None) -> Tensor:
        y = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv(F.relu_(norm(y)), rulebook)
        return x + y


class LocalPath(nn.Module):
    """Detail at a quarter of the picture's size, at active sites alone.

    Input (N, 3, H, W), normalised, H and W multiples of 4, and its grid. Output: a table (M, C) for a sparse grid, a
    map (N, H/4, W/4, C) for a dense one.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.stem = SparseConv2d(3 * CELL * CELL, channels)
        self.blocks = nn.ModuleList(LocalBlock(channels) for _ in range(blocks))

    def forward(self, picture: Tensor, grid: Grid) -> Tensor:
        x = _cells(picture)
        x = self.stem(x.flatten(0, 2) if grid.stem else x, grid.stem)
        for block in self.blocks:
            x = block(x, grid.inner)
        return x


class Fusion(nn.Module):
    """Joins the paths at the local path's sites: what is to be added to the context path's logits there.

    Each feature of the context stands for two by two sites and gives each of them a share of its own.
    """

    def __init__(self, local: int, context: int, classes: int) -> None:
        super().__init__()
        self.spread = nn.Linear(context, 4 * local)
        self.norm_local, self.norm, self.norm_last = (nn.LayerNorm(local) for _ in range(3))
        self.project = nn.Linear(local, local)
        self.conv = SparseConv2d(local, local)
        self.classify = nn.Linear(local, classes)

    def forward(self, local: Tensor, context: Tensor, grid: Grid) -> Tensor:
        n, _, height, width = context.shape
        spread = self.spread(context.permute(0, 2, 3, 1))  # (N, H/8, W/8, 4 C)
        if grid.inner is None:
            spread = spread.view(n, height, width, 2, 2, -1).transpose(2, 3).reshape(n, 2 * height, 2 * width, -1)
        else:
            picture, y, x = grid.sites.places
            rows = (((picture * height + y // 2) * width + x // 2) * 2 + y % 2) * 2 + x % 2
            spread = spread.view(n * height * width * 4, -1).index_select(0, rows)
        joined = spread + self.project(F.relu_(self.norm_local(local)))
        joined = joined + self.conv(F.relu_(self.norm(joined)), grid.inner)
        return self.classify(F.relu_(self.norm_last(joined)))


class DPSNet(nn.Module):
    """Pictures -> logits a class.

    Input (N, 3, H, W), normalised, H and W multiples of 8. Output, a dict: `logits` (N, classes, H/4, W/4), `context`
    (N, width, H/8, W/8), what the context path makes of the scene. In training also what auxiliary losses need:
    `coarse` (N, classes, H/8, W/8), `middle` at 1/16, `wide` at 1/32 (both rounded up), `local` (M, classes), what the
    local path alone says at its sites, and `sites`, their int64 index on the (N, H/4, W/4) grid.

    Args:
        dense: compute the local path everywhere, by dense convolution: the twin that sparsity is measured against.
    """

    def __init__(self, config: DPSNetConfig | None = None, dense: bool = False) -> None:
        super().__init__()
        self.config = config = config or DPSNetConfig()
        self.dense = dense
        self.local = LocalPath(config.local, config.blocks)
        self.context = ContextPath(config.channels, config.depths, config.width)
        self.coarse = nn.Conv2d(config.width, config.classes, 1)
        self.fusion = Fusion(config.local, config.width, config.classes)

    def forward(
        self, picture: Tensor, fraction: float | None = None, autocast: AbstractContextManager[Any] | None = None
    ) -> dict[str, Tensor]:
        """Pictures -> the class's dict.

        Args:
            fraction: share of active sites, by default that of the configuration.
            autocast: numbers that the context path computes with; what leaves it is in the picture's own again. In
                bfloat16 the local path's gathering would win little over its dense twin.
        """
        if picture.ndim != 4 or picture.shape[1] != 3 or picture.shape[2] % 8 or picture.shape[3] % 8:
            raise ValueError(f"DPSNet takes (N, 3, H, W) with H and W multiples of 8, not {tuple(picture.shape)}")
        grid = Grid.of(picture, self.config.active if fraction is None else fraction, self.dense)
        local = self.local(picture, grid)
        with autocast or nullcontext():
            context, middle, wide = (x.to(picture.dtype) for x in self.context(picture))
        coarse = self.coarse(context)
        detail = self.fusion(local, context, grid).reshape(-1, self.config.classes)
        logits = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        n, classes, height, width = logits.shape
        detail = detail.to(logits.dtype)  # under autocast a GPU interpolates in single precision
        table = logits.permute(0, 2, 3, 1).reshape(-1, classes).index_add(0, grid.sites.index, detail)
        out = {"logits": table.view(n, height, width, classes).permute(0, 3, 1, 2), "context": context}
        if self.training:
            out |= {"coarse": coarse, "middle": middle, "wide": wide, "local": local.reshape(-1, local.shape[-1])}
            out["sites"] = grid.sites.index
        return out

    def fuse(self) -> DPSNet:
        """Fold each batch norm into its convolution, for inference alone."""
        fuse(self)
        return self


class AuxiliaryHeads(nn.Module):
    """Classifiers that only training needs: on 1/16, on 1/32, and on the local path alone."""

    def __init__(self, config: DPSNetConfig) -> None:
        super().__init__()
        self.middle = nn.Conv2d(config.channels[2], config.classes, 1)
        self.wide = nn.Conv2d(config.channels[3], config.classes, 1)
        self.local = nn.Sequential(nn.LayerNorm(config.local), nn.ReLU(), nn.Linear(config.local, config.classes))

    def forward(self, out: dict[str, Tensor]) -> dict[str, Tensor]:
        """Logits by the name of what they were read from: maps for `middle` and `wide`, a table for `local`."""
        return {name: getattr(self, name)(out[name]) for name in ("middle", "wide", "local")}


def _cells(picture: Tensor) -> Tensor:
    """(N, 3, H, W) -> (N, H/4, W/4, 48): the pixels of each cell side by side."""
    n, channels, height, width = picture.shape
    cut = picture.view(n, channels, height // CELL, CELL, width // CELL, CELL)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(n, height // CELL, width // CELL, -1)
