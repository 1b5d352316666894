"""Position-sensitive score maps: every map knows one part of an object, and a region asks each part where it belongs.

Dai et al., "R-FCN: Object Detection via Region-based Fully Convolutional Networks", NeurIPS 2016: all learnt layers are
convolutions over the whole frame; what is left to do for a region is to average.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import ps_roi_align


class ScoreMaps(nn.Module):
    """Maps of a pyramid -> for each, position-sensitive maps of the classes and of the box.

    Args:
        channels: of the pyramid's maps.
        n_classes: classes, background included.
        grid: parts a side, k; k * k maps a class, and 4 * k * k for the box, whatever its class.
    """

    def __init__(self, channels: int, n_classes: int, grid: int) -> None:
        super().__init__()
        self.n_classes, self.grid = n_classes, grid
        self.hidden = nn.Conv2d(channels, channels, 3, padding=1)
        self.maps = nn.Conv2d(channels, (n_classes + 4) * grid * grid, 1)
        nn.init.kaiming_normal_(self.hidden.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.maps.weight, std=0.02)
        for layer in (self.hidden, self.maps):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, pyramid: Sequence[Tensor]) -> list[Tensor]:
        """Each (N, C, h, w) -> (N, (classes + 4) * k * k, h, w)."""
        return [self._maps(F.relu_(self.hidden(x))) for x in pyramid]

    def _maps(self, x: Tensor) -> Tensor:
        """`self.maps`, channel after channel in memory, where the operator that reads them wants them."""
        if torch.is_grad_enabled():
            return self.maps(x)
        assert self.maps.bias is not None
        weight = self.maps.weight.flatten(1).expand(len(x), -1, -1)
        maps = torch.baddbmm(self.maps.bias[:, None], weight, x.flatten(2))
        return maps.view(len(x), -1, *x.shape[2:])

    def read(
        self, maps: Sequence[Tensor], regions: Sequence[Tensor], strides: Sequence[int], limits: Sequence[float]
    ) -> tuple[Tensor, Tensor]:
        """What the maps say of regions: each part is read in its cell of the region, and the parts vote.

        Args:
            maps: what `forward` gave.
            regions: for each picture (R_i, 4) XYXY in pixels.
            strides: pixels a cell of each map.
            limits: a region is read from map i if the square root of its area lies below limits[i], else further on.

        Returns:
            Logits (R, classes) and box deltas (R, 4) of all regions, picture by picture.
        """
        sizes = [len(r) for r in regions]
        owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
        boxes = torch.cat([owner[:, None].float(), torch.cat(list(regions)).float()], 1)  # (R, 5)
        side = ((boxes[:, 3] - boxes[:, 1]) * (boxes[:, 4] - boxes[:, 2])).clamp(min=0).sqrt()
        level = torch.bucketize(side, torch.tensor(list(limits)), right=True)
        votes = boxes.new_zeros(len(boxes), self.n_classes + 4)
        for i, (x, stride) in enumerate(zip(maps, strides, strict=True)):
            here = torch.nonzero(level == i)[:, 0]
            if len(here):
                # The operator has no kernel for half precision on the processor.
                parts = ps_roi_align(x.float(), boxes[here], self.grid, 1 / stride, 2)
                votes = votes.index_copy(0, here, parts.mean((2, 3)))
        return votes[:, : self.n_classes], votes[:, self.n_classes :]
