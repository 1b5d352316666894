"""Retrieval networks: AlexNet, VGGNet, GoogLeNet and ResNet, by name and tag."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from models.retrieval import published, small
from models.retrieval.network import PersonNet, PooledNet, RetrievalNet
from models.retrieval.pooling import POOLINGS

ARCHITECTURES = ("alexnet", "vggnet", "googlenet", "resnet")

# Name -> trunk, channels of its last map, whether a neck follows.
TRUNKS: dict[str, tuple[Callable[[], OrderedDict[str, nn.Module]], int, bool]] = {
    "alexnet.partwise": (small.alexnet, small.ALEXNET_CHANNELS, True),
    "vggnet.partwise": (small.vggnet, small.VGGNET_CHANNELS[-1], True),
    "googlenet.partwise": (small.googlenet, small.GOOGLENET_CHANNELS, True),
    "alexnet.imagenet": (published.alexnet, 256, False),
    "vggnet.imagenet": (published.vgg16, 512, False),
    "googlenet.imagenet": (published.googlenet, 1024, False),
    "resnet.imagenet": (published.resnet50, 2048, False),
}


def build(network: str, *, pooling: str = "gem", whitened: int | None = None) -> RetrievalNet:
    """A network with random weights.

    Args:
        network: architecture and tag, e.g. "vggnet.partwise"; "resnet.partwise" is FEA NET.
        pooling: one of `POOLINGS`.
        whitened: length of the vectors behind a whitening; None for no whitening.

    Raises:
        KeyError: no such network or pooling.
    """
    if network == "resnet.partwise":
        return PersonNet(pooling=pooling).whiten(whitened)
    trunk, channels, neck = TRUNKS[network]
    return PooledNet(trunk(), channels, pooling=pooling, neck=neck).whiten(whitened)


__all__ = ["ARCHITECTURES", "POOLINGS", "TRUNKS", "PersonNet", "PooledNet", "RetrievalNet", "build"]
