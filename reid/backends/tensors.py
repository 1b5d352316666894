"""Pictures into network input, and networks run without gradients: what every torch backend does alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

N = TypeVar("N", bound="nn.Module")

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring an RGB uint8 picture to (height, width): averaged when it shrinks, bilinear when it grows."""
    height, width = size
    if picture.shape[:2] == (height, width):
        return picture
    shrinks = picture.shape[0] > height
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def to_tensor(
    pictures: Sequence[np.ndarray],
    size: tuple[int, int],
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Tensor:
    """RGB uint8 pictures (H, W, 3) of any sizes -> one normalised float batch (N, 3, height, width), channels last."""
    import torch

    batch = np.stack([resize(picture, size) for picture in pictures])
    x = torch.from_numpy(batch).permute(0, 3, 1, 2).float()
    scale = torch.tensor([1 / (255 * s) for s in std])[:, None, None]
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)])[:, None, None]
    return x.mul_(scale).add_(shift).contiguous(memory_format=torch.channels_last)


def inference_copy(net: N) -> N:
    """The network with each batch norm folded into the convolution before it, laid out as processors like it."""
    import torch
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module in list(net.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        layers = list(module.named_children())
        for (name, conv), (after, norm) in pairwise(layers):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(conv, norm))
                setattr(module, after, nn.Identity())
    return net.to(memory_format=torch.channels_last)
