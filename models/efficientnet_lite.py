"""EfficientNet-Lite0, the ImageNet baseline.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019. The Lite variants
drop squeeze-and-excitation and take ReLU6 for swish, which suits processors.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

# Expansion, kernel, stride, channels, blocks of each of the seven stages.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
STEM, HEAD = 32, 1280


class ConvNorm(nn.Module):
    """Convolution, batch norm and, but for `linear`, ReLU6; padded as TensorFlow pads, which trained the weights."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        # At stride 1 the two ways of padding agree; at stride 2 TensorFlow puts the odd pixel at the end.
        self.uneven = stride > 1
        padding = 0 if self.uneven else kernel // 2
        self.conv: nn.Conv2d = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3)
        self.activation = nn.Identity() if linear else nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = _convolve_uneven(x, self.conv) if self.uneven else self.conv(x)
        return self.activation(self.norm(y))


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow; added to the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = ConvNorm(inputs, inner, 1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(inner, inner, kernel, stride, groups=inner)
        self.project = ConvNorm(inner, outputs, 1, linear=True)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """Pictures (N, 3, H, W) in -1..1 -> pooled features (N, 1280); 224x224 in training."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, STEM, 3, stride=2)
        blocks = []
        inputs = STEM
        for expansion, kernel, stride, outputs, count in STAGES:
            for i in range(count):
                blocks.append(InvertedResidual(inputs, outputs, expansion, kernel, stride if i == 0 else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvNorm(inputs, HEAD, 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] != 3:
            raise ValueError(f"EfficientNet-Lite0 takes (N, 3, H, W), not {tuple(x.shape)}")
        return self.head(self.blocks(self.stem(x))).mean((2, 3))

    def load_published(self, state: dict[str, Tensor]) -> None:
        """Take weights under the names of the published PyTorch conversion; the classifier is left out.

        Raises:
            RuntimeError: a name or a shape does not fit.
        """
        self.load_state_dict({_rename(k): v for k, v in state.items() if not k.startswith("_fc.")})

    def fuse(self) -> EfficientNetLite0:
        """Fold each batch norm into its convolution, for inference alone: the same answer in half the passes."""
        self.eval()
        for module in self.modules():
            if isinstance(module, ConvNorm) and isinstance(module.norm, nn.BatchNorm2d):
                module.conv = fuse_conv_bn_eval(module.conv, module.norm)
                module.norm = nn.Identity()
        return self


def _convolve_uneven(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Convolve as if padded so that stride s gives ceil(length / s), the odd pixel at the end.

    Where that is uneven, one window more is padded on both sides and the first dropped: a padded copy of the picture
    would take longer than the window.
    """
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    padding, first, count = [], [], []
    for length in x.shape[2:]:
        count.append(-(-length // stride))
        total = max((count[-1] - 1) * stride + kernel - length, 0)
        first.append(total % 2)
        padding.append(total // 2 + stride * first[-1])
    y = F.conv2d(x, conv.weight, conv.bias, conv.stride, padding, groups=conv.groups)
    return y[:, :, first[0] : first[0] + count[0], first[1] : first[1] + count[1]]


def _rename(key: str) -> str:
    """`_blocks.3._bn1.weight` -> `blocks.3.depthwise.norm.weight`."""
    first, rest = key.split(".", 1)
    outer = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "head.conv", "_bn1": "head.norm"}
    if first != "_blocks":
        return f"{outer[first]}.{rest}"
    number, layer, value = rest.split(".")
    inner = {"_expand_conv": "expand.conv", "_bn0": "expand.norm", "_depthwise_conv": "depthwise.conv"}
    inner |= {"_bn1": "depthwise.norm", "_project_conv": "project.conv", "_bn2": "project.norm"}
    return f"blocks.{number}.{inner[layer]}.{value}"
