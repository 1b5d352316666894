"""Recipe `rfcn`: the region network that finds people, cars and bicycles in whole frames, end to end.

Region proposals learn by focal loss over all anchors, position-sensitive maps from the hardest of the proposed regions
(see `detection_losses`); true boxes and jittered copies of them join the proposals, so that maps learn while proposals
are still poor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.boxes import clip
from models.rfcn import RFCN, RFCNConfig
from models.rfcn.proposals import propose
from reid.backends.precision import autocast
from reid.backends.rfcn import find
from reid.datasets.coco import AnnotatedFrame
from reid.errors import WeightsError
from reid.training.detection_losses import Target, anchor_losses, jittered, region_losses
from reid.training.finders import doubt, due, figures
from reid.training.frames import Cutouts, WindowSettings, batch, window
from reid.training.schedule import adamw, warm_cosine


class FrameSource:
    """Frames by group: a batch draws the groups by their shares, so that a few real frames are not lost among many
    rendered ones.

    Args:
        groups: frames that belong together, and their share of what is drawn (any positive numbers).
    """

    def __init__(
        self,
        groups: Sequence[tuple[Sequence[AnnotatedFrame], float]],
        settings: WindowSettings | None = None,
        cutouts: Cutouts | None = None,
    ) -> None:
        self.groups = [list(frames) for frames, _ in groups]
        shares = np.array([share for _, share in groups], float)
        self.shares = shares / shares.sum()
        self.settings, self.cutouts = settings or WindowSettings(), cutouts

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, list[Target]]:
        """A batch of windows on `count` frames."""
        chosen = rng.choice(len(self.groups), count, p=self.shares)
        frames = [self.groups[g][int(rng.integers(len(self.groups[g])))] for g in chosen]
        return batch([window(frame, self.settings, rng, self.cutouts) for frame in frames])


class RFCNRecipe:
    """See the module's text.

    Args:
        source: what is trained on.
        validation: sets of frames by name that are measured on every so many epochs.
        start: weights to start from: of an R-FCN, or of a network with a backbone like its own (DPSNet's context path).
        windows: windows an epoch, by default one for each frame.
        size: windows a batch.
        keep: regions a window that the maps learn from.
    """

    name = "rfcn"

    def __init__(
        self,
        source: FrameSource,
        *,
        epochs: int,
        validation: Mapping[str, Sequence[AnnotatedFrame]] | None = None,
        start: Path | None = None,
        config: RFCNConfig | None = None,
        rate: float = 1e-3,
        weight_decay: float = 0.02,
        warm_up: float = 0.02,
        windows: int | None = None,
        size: int = 8,
        keep: int = 48,
        evaluate_every: int = 5,
    ) -> None:
        self.source, self.epochs, self.validation, self.start = source, epochs, dict(validation or {}), start
        self.config, self.rate, self.weight_decay, self.warm_up = config, rate, weight_decay, warm_up
        self.doubt = 0.0
        self.windows, self.size, self.keep, self.evaluate_every = windows or len(source), size, keep, evaluate_every

    def build(self, fresh: bool = True) -> nn.Module:
        model = RFCN(self.config)
        if fresh and self.start is not None:
            begin(model, load_file(self.start))
        return model

    def optimiser(self, model: Any) -> torch.optim.Optimizer:
        return adamw(model, self.rate, self.weight_decay)

    def learning_rate(self, progress: float) -> float:
        return warm_cosine(progress, self.warm_up)

    def steps(self, epoch: int) -> int:
        return max(self.windows // self.size, 1)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, list[Target]]]:
        rng = np.random.default_rng([13, epoch])
        for _ in range(self.steps(epoch)):
            yield self.source.draw(self.size, rng)

    def losses(self, model: Any, batch: tuple[Tensor, list[Target]]) -> dict[str, Tensor]:
        x, targets = batch
        with autocast():
            maps = model(x)
        logits, deltas = maps.logits.float(), maps.deltas.float()
        found = propose(logits, deltas, maps.anchors, maps.size, before=500, after=100)
        regions = [
            torch.cat([proposed, target.boxes, clip(jittered(target.boxes, 4), maps.size)])
            for proposed, target in zip(found, targets, strict=True)
        ]
        regions = [r[(r[:, 2:] - r[:, :2]).amin(1) > 2] for r in regions]
        kinds, moves = model.read(maps, regions)
        return {
            **anchor_losses(logits, deltas, maps.anchors, targets),
            **region_losses(kinds, moves, regions, targets, keep=self.keep),
        }

    def evaluate(self, model: Any, epoch: int) -> dict[str, float]:
        if not due(epoch, self.epochs, self.evaluate_every, self.validation):
            return {}
        if epoch + 1 == self.epochs:
            self.doubt = doubt(lambda frame: find(model, frame), self.validation)
        return figures(lambda frame: find(model, frame), self.validation)

    def shipped(self, model: Any) -> dict[str, Tensor]:
        return {**model.state_dict(), **model.doubting(self.doubt)}


def begin(model: RFCN, weights: dict[str, Tensor]) -> None:
    """Take over weights: all of an R-FCN, or those of another network whose stem and stages are of the same shape.

    Its stages may be less deep: the blocks that they lack start as their shortcuts.
    """
    own = model.state_dict()
    if weights.keys() == own.keys():
        model.load_state_dict(weights)
        return
    taken = {}
    for key, value in weights.items():
        _, place, rest = key.partition("stem." if "stem." in key else "stages.")
        name = f"pyramid.backbone.{place}{rest}"
        if place and name in own and own[name].shape == value.shape:
            taken[name] = value
    first = re.compile(r"pyramid\.backbone\.(stem|stages\.\d+\.0)\.")
    missing = [key for key in own if first.match(key) and key not in taken]
    if missing:
        raise WeightsError(f"The weights to start from have no backbone like R-FCN's: {missing[0]} is not among them.")
    for key in own:
        if key.startswith("pyramid.backbone.") and key not in taken and key.endswith("second.norm.weight"):
            taken[key] = torch.zeros_like(own[key])
    model.load_state_dict(taken, strict=False)
