"""From a trunk's map to one vector, by the poolings of image retrieval; each takes (N, C, H, W) and gives (N, C)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

GEM_POWER = 3.0
"""Between the average (1) and the maximum (infinity); what training usually ends near when it is free."""

RMAC_LEVELS = 3


def average(maps: Tensor) -> Tensor:
    """The mean over the picture."""
    return maps.mean((2, 3))


def mac(maps: Tensor) -> Tensor:
    """Maximum activations of convolutions: Tolias et al., "Particular Object Retrieval with Integral Max-Pooling of
    CNN Activations", ICLR 2016."""
    return maps.amax((2, 3))


def gem(maps: Tensor, eps: float = 1e-6) -> Tensor:
    """Generalised mean of non-negative maps: Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human
    Annotation", TPAMI 2019. The power is fixed: learning it moves accuracy little and costs a step much."""
    return maps.clamp(min=eps).pow(GEM_POWER).mean((2, 3)).pow(1 / GEM_POWER)


def rmac(maps: Tensor) -> Tensor:
    """Regional maximum activations, each of unit length, summed: Tolias et al., ICLR 2016 (as for `mac`)."""
    height, width = maps.shape[2:]
    regions = [maps[:, :, y : y + side, x : x + side] for y, x, side in _regions(height, width)]
    return torch.stack([F.normalize(mac(region), dim=1) for region in regions]).sum(0)


def _regions(height: int, width: int, overlap: float = 0.4) -> Iterator[tuple[int, int, int]]:
    """Squares (top, left, side) on a grid a level, finer each time; neighbours share about `overlap` of a side."""
    short, long = sorted((height, width))
    for level in range(1, RMAC_LEVELS + 1):
        side = max(1, 2 * short // (level + 1))
        # Along the longer side so many more, as keep the overlap.
        more = round((long - short) / max(side * (1 - overlap), 1))
        rows, columns = (level, level + more) if height <= width else (level + more, level)
        for y in _starts(height, side, rows):
            for x in _starts(width, side, columns):
                yield y, x, side


def _starts(length: int, side: int, count: int) -> list[int]:
    """Where `count` stretches of `side` begin so that they cover `length` evenly."""
    room = length - side
    return [room // 2] if count == 1 else [room * i // (count - 1) for i in range(count)]


POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {"gem": gem, "mac": mac, "rmac": rmac, "average": average}
"""By the names they are chosen by."""
