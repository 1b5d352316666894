"""Building blocks of the networks that see whole frames: convolutions whose norm folds away for inference."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval


class ConvNorm(nn.Module):
    """Convolution, batch norm and, but for `linear`, ReLU. Sizes are divided by the stride and rounded up."""

    def __init__(
        self,
        channels_in: int,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        *,
        dilation: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv: nn.Conv2d = nn.Conv2d(channels_in, channels, kernel, stride, padding, dilation, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(channels)
        self.linear = linear
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return x if self.linear else F.relu(x, inplace=True)

    def fuse(self) -> None:
        """Fold the norm into the convolution, for inference alone."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class Residual(nn.Module):
    """Two 3x3 convolutions added to their shortcut (He et al., CVPR 2016)."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvNorm(channels_in, channels, stride=stride)
        self.second = ConvNorm(channels, channels, linear=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = ConvNorm(channels_in, channels, 1, stride, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.second(self.first(x)).add_(self.shortcut(x)))


def fuse(network: nn.Module) -> None:
    """Set a network to inference and fold every norm that stands behind a convolution into it."""
    network.eval()
    for module in network.modules():
        if isinstance(module, ConvNorm):
            module.fuse()
        if isinstance(module, nn.Sequential) and len(module) > 1 and isinstance(module[0], nn.PixelUnshuffle):
            stem = module[1]
            assert isinstance(stem, ConvNorm)
            stem.fuse()
            stem.conv, module[0] = gathered(stem.conv, module[0].downscale_factor), nn.Identity()


def gathered(conv: nn.Conv2d, side: int) -> nn.Conv2d:
    """The convolution that does on a picture what `conv` does behind `nn.PixelUnshuffle(side)`, without the copy."""
    out, _, *kernel = conv.weight.shape
    weight = conv.weight.detach().reshape(out, -1, side, side, *kernel)  # (O, C, dy, dx, ky, kx)
    weight = weight.permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)
    wide = nn.Conv2d(
        weight.shape[1],
        out,
        (weight.shape[2], weight.shape[3]),
        side * conv.stride[0],
        side * int(conv.padding[0]),
        bias=conv.bias is not None,
    )
    wide.weight.data.copy_(weight)
    if conv.bias is not None and wide.bias is not None:
        wide.bias.data.copy_(conv.bias.detach())
    return wide
