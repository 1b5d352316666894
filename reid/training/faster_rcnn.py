"""Recipe `faster-rcnn`: a plain rival for `rfcn`, torchvision's Faster R-CNN on MobileNetV3, trained alike.

Same frames, same windows, same schedule; the losses are torchvision's own. It is measured against, and does not ship.
Howard et al., "Searching for MobileNetV3", ICCV 2019; Ren et al., NeurIPS 2015.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

from models.boxes import CLASSES
from models.rfcn import Detections
from reid.backends.precision import autocast
from reid.training.detection_losses import Target
from reid.training.rfcn import RFCNRecipe

REGIONS = 48
"""Regions a window that it learns from, as many as R-FCN: the operator that reads them is slow backwards."""


class FasterRCNN(nn.Module):
    """torchvision's builder with its own resizing and normalising left out: frames come as R-FCN gets them."""

    def __init__(self) -> None:
        super().__init__()
        self.net = fasterrcnn_mobilenet_v3_large_320_fpn(
            weights=None,
            weights_backbone=None,
            num_classes=len(CLASSES),
            image_mean=[0.0, 0.0, 0.0],
            image_std=[1.0, 1.0, 1.0],
            _skip_resize=True,
            box_batch_size_per_image=REGIONS,
        )

    def forward(self, x: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        return self.net(list(x), [{"boxes": target.boxes, "labels": target.labels} for target in targets])

    @torch.inference_mode()
    def detect(self, x: Tensor, *, least: float = 0.05, most: int = 300) -> list[Detections]:
        """As `models.rfcn.RFCN.detect`."""
        found = []
        # Depthwise convolutions are slower in bfloat16, and torchvision's boxes then come in it too.
        with torch.autocast("cpu", enabled=False):
            seen = self.net(list(x))
        for one in seen:
            good = one["scores"] >= least
            found.append(Detections(one["boxes"][good][:most], one["labels"][good][:most], one["scores"][good][:most]))
        return found


class FasterRCNNRecipe(RFCNRecipe):
    """See the module's text; the arguments are `RFCNRecipe`'s."""

    name = "faster-rcnn"

    def build(self, fresh: bool = True) -> nn.Module:
        return FasterRCNN()

    def losses(self, model: Any, batch: tuple[Tensor, list[Target]]) -> dict[str, Tensor]:
        x, targets = batch
        with autocast():
            return model(x, targets)

    def shipped(self, model: Any) -> dict[str, Tensor]:
        return dict(model.state_dict())
