"""Norms, their ReLU and what a residual block adds, in one pass over bfloat16 maps, for training on processors.

A training step of a small network spends two thirds of its time outside convolutions: each norm, ReLU and addition
reads and writes its whole map anew, several times over on the way back. Here a norm reads its map twice and writes it
once, and on the way back three maps twice and one once: the trunk's steps take two thirds of the time. Needs numba;
without it, or in float32, networks train as they are.

Batch norm: Ioffe and Szegedy, ICML 2015. Instance norm: Ulyanov, Vedaldi and Lempitsky, 2016.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numba as nb
import numpy as np
import torch
from llvmlite import ir
from numba.extending import intrinsic
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from models import blocks, trunk
from models.gpn.fea_net import FeaNet


@intrinsic
def _float_of(context: Any, bits: Any) -> Any:
    """The float32 of 32 bits."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return nb.float32(nb.uint32), build


@intrinsic
def _bits_of(context: Any, number: Any) -> Any:
    """The 32 bits of a float32."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return nb.uint32(nb.float32), build


@nb.njit(inline="always")
def _load(half: Any) -> Any:
    return _float_of(nb.uint32(half) << nb.uint32(16))  # type: ignore[call-arg]


@nb.njit(inline="always")
def _store(number: Any) -> Any:
    """Rounded to the nearest bfloat16, halves to even."""
    bits: Any = _bits_of(nb.float32(number))  # type: ignore[call-arg]
    return nb.uint16((bits + nb.uint32(0x7FFF) + ((bits >> nb.uint32(16)) & nb.uint32(1))) >> nb.uint32(16))


_compiled = nb.njit(parallel=True, fastmath={"contract", "nsz"}, cache=True)


@_compiled
def _sums(x: np.ndarray, total: np.ndarray, squares: np.ndarray) -> None:
    """Sums over places of x and of its squares: x (N, P, C) as bits -> (N, C) each."""
    n, places, channels = x.shape
    for i in nb.prange(n):
        for p in range(places):
            for c in range(channels):
                value = _load(x[i, p, c])
                total[i, c] += value
                squares[i, c] += value * value


@_compiled
def _apply(
    x: np.ndarray, scale: np.ndarray, shift: np.ndarray, added: np.ndarray, adds: bool, relu: bool, y: np.ndarray
) -> None:
    """y = x scale + shift (+ added), none below zero where `relu`."""
    n, places, channels = x.shape
    low = np.float32(0) if relu else np.float32(-np.inf)
    for i in nb.prange(n):
        for p in range(places):
            if adds:
                for c in range(channels):
                    value = _load(x[i, p, c]) * scale[i, c] + shift[i, c] + _load(added[i, p, c])
                    y[i, p, c] = _store(max(value, low))
            else:
                for c in range(channels):
                    value = _load(x[i, p, c]) * scale[i, c] + shift[i, c]
                    y[i, p, c] = _store(max(value, low))


@_compiled
def _sums_back(
    x: np.ndarray, y: np.ndarray, dy: np.ndarray, relu: bool, total: np.ndarray, products: np.ndarray
) -> None:
    """Sums over places of what comes back, and of it times x."""
    n, places, channels = x.shape
    for i in nb.prange(n):
        for p in range(places):
            for c in range(channels):
                back = _load(dy[i, p, c])
                if relu and y[i, p, c] == 0:
                    back = np.float32(0)
                total[i, c] += back
                products[i, c] += back * _load(x[i, p, c])


@_compiled
def _apply_back(
    x: np.ndarray,
    y: np.ndarray,
    dy: np.ndarray,
    relu: bool,
    of_back: np.ndarray,
    of_x: np.ndarray,
    constant: np.ndarray,
    adds: bool,
    dx: np.ndarray,
    d_added: np.ndarray,
) -> None:
    """dx = dz of_back + x of_x + constant, where dz is dy but for what ReLU cut off; dz is also what `added` gets."""
    n, places, channels = x.shape
    for i in nb.prange(n):
        for p in range(places):
            for c in range(channels):
                back = _load(dy[i, p, c])
                if relu and y[i, p, c] == 0:
                    back = np.float32(0)
                dx[i, p, c] = _store(back * of_back[i, c] + _load(x[i, p, c]) * of_x[i, c] + constant[i, c])
            if adds:
                for c in range(channels):
                    d_added[i, p, c] = np.uint16(0) if relu and y[i, p, c] == 0 else dy[i, p, c]


def _bits(x: Tensor) -> np.ndarray:
    """A bfloat16 map (N, C, H, W), channels last in memory, as (N, H W, C) uint16; shares memory."""
    n, channels, height, width = x.shape
    bits: np.ndarray = x.detach().permute(0, 2, 3, 1).view(torch.uint16).numpy()
    return bits.reshape(n, height * width, channels)


@_compiled
def _summary(x: np.ndarray, rows: int, cubes: np.ndarray, means: np.ndarray, most: np.ndarray, at: np.ndarray) -> None:
    """Mean cube (N, C), mean of each of S stripes of `rows` places (N, S, C), maximum (N, C) and its first place."""
    n, places, channels = x.shape
    for i in nb.prange(n):
        for p in range(places):
            stripe = p // rows
            for c in range(channels):
                value = _load(x[i, p, c])
                cubes[i, c] += value * value * value
                means[i, stripe, c] += value
                if value > most[i, c]:
                    most[i, c] = value
                    at[i, c] = p
        for c in range(channels):
            cubes[i, c] /= places
        for stripe in range(means.shape[1]):
            for c in range(channels):
                means[i, stripe, c] /= rows


@_compiled
def _summary_back(
    x: np.ndarray,
    rows: int,
    d_cubes: np.ndarray,
    d_means: np.ndarray,
    d_most: np.ndarray,
    at: np.ndarray,
    dx: np.ndarray,
) -> None:
    n, places, channels = x.shape
    for i in nb.prange(n):
        for p in range(places):
            stripe = p // rows
            for c in range(channels):
                value = _load(x[i, p, c])
                back = np.float32(3) * value * value * d_cubes[i, c] / places + d_means[i, stripe, c] / rows
                if at[i, c] == p:
                    back += d_most[i, c]
                dx[i, p, c] = _store(back)


def _map(like: Tensor) -> Tensor:
    """An empty bfloat16 map of the same shape, channels last in memory."""
    n, channels, height, width = like.shape
    # No permuted view: what comes after may write into it.
    return torch.empty((n, channels, height, width), dtype=torch.bfloat16, memory_format=torch.channels_last)


def _last(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)


class _Norm(torch.autograd.Function):
    """A map (N, C, H, W) normalised, scaled, shifted, added to and cut off at zero; mean and deviation^-1, (N, C) each.

    The first `instanced` channels are normalised by picture. The others go by the batch, or by `known`: mean and
    deviation^-1, (C - instanced,) each, which then are constants.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        instanced: int,
        known: tuple[Tensor, Tensor] | None,
        eps: float,
        added: Tensor | None,
        relu: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        nb.set_num_threads(min(torch.get_num_threads(), nb.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
        x = _last(x)
        n, channels, height, width = x.shape
        mean, rstd = torch.zeros(n, channels), torch.ones(n, channels)
        if known is None or instanced:
            total, squares = np.zeros((n, channels), np.float32), np.zeros((n, channels), np.float32)
            _sums(_bits(x), total, squares)
            means, powers = (torch.from_numpy(s).double() / (height * width) for s in (total, squares))
            means[:, instanced:], powers[:, instanced:] = means[:, instanced:].mean(0), powers[:, instanced:].mean(0)
            mean, rstd = means.float(), ((powers - means.square()).clamp(min=0) + eps).rsqrt().float()
        if known is not None:
            mean[:, instanced:], rstd[:, instanced:] = known
        scale = weight * rstd
        shift = bias - mean * scale
        there, added = _bits(x), None if added is None else _last(added)
        y = _map(x)
        more = there if added is None else _bits(added)
        _apply(there, scale.numpy(), shift.numpy(), more, added is not None, relu, _bits(y))
        # Without a ReLU nobody looks at what came out, and it may be written over.
        ctx.save_for_backward(x, y if relu else x, weight, mean, rstd)
        ctx.instanced, ctx.known, ctx.adds, ctx.relu = instanced, known is not None, added is not None, relu
        ctx.mark_non_differentiable(mean, rstd)
        return y, mean, rstd

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, *unused: Any) -> tuple[Tensor | None, ...]:
        x, y, weight, mean, rstd = ctx.saved_tensors
        n, channels, height, width = x.shape
        there, out, back = _bits(x), _bits(y), _bits(_last(dy))
        total, products = np.zeros((n, channels), np.float32), np.zeros((n, channels), np.float32)
        _sums_back(there, out, back, ctx.relu, total, products)
        first = torch.from_numpy(total)
        second = rstd * (torch.from_numpy(products) - mean * first)  # of what comes back times x normalised
        d_weight, d_bias = second.sum(0), first.sum(0)
        first, second = first / (height * width), second / (height * width)
        by_batch = slice(ctx.instanced, None)
        first[:, by_batch] = 0 if ctx.known else first[:, by_batch].mean(0)
        second[:, by_batch] = 0 if ctx.known else second[:, by_batch].mean(0)
        of_back = weight * rstd
        of_x = -of_back * rstd * second
        constant = -of_back * first - mean * of_x
        dx, d_added = _map(x), _map(x) if ctx.adds else None
        _apply_back(
            there,
            out,
            back,
            ctx.relu,
            of_back.numpy(),
            of_x.numpy(),
            constant.numpy(),
            ctx.adds,
            _bits(dx),
            _bits(dx if d_added is None else d_added),
        )
        return dx, d_weight, d_bias, None, None, None, d_added, None


class _Summary(torch.autograd.Function):
    """What `FeaNet.summary` says of a map, but for the root: mean cube (N, C), stripes (N, C, S), maximum (N, C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stripes: int) -> tuple[Tensor, Tensor, Tensor]:
        x = _last(x)
        n, channels, height, width = x.shape
        cubes, most = np.zeros((n, channels), np.float32), np.full((n, channels), -np.inf, np.float32)
        means, at = np.zeros((n, stripes, channels), np.float32), np.zeros((n, channels), np.int32)
        _summary(_bits(x), height * width // stripes, cubes, means, most, at)
        ctx.save_for_backward(x)
        ctx.at, ctx.rows = at, height * width // stripes
        return torch.from_numpy(cubes), torch.from_numpy(means).transpose(1, 2), torch.from_numpy(most)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_cubes: Tensor, d_means: Tensor, d_most: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        dx = _map(x)
        cubes, means, most = (d.contiguous().numpy() for d in (d_cubes, d_means.transpose(1, 2), d_most))
        _summary_back(_bits(x), ctx.rows, cubes, means, most, ctx.at, _bits(dx))
        return dx, None


def _serves(x: Tensor) -> bool:
    return x.dtype == torch.bfloat16 and x.device.type == "cpu" and torch.is_grad_enabled()


def _finish(x: Tensor, added: Tensor | None, relu: bool) -> Tensor:
    x = x if added is None else x + added
    return x.relu() if relu else x


def _batch_part(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor] | None:
    """What a batch norm goes by where it does not go by the batch."""
    if norm.training:
        return None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, (norm.running_var + norm.eps).rsqrt()


@torch.no_grad()
def _remember(norm: nn.BatchNorm2d, mean: Tensor, rstd: Tensor, count: int) -> None:
    """Move a batch norm's statistics towards a batch's, (C,) each, of `count` values a channel."""
    if not norm.training:
        return
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    variance = (rstd.pow(-2) - norm.eps) * (count / max(count - 1, 1))
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance, norm.momentum)


class FastBatchNorm(nn.BatchNorm2d):
    """Batch norm that adds a map and cuts off at zero where it is told to."""

    relu = False

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        if not _serves(x):
            return _finish(super().forward(x), added, self.relu)
        y: Tensor
        y, mean, rstd = _Norm.apply(x, self.weight, self.bias, 0, _batch_part(self), self.eps, added, self.relu)
        _remember(self, mean[0], rstd[0], x.numel() // x.shape[1])
        return y


class FastInstanceBatchNorm(trunk.InstanceBatchNorm):
    """The same of instance-batch norm."""

    relu = False

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        if not _serves(x):
            return _finish(super().forward(x), added, self.relu)
        weight = torch.cat([self.instance.weight, self.batch.weight])
        bias = torch.cat([self.instance.bias, self.batch.bias])
        y: Tensor
        y, mean, rstd = _Norm.apply(
            x, weight, bias, self.instanced, _batch_part(self.batch), self.batch.eps, added, self.relu
        )
        _remember(self.batch, mean[0, self.instanced :], rstd[0, self.instanced :], x.numel() // x.shape[1])
        return y


class FastTrunkResidual(trunk.Residual):
    """The trunk's block; the last norm of its branch adds the shortcut."""

    def forward(self, x: Tensor) -> Tensor:
        *layers, last = self.branch
        y = x
        for layer in layers:
            y = layer(y)
        out: Tensor = last(y, self.shortcut(x))
        return out


class FastConvNorm(blocks.ConvNorm):
    """Convolution and norm; the norm cuts off at zero."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(x))
        return out


class FastResidual(blocks.Residual):
    """The block of networks that see frames; its last norm adds the shortcut."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second.norm(self.second.conv(self.first(x)), self.shortcut(x))
        return out


class FastFeaNet(FeaNet):
    """FEA NET; its maps are summed up in one pass."""

    def summary(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p = float(self.pool.p)
        if not _serves(x) or p != 3 or x.shape[2] % self.n_stripes:
            return super().summary(x)
        cubes, stripes, most = _Summary.apply(x, self.n_stripes)
        return cubes.clamp(min=self.pool.eps**p).pow(1 / p), stripes, most


_FAST: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm2d: FastBatchNorm,
    trunk.InstanceBatchNorm: FastInstanceBatchNorm,
    trunk.Residual: FastTrunkResidual,
    blocks.ConvNorm: FastConvNorm,
    blocks.Residual: FastResidual,
    FeaNet: FastFeaNet,
}


def quicken(network: nn.Module) -> None:
    """Let a network train with these norms: its parts change their class in place, its weights and their names stay."""
    for module in network.modules():
        module.__class__ = _FAST.get(type(module), type(module))
    modules = list(network.modules())
    for module in modules:
        if isinstance(module, FastConvNorm) and not module.linear:
            _cut_off(module.norm)
        elif isinstance(module, FastTrunkResidual):
            _cut_off(module.branch[-1])
        elif isinstance(module, FastResidual):
            _cut_off(module.second.norm)
        elif isinstance(module, nn.Sequential):
            for i, (one, following) in enumerate(pairwise(list(module))):
                if isinstance(one, FastBatchNorm | FastInstanceBatchNorm) and isinstance(following, nn.ReLU):
                    _cut_off(one)
                    module[i + 1] = nn.Identity()


def _cut_off(norm: nn.Module) -> None:
    assert isinstance(norm, FastBatchNorm | FastInstanceBatchNorm)
    norm.relu = True
