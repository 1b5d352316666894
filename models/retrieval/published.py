"""torchvision's trunks, cut into stages: the full-width networks whose ImageNet weights are published."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import pairwise

from torch import nn


def alexnet() -> OrderedDict[str, nn.Module]:
    """Five convolutions; stride 16 (the last pooling is left out)."""
    from torchvision.models import alexnet as network

    return _cut(network().features, (0, 3, 6, 8, 10, 12))


def vgg16() -> OrderedDict[str, nn.Module]:
    """Thirteen 3x3 convolutions in five stages; stride 16 (the last pooling is left out)."""
    from torchvision.models import vgg16 as network

    return _cut(network().features, (0, 5, 10, 17, 24, 30))


def googlenet() -> OrderedDict[str, nn.Module]:
    """Stem and nine Inception blocks; stride 32."""
    from torchvision.models import googlenet as network

    whole = network(init_weights=False, aux_logits=False)
    stages = {
        "stem": ("conv1", "maxpool1", "conv2", "conv3", "maxpool2"),
        "inception3": ("inception3a", "inception3b", "maxpool3"),
        "inception4": ("inception4a", "inception4b", "inception4c", "inception4d", "inception4e", "maxpool4"),
        "inception5": ("inception5a", "inception5b"),
    }
    return _picked(whole, stages)


def resnet50() -> OrderedDict[str, nn.Module]:
    """Stem and four stages of bottlenecks; stride 32."""
    from torchvision.models import resnet50 as network

    stages: dict[str, tuple[str, ...]] = {"stem": ("conv1", "bn1", "relu", "maxpool")}
    stages |= {f"layer{i}": (f"layer{i}",) for i in range(1, 5)}
    return _picked(network(), stages)


def _cut(layers: nn.Sequential, bounds: Iterable[int]) -> OrderedDict[str, nn.Module]:
    """Stages between bounds; each keeps the layers' published names inside."""
    named = list(layers.named_children())
    return OrderedDict(
        (f"stage{i}", nn.Sequential(OrderedDict((f"features{n}", layer) for n, layer in named[a:b])))
        for i, (a, b) in enumerate(pairwise(bounds), 1)
    )


def _picked(whole: nn.Module, stages: Mapping[str, tuple[str, ...]]) -> OrderedDict[str, nn.Module]:
    return OrderedDict(
        (name, nn.Sequential(OrderedDict((part, getattr(whole, part)) for part in parts)))
        for name, parts in stages.items()
    )
