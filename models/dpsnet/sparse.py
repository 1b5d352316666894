"""Sparse convolution: computed only where a picture has something to see.

Features of the active sites lie in one compact table (sites, channels). A rulebook says for every output site which
rows of the input table its window covers. A convolution then is: gather these rows, one matrix product, and the result
is the next table; only the last layer's table is scattered into a map. Where inputs and outputs are the same sites, so
that activity never spreads, this is the submanifold convolution of Graham, Engelcke and van der Maaten, "3D Semantic
Segmentation with Submanifold Sparse Convolutional Networks", CVPR 2018. One rulebook serves every layer of its shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Sites:
    """Active places on the grid of a batch.

    Attributes:
        index: (M,) int64, ascending and without repeats: (n H + y) W + x.
        shape: N, H and W of the grid.
    """

    index: Tensor
    shape: tuple[int, int, int]

    @classmethod
    def all(cls, shape: tuple[int, int, int], device: torch.device | None = None) -> Sites:
        """Every place of a grid."""
        n, height, width = shape
        return cls(torch.arange(n * height * width, device=device), shape)

    @classmethod
    def where(cls, mask: Tensor) -> Sites:
        """The places where a mask (N, H, W) is true."""
        if mask.ndim != 3:
            raise ValueError(f"a mask of sites is (N, H, W), not {tuple(mask.shape)}")
        n, height, width = mask.shape
        return cls(mask.flatten().nonzero().squeeze(1), (n, height, width))

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def places(self) -> tuple[Tensor, Tensor, Tensor]:
        """Picture, row and column of every site, each (M,)."""
        _, height, width = self.shape
        row = self.index // width
        return row // height, row % height, self.index % width

    def gather(self, x: Tensor) -> Tensor:
        """Rows of a map (N, C, H, W) at the sites: (M, C)."""
        n, height, width = self.shape
        if x.ndim != 4 or (x.shape[0], *x.shape[2:]) != self.shape:
            raise ValueError(f"sites on a grid {self.shape} take (N, C, H, W) of that grid, not {tuple(x.shape)}")
        return x.permute(0, 2, 3, 1).reshape(n * height * width, -1).index_select(0, self.index)

    def scatter(self, features: Tensor) -> Tensor:
        """A table (M, C) as a map (N, C, H, W) that is zero at all other places; channels last in memory."""
        n, height, width = self.shape
        if features.ndim != 2 or len(features) != len(self):
            raise ValueError(f"{len(self)} sites take as many rows, not {tuple(features.shape)}")
        table = features.new_zeros(n * height * width, features.shape[1]).index_copy(0, self.index, features)
        return table.view(n, height, width, -1).permute(0, 3, 1, 2)


def active_sites(picture: Tensor, stride: int, fraction: float) -> Sites:
    """The cells of a picture that hold most gradient energy, in each picture of a batch as many.

    The choice rests on the picture alone, not on what a network makes of it.

    Args:
        picture: (N, C, H, W), H and W multiples of `stride`.
        stride: side of a cell in pixels.
        fraction: share of the cells that is active, 0..1.
    """
    if picture.ndim != 4 or picture.shape[2] % stride or picture.shape[3] % stride:
        raise ValueError(f"sites are chosen in (N, C, H, W) with H and W multiples of {stride}: {tuple(picture.shape)}")
    if not 0 <= fraction <= 1:
        raise ValueError(f"the share of active sites lies in 0..1, not {fraction}")
    n, height, width = picture.shape[0], picture.shape[2] // stride, picture.shape[3] // stride
    if fraction == 1:
        return Sites.all((n, height, width), picture.device)
    with torch.no_grad():
        grey = sum(picture.unbind(1))[:, None]  # type: ignore[index]  # a mean over channels that lie last is slow
        energy = torch.zeros_like(grey)
        energy[..., :, :-1] += (grey[..., :, 1:] - grey[..., :, :-1]).square()
        energy[..., :-1, :] += (grey[..., 1:, :] - grey[..., :-1, :]).square()
        cells = F.avg_pool2d(energy, stride).flatten(1)  # (N, cells)
        count = round(fraction * cells.shape[1])
        best = cells.topk(count, sorted=False).indices.sort(1).values
        first = torch.arange(n, device=picture.device)[:, None] * cells.shape[1]
        return Sites((best + first).flatten(), (n, height, width))


@dataclass(frozen=True)
class Rulebook:
    """Which rows of an input table the window of every output site covers.

    Attributes:
        inputs, outputs: the sites on both sides of a convolution.
        kernel: side of the window. stride: input cells an output cell; the window is centred ("same" padding).
        rules: (M out, kernel^2) int64 rows of the input table; M in where the window covers no active site.
    """

    inputs: Sites
    outputs: Sites
    kernel: int = 3
    stride: int = 1
    rules: Tensor = field(init=False)

    def __post_init__(self) -> None:
        n, height, width = self.inputs.shape
        out = (n, -(-height // self.stride), -(-width // self.stride))
        if self.kernel % 2 == 0:
            raise ValueError(f"the window of a sparse convolution has an odd side, not {self.kernel}")
        if self.outputs.shape != out:
            raise ValueError(f"stride {self.stride} takes {self.inputs.shape} to {out}, not {self.outputs.shape}")
        object.__setattr__(self, "rules", self._look_up())

    def _look_up(self) -> Tensor:
        n, height, width = self.inputs.shape
        pad, stride = self.kernel // 2, self.stride
        # A margin of "nothing" around the grid spares every check of its edges.
        rows, columns = height + 2 * pad, width + 2 * pad
        device = self.inputs.index.device
        table = torch.full((n * rows * columns,), len(self.inputs), device=device)
        picture, y, x = self.inputs.places
        table[(picture * rows + y + pad) * columns + x + pad] = torch.arange(len(self.inputs), device=device)
        picture, y, x = self.outputs.places
        corner = (picture * rows + y * stride) * columns + x * stride
        window = torch.arange(self.kernel, device=device)
        offsets = (window[:, None] * columns + window).flatten()
        places = corner[:, None] + offsets
        return table.index_select(0, places.flatten()).view(places.shape)

    @cached_property
    def reverse(self) -> Tensor:
        """(M in, kernel^2): the output row whose window holds an input site at each offset; M out for none."""
        count = len(self.outputs)
        rules = self.rules
        reverse = rules.new_full((len(self.inputs) + 1, rules.shape[1]), count)
        # A site is at one offset of one window at most, so no two writes meet but those to the last row, of nothing.
        reverse.scatter_(0, rules, torch.arange(count, device=rules.device)[:, None].expand_as(rules))
        return reverse[:-1]


# Windows of so many sites are gathered at a time: 64 channels of them stay in a core's second-level cache until they
# are multiplied, which makes a layer half as fast again as gathering all first.
CHUNK = 512


def _windows(table: Tensor, rules: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """(M, C) and rules (M', K) -> chunks (m, K C) of the rows side by side, zeros for row M, each with its place."""
    padded = torch.cat([table, table.new_zeros(1, table.shape[1])])
    count, window = rules.shape
    most = CHUNK if table.device.type == "cpu" else max(1, count)
    buffer = table.new_empty(min(most, count) * window, table.shape[1])
    for start in range(0, count, most):
        place = slice(start, min(start + most, count))
        chunk = buffer[: (place.stop - start) * window]
        torch.index_select(padded, 0, rules[place].flatten(), out=chunk)
        yield place, chunk.view(place.stop - start, -1)


def _product(table: Tensor, rules: Tensor, matrix: Tensor) -> Tensor:
    """Windows times a matrix (K C, O): (M', O)."""
    out = table.new_empty(len(rules), matrix.shape[1])
    for place, windows in _windows(table, rules):
        torch.mm(windows, matrix, out=out[place])
    return out


class _Convolve(torch.autograd.Function):
    """Both directions gather: a gradient goes back by the reversed rulebook, without a scatter that adds."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
        ctx.rulebook = rulebook
        ctx.save_for_backward(features, weight)
        rows = weight.permute(0, 2, 3, 1).reshape(weight.shape[0], -1)  # (O, K C); free if channels lie last
        return _product(features, rulebook.rules, rows.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, weight = ctx.saved_tensors
        out, channels, height, width = weight.shape
        grad_features = grad_weight = None
        if ctx.needs_input_grad[0]:
            columns = weight.permute(2, 3, 0, 1).reshape(-1, channels)  # (K O, C)
            grad_features = _product(grad, ctx.rulebook.reverse, columns)
        if ctx.needs_input_grad[1]:
            # Sums are in single precision, whatever the rest is.
            rows = grad.new_zeros(out, height * width * channels, dtype=torch.float32)
            for place, windows in _windows(features, ctx.rulebook.rules):  # gathered again: cheaper than keeping them
                rows += grad[place].T @ windows
            grad_weight = rows.view(out, height, width, channels).permute(0, 3, 1, 2).to(weight.dtype)
        return grad_features, grad_weight, None


class SparseConv2d(nn.Module):
    """A convolution over a table of sites, or over a whole map; the weight (O, I, k, k) is that of `nn.Conv2d`.

    With a rulebook: (M in, I) -> (M out, O). Without: (N, H, W, I) -> (N, H', W', O), every site active. Where all
    sites are active both give the same numbers.
    """

    def __init__(self, channels_in: int, channels: int, kernel: int = 3, stride: int = 1, bias: bool = False) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.weight = nn.Parameter(torch.empty(channels, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor, rulebook: Rulebook | None = None) -> Tensor:
        channels = self.weight.shape[1]
        if rulebook is None:
            if x.ndim != 4 or x.shape[3] != channels:
                raise ValueError(f"without a rulebook a layer takes (N, H, W, {channels}), not {tuple(x.shape)}")
            dense = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, self.stride, self.kernel // 2)
            return dense.permute(0, 2, 3, 1)
        if (rulebook.kernel, rulebook.stride) != (self.kernel, self.stride):
            raise ValueError(
                f"a layer of kernel {self.kernel} and stride {self.stride} got the rulebook of another: "
                f"{rulebook.kernel} and {rulebook.stride}"
            )
        if x.shape != (len(rulebook.inputs), channels):
            raise ValueError(f"the rulebook takes ({len(rulebook.inputs)}, {channels}), not {tuple(x.shape)}")
        weight: Tensor = self.weight
        kind = x.device.type
        if torch.is_autocast_enabled(kind):
            x, weight = (t.to(torch.get_autocast_dtype(kind)) for t in (x, weight))
        out = _Convolve.apply(x, weight, rulebook)
        return out if self.bias is None else out + self.bias
