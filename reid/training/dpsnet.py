"""Recipe `dpsnet`: scene parsing on CamVid, with rendered streets as extra pictures while it is young, and a network
that saw a million photographs to guide it.

`lraspp` trains torchvision's LR-ASPP MobileNetV3-Large (Howard et al., "Searching for MobileNetV3", ICCV 2019) in the
same way, for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from models.dpsnet import AuxiliaryHeads, DPSNet, DPSNetConfig
from reid.backends.precision import autocast
from reid.backends.tensors import to_tensor
from reid.datasets import CAMVID_CLASSES, CAMVID_VOID
from reid.metrics import confusion_matrix, mean_iou
from reid.training.guide import Followers, Guide
from reid.training.lovasz import lovasz_softmax
from reid.training.scene_crops import SceneCrops
from reid.training.scene_losses import at_size, class_weights, one_of_four, parsing_loss
from reid.training.scenes import Plan, SceneAugmentation, Scenes, join, plan_crops
from reid.training.schedule import adamw, warm_cosine

SIZE = (360, 480)
SETTLED_SIZE = (432, 576)
"""CamVid's frames as the backend parses them."""
SHARES = (0.25, 0.25, 0.25, 0.125, 0.5, 1.0)
"""Shares of active sites that steps draw from: one set of weights learns to serve them all."""
STREETS_UNTIL = 0.6
"""Rendered streets get fewer, step by step, and none are left after this share of a run."""


class SceneTraining(nn.Module):
    """DPSNet with the heads that only training needs."""

    def __init__(self, net: DPSNet, guided: bool = False) -> None:
        super().__init__()
        self.net = net
        self.heads = AuxiliaryHeads(net.config)
        self.followers = Followers(net.config.channels[-1]) if guided else None


class SceneBatch(NamedTuple):
    """Crops to make, and the share of active sites to compute them with."""

    plan: Plan
    share: float


class FloatConv2d(nn.Conv2d):
    """A depthwise convolution, reckoned in float32: in bfloat16 the weights' gradient of a dilated one comes back from
    oneDNN as anything up to infinity, every tenth time (PyTorch 2.14), and that of others more slowly.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution as one matrix product over pixels: some of oneDNN's bfloat16 gradients take ten times that."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class LRASPP(nn.Module):
    """The rival, without the last enlargement: (N, 3, H, W) -> `logits` (N, classes, H/8, W/8) and `wide` (N, C, H/16,
    W/16), its last map.
    """

    def __init__(self, classes: int = len(CAMVID_CLASSES), guided: bool = False) -> None:
        super().__init__()
        from torchvision.models.segmentation import lraspp_mobilenet_v3_large

        self.net = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)
        for module in self.net.modules():
            if isinstance(module, nn.Conv2d) and module.groups > 1:
                module.__class__ = FloatConv2d
            elif isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
                module.__class__ = PointwiseConv2d
        self.followers = Followers(self.net.classifier.cbr[0].in_channels) if guided else None

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        maps = self.net.backbone(picture)
        return {"logits": self.net.classifier(maps), "wide": maps["high"]}


class SceneRecipe:
    """See the module's text.

    Args:
        scenes: labelled frames.
        streets: extra frames, or None.
        rival: train LR-ASPP instead.
        start: weights to start from, as a run of this recipe leaves them.
        size: height and width of crops, multiples of 8.
        batch: frames a step. extra: streets a step at the start of a run.
        grow: share of the epochs that train at three quarters of the size first.
        teach: weight of what a guide says of the crops (`reid.training.guide`); 0 goes without.
        validation: called with the network; figures for the log.
        device: where it learns, in PyTorch's words.
    """

    def __init__(
        self,
        scenes: Scenes,
        streets: Scenes | None = None,
        *,
        epochs: int,
        rival: bool = False,
        config: DPSNetConfig | None = None,
        start: Path | None = None,
        size: tuple[int, int] = SIZE,
        rate: float = 1e-3,
        weight_decay: float = 0.03,
        warm_up: float = 0.02,
        batch: int = 4,
        extra: int = 2,
        grow: float = 0.0,
        teach: float = 0.0,
        augmentation: SceneAugmentation | None = None,
        validation: Callable[[Any], dict[str, float]] | None = None,
        evaluate_every: int = 10,
        device: str = "cpu",
    ) -> None:
        self.learnt, self.epochs, self.rival = len(scenes), epochs, rival
        self.scenes = scenes if streets is None else join([scenes, streets])  # the streets come last
        self.name = "lraspp" if rival else "dpsnet"
        self.config, self.start, self.size = config, start, size
        self.rate, self.weight_decay, self.warm_up = rate, weight_decay, warm_up
        self.batch, self.extra, self.grow = min(batch, len(scenes)), extra, grow
        self.augmentation = augmentation or SceneAugmentation()
        self.validation, self.evaluate_every = validation, evaluate_every
        self.crops = SceneCrops(self.scenes).to(device)
        self.weights = class_weights(scenes.labels).to(device)
        self.teach, self.guide = teach, Guide().to(device) if teach > 0 else None
        self.device = torch.device(device)

    def build(self, fresh: bool = True) -> nn.Module:
        guided = self.teach > 0
        model = LRASPP(guided=guided) if self.rival else SceneTraining(DPSNet(self.config), guided=guided)
        if fresh and self.start is not None:
            model.net.load_state_dict(load_file(self.start))
        return model

    def optimiser(self, model: Any) -> torch.optim.Optimizer:
        return adamw(model, self.rate, self.weight_decay)

    def learning_rate(self, progress: float) -> float:
        return warm_cosine(progress, self.warm_up)

    def steps(self, epoch: int) -> int:
        return self.learnt // self.batch

    def batches(self, epoch: int) -> Iterator[SceneBatch]:
        rng = np.random.default_rng([13, epoch])
        order = rng.permutation(self.learnt)
        zoom = 0.75 if epoch < self.grow * self.epochs else 1.0
        height, width = (max(8, round(zoom * side / 8) * 8) for side in self.size)
        streets = len(self.scenes) - self.learnt
        extra = round(self.extra * max(0.0, 1 - epoch / max(STREETS_UNTIL * self.epochs, 1))) if streets else 0
        for step in range(self.steps(epoch)):
            frames = order[step * self.batch : (step + 1) * self.batch]
            frames = np.concatenate([frames, self.learnt + rng.integers(max(1, streets), size=extra)])
            plan = plan_crops(self.scenes, frames, (height, width), rng, self.augmentation, zoom)
            yield SceneBatch(plan, float(rng.choice(SHARES)))

    def losses(self, model: Any, batch: SceneBatch) -> dict[str, Tensor]:
        pictures, labels = self.crops(batch.plan)
        return self.losses_of(model, pictures, labels, batch.plan.looked_at, batch.share)

    def losses_of(
        self, model: Any, pictures: Tensor, labels: Tensor, looked_at: Tensor, share: float
    ) -> dict[str, Tensor]:
        """Losses on normalised pictures (N, 3, H, W) with labels (N, H, W) at a share of active sites.

        Of each two by two pixels losses look at one, which is another one in every picture (`looked_at`, 0 to 3, (N,)).
        """
        with autocast(self.device.type):
            if self.rival:
                out, heads = model(pictures), {}
            else:
                model.net.dense = share == 1  # dense convolution is the faster way to the same numbers
                out = model.net(pictures, share)
                heads = model.heads(out) | {"coarse": out["coarse"]}
            told = None if self.guide is None else model.followers.loss(out["wide"], self.guide(pictures))
        logits = out["logits"].float()
        sampled = one_of_four(labels, looked_at)
        fine = F.interpolate(logits, size=sampled.shape[1:], mode="bilinear", align_corners=False)
        losses = {
            "parse": parsing_loss(fine, sampled, self.weights),
            # The one that sorts looks at as few of these.
            "iou": 0.5 * lovasz_softmax(fine[..., ::2, ::2], sampled[:, ::2, ::2], CAMVID_VOID),
        }
        for name, weight in (("coarse", 0.4), ("middle", 0.2), ("wide", 0.2)):
            if name in heads:
                losses[name] = weight * parsing_loss(heads[name].float(), labels, self.weights)
        if "local" in heads:
            # As a map of one row, so that a table of sites takes the same loss.
            there = at_size(labels, logits.shape[2:]).flatten()[out["sites"]]
            row = heads["local"].float().T[None, :, None]
            losses["local"] = 0.2 * parsing_loss(row, there[None, None], self.weights)
        if told is not None:
            losses["guide"] = self.teach * told
        return losses

    def evaluate(self, model: Any, epoch: int) -> dict[str, float]:
        if not self.rival:
            model.net.dense = False
        if self.validation is None or ((epoch + 1) % self.evaluate_every and epoch + 1 != self.epochs):
            return {}
        return self.validation(model if self.rival else model.net)

    def shipped(self, model: Any) -> dict[str, Tensor]:
        state: dict[str, Tensor] = model.net.state_dict()
        return state


def parsing_figures(scenes: Scenes, magnify: float = 1.0, device: str = "cpu") -> Callable[[Any], dict[str, float]]:
    """A validation on labelled frames, magnified: mIoU and pixel accuracy in percent, single scale, at full size."""
    classes = len(CAMVID_CLASSES)

    def validate(net: Any) -> dict[str, float]:
        confusion = np.zeros((classes, classes + 1), np.int64)
        for picture, truth in zip(scenes.pictures, scenes.labels, strict=True):
            size = [round(magnify * side / 8) * 8 for side in truth.shape]
            logits = net(to_tensor([picture], (size[0], size[1])).to(device))["logits"]
            fine = F.interpolate(logits.float(), size=truth.shape, mode="bilinear", align_corners=False)
            confusion += confusion_matrix(truth, fine.argmax(1)[0].cpu().numpy(), classes)
        mean, _, accuracy = mean_iou(confusion)
        return {"mIoU": 100 * mean, "pixel_accuracy": 100 * accuracy}

    return validate
