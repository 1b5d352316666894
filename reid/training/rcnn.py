"""Recipe `rcnn`: a region, a picture: what it shows and where its borders are, on the trunk of the person networks.

Regions come from selective search, as they will at inference, and from true boxes, jittered; most of a frame's regions
show nothing, so a part of each batch is kept for those that do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from models.boxes import CLASSES, encode
from models.rcnn import RCNN
from models.trunk import TrunkConfig
from reid.backends import Boxes
from reid.backends.frames import cut
from reid.backends.precision import autocast
from reid.backends.rcnn import CONTEXT, SIZE, look_at, selective_search
from reid.datasets.coco import AnnotatedFrame
from reid.errors import WeightsError
from reid.images import load_image
from reid.training.augmentation import normalised, recolour
from reid.training.detection_losses import Target, jittered, match
from reid.training.finders import doubt, due, figures
from reid.training.schedule import adamw, warm_cosine

Batch = tuple[Tensor, Tensor, Tensor]
"""Warped regions (N, 3, H, W), their labels (N,) and what leads to their true boxes (N, 4)."""


class RCNNRecipe:
    """See the module's text.

    Args:
        groups: frames that belong together, and their share of what is drawn.
        start: weights to start from: of an R-CNN, or of anything with the trunk (the recipe `trunk` gives them).
        frames: frames an epoch. size: frames a batch. regions: regions a frame, a third of them with an object if
            there are as many.
        colour, grey: strengths of what is done to colours.
    """

    name = "rcnn"

    def __init__(
        self,
        groups: Sequence[tuple[Sequence[AnnotatedFrame], float]],
        *,
        epochs: int,
        validation: Mapping[str, Sequence[AnnotatedFrame]] | None = None,
        start: Path | None = None,
        config: TrunkConfig | None = None,
        rate: float = 5e-4,
        weight_decay: float = 0.02,
        frames: int | None = None,
        size: int = 4,
        regions: int = 24,
        colour: float = 0.3,
        grey: float = 0.05,
        evaluate_every: int = 5,
    ) -> None:
        self.groups = [list(group) for group, _ in groups]
        shares = np.array([share for _, share in groups], float)
        self.shares = shares / shares.sum()
        self.epochs, self.validation, self.start, self.config = epochs, dict(validation or {}), start, config
        self.rate, self.weight_decay, self.size, self.regions = rate, weight_decay, size, regions
        self.frames = frames or sum(map(len, self.groups))
        self.colour, self.grey, self.evaluate_every = colour, grey, evaluate_every
        self.doubt = 0.0
        self._searched: dict[Path, np.ndarray] = {}

    def build(self, fresh: bool = True) -> nn.Module:
        model = RCNN(self.config)
        if fresh and self.start is not None:
            begin(model, load_file(self.start))
        return model

    def optimiser(self, model: Any) -> torch.optim.Optimizer:
        return adamw(model, self.rate, self.weight_decay)

    def learning_rate(self, progress: float) -> float:
        return warm_cosine(progress, 0.03)

    def steps(self, epoch: int) -> int:
        return max(self.frames // self.size, 1)

    def batches(self, epoch: int) -> Iterator[Batch]:
        rng = np.random.default_rng([17, epoch])
        for _ in range(self.steps(epoch)):
            chosen = rng.choice(len(self.groups), self.size, p=self.shares)
            frames = [self.groups[g][int(rng.integers(len(self.groups[g])))] for g in chosen]
            parts = [self._regions(frame, rng) for frame in frames]
            pictures = normalised(np.concatenate([pictures for pictures, _, _ in parts]))
            yield (
                torch.from_numpy(pictures).permute(0, 3, 1, 2),
                torch.cat([labels for _, labels, _ in parts]),
                torch.cat([deltas for _, _, deltas in parts]),
            )

    def losses(self, model: Any, batch: Batch) -> dict[str, Tensor]:
        x, labels, deltas = batch
        with autocast():
            out = model(x)
        positive = labels > 0
        box = F.smooth_l1_loss(out["deltas"].float()[positive], deltas[positive], reduction="sum")
        return {
            "class": F.cross_entropy(out["logits"].float(), labels),
            "box": 0.5 * box / positive.sum().clamp(min=1),
        }

    def evaluate(self, model: Any, epoch: int) -> dict[str, float]:
        if not due(epoch, self.epochs, self.evaluate_every, self.validation):
            return {}

        def look(frame: np.ndarray) -> Boxes:
            return look_at(model, frame, selective_search(frame))

        if epoch + 1 == self.epochs:
            self.doubt = doubt(look, self.validation)
        return figures(look, self.validation)

    def shipped(self, model: Any) -> dict[str, Tensor]:
        return {**model.state_dict(), **model.doubting(self.doubt)}

    def _regions(self, frame: AnnotatedFrame, rng: np.random.Generator) -> tuple[np.ndarray, Tensor, Tensor]:
        picture = load_image(frame.path)
        if frame.path not in self._searched:
            self._searched[frame.path] = selective_search(picture)
        kinds = np.array([CLASSES.index(label) for label in frame.labels], np.int64)
        sure = ~frame.doubtful
        target = Target(*map(torch.from_numpy, (frame.boxes[sure], kinds[sure], frame.boxes[frame.doubtful])))
        regions = torch.cat([torch.from_numpy(self._searched[frame.path]), target.boxes, jittered(target.boxes, 8)])
        regions = regions[(regions[:, 2:] - regions[:, :2]).amin(1) >= 4]
        found = match(regions, target, 0.5, 0.4)
        label = found.label.numpy()
        with_object, without = (rng.permutation(np.flatnonzero(kind)) for kind in (label > 0, label == 0))
        with_object = with_object[: self.regions // 3]
        chosen = np.concatenate([with_object, without[: self.regions - len(with_object)]])
        deltas = encode(found.target[chosen], regions[chosen])
        views = np.empty((len(chosen), *SIZE, 3), np.uint8)
        for i, box in enumerate(regions[chosen].numpy()):
            view = recolour(cut(picture, box, SIZE, context=CONTEXT), rng, self.colour, self.grey)
            if rng.random() < 0.5:
                view = view[:, ::-1]
                deltas[i, 0] *= -1  # what was to the right is to the left
            views[i] = view
        return views, found.label[chosen], deltas


def begin(model: RCNN, weights: dict[str, Tensor]) -> None:
    """Take over weights: all of an R-CNN, or the trunk of another network."""
    own = model.state_dict()
    if weights.keys() == own.keys():
        model.load_state_dict(weights)
        return
    taken = {f"trunk.{key.rpartition('trunk.')[2]}": value for key, value in weights.items() if "trunk." in key}
    missing = [key for key in own if key.startswith("trunk.") and key not in taken]
    if missing:
        raise WeightsError(f"The weights to start from have no trunk like R-CNN's: {missing[0]} is not among them.")
    model.load_state_dict(taken, strict=False)
