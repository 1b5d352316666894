"""AlexNet, VGGNet and GoogLeNet at a depth and width that two processor cores train in hours, for 128x128 pictures.

Each keeps what makes its family and differs where a processor asks for it: batch norm follows every convolution (Ioffe
and Szegedy, ICML 2015), the last map keeps a stride of 16, and a pooling takes the place of the fully connected layers.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn


def convolution(channels_in: int, channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, rectifier; an odd kernel keeps the size where the stride is 1."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def halve() -> nn.MaxPool2d:
    """A maximum over 3x3 at every second position: overlapping, as AlexNet had it."""
    return nn.MaxPool2d(3, 2, 1)


ALEXNET_CHANNELS = 384


def alexnet() -> OrderedDict[str, nn.Module]:
    """Five convolutions, large kernels first: Krizhevsky et al., "ImageNet Classification with Deep Convolutional
    Neural Networks", NIPS 2012, at the widths of Krizhevsky, "One Weird Trick", 2014; the last layer is widened."""
    return OrderedDict(
        conv1=nn.Sequential(convolution(3, 64, 11, 4), halve()),
        conv2=nn.Sequential(convolution(64, 192, 5), halve()),
        conv3=convolution(192, 384, 3),
        conv4=convolution(384, 256, 3),
        conv5=convolution(256, ALEXNET_CHANNELS, 3),
    )


VGGNET_CHANNELS = (16, 32, 64, 128, 320)
VGGNET_DEPTHS = (2, 2, 3, 3, 3)


def vggnet() -> OrderedDict[str, nn.Module]:
    """Nothing but 3x3 convolutions, twice as many channels after each halving: Simonyan and Zisserman, "Very Deep
    Convolutional Networks for Large-Scale Image Recognition", ICLR 2015. The thirteen of VGG-16, a quarter as wide."""
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    channels_in = 3
    for i, (channels, depth) in enumerate(zip(VGGNET_CHANNELS, VGGNET_DEPTHS, strict=True), 1):
        layers: list[nn.Module] = [nn.MaxPool2d(2)] if i > 1 else []
        for _ in range(depth):
            layers.append(convolution(channels_in, channels, 3))
            channels_in = channels
        stages[f"conv{i}"] = nn.Sequential(*layers)
    return stages


class Inception(nn.Module):
    """Four branches over one map, side by side: 1x1; 1x1 then 3x3; 1x1 then two 3x3 (which see 5x5); pooled, then 1x1.

    The three 1x1 convolutions on the map itself are one, then split: one large product is faster than three small.
    """

    def __init__(self, channels_in: int, one: int, three: tuple[int, int], five: tuple[int, int], pooled: int) -> None:
        super().__init__()
        self.widths = [one, three[0], five[0]]
        self.channels = one + three[1] + five[1] + pooled
        self.reduce = convolution(channels_in, sum(self.widths), 1)
        self.three = convolution(three[0], three[1], 3)
        self.five = nn.Sequential(convolution(five[0], five[1], 3), convolution(five[1], five[1], 3))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), convolution(channels_in, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        one, three, five = self.reduce(x).split(self.widths, 1)
        return torch.cat([one, self.three(three), self.five(five), self.pooled(x)], 1)


# The paper's table: 1x1, (before 3x3, 3x3), (before 5x5, 5x5), after pooling; blocks 3a, 3b, 4a ... 5b.
GOOGLENET_BLOCKS: dict[str, list[tuple[int, tuple[int, int], tuple[int, int], int]]] = {
    "inception3": [(64, (96, 128), (16, 32), 32), (128, (128, 192), (32, 96), 64)],
    "inception4": [
        (192, (96, 208), (16, 48), 64),
        (160, (112, 224), (24, 64), 64),
        (128, (128, 256), (24, 64), 64),
        (112, (144, 288), (32, 64), 64),
        (256, (160, 320), (32, 128), 128),
    ],
    "inception5": [(256, (160, 320), (32, 128), 128), (384, (192, 384), (48, 128), 128)],
}
GOOGLENET_WIDTH = 0.5
GOOGLENET_CHANNELS = 512


def googlenet() -> OrderedDict[str, nn.Module]:
    """Nine blocks of parallel branches: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015. Half as wide; the
    5x5 as two 3x3 (Szegedy et al., CVPR 2016); without the auxiliary classifiers, which batch norm made needless."""

    def narrow(channels: int) -> int:
        return round(channels * GOOGLENET_WIDTH / 8) * 8

    stages: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Sequential(
            convolution(3, narrow(64), 7, 2),
            halve(),
            convolution(narrow(64), narrow(64), 1),
            convolution(narrow(64), narrow(192), 3),
        )
    )
    channels = narrow(192)
    for name, rows in GOOGLENET_BLOCKS.items():
        # The last stage keeps its map: at 128x128 a stride of 32 would leave 4x4.
        layers: list[nn.Module] = [halve()] if name != "inception5" else []
        for one, three, five, pooled in rows:
            block = Inception(
                channels,
                narrow(one),
                (narrow(three[0]), narrow(three[1])),
                (narrow(five[0]), narrow(five[1])),
                narrow(pooled),
            )
            layers.append(block)
            channels = block.channels
        stages[name] = nn.Sequential(*layers)
    assert channels == GOOGLENET_CHANNELS
    return stages
