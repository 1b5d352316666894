"""Recipe `retrieval`: a retrieval network on labelled pictures of one or several sources, from scratch or fine-tuned.

Each source has a head of its own on the shared network: softmax with label smoothing over its classes, or regression
where its classes are numbers. Optional beside it: batch-hard triplets, and a teacher's vectors to follow (direction and
neighbourhoods, as for the trunk). Heads see directions alone, as a search does: Wang et al., "NormFace: L2 Hypersphere
Embedding for Face Verification", ACM MM 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.retrieval import RetrievalNet, build
from models.retrieval.network import Whitening
from reid.backends.precision import autocast
from reid.backends.retrieval import assemble
from reid.embedding import l2_normalise
from reid.training.augmentation import THINGS, Augmentation, augment
from reid.training.labelled import Labelled
from reid.training.people import identity_batches
from reid.training.schedule import adamw, warm_cosine
from reid.training.whitening import learn_whitening

SMOOTHING = 0.1
# A whitening is learnt on so many pictures at most.
WHITENED_ON = 8192


class Batch(NamedTuple):
    """Pictures of all sources, one after the other; labels and teacher's vectors by source."""

    pictures: Tensor
    labels: list[Tensor]
    taught: list[Tensor | None]


@dataclass(frozen=True)
class Options:
    """How to train.

    Attributes:
        epochs: passes over the largest source.
        least: steps an epoch has at least, however few the pictures.
        rate, weight_decay, warm_up: of AdamW and its schedule.
        slow: the network's share of the rate; below 1 where it was trained before and only the heads are new.
        frozen: share of the run in which the heads alone learn.
        thawed: share of the run by which every stage learns; between, they thaw from the last to the first.
        norms: True lets batch norms follow the data; False keeps what they learnt, as small galleries want.
        ordered: regression on the classes' numbers in place of softmax.
        metric: weight of batch-hard triplets; 0 for none.
        teach: weight of the teacher.
        grow: share of the epochs that see three quarters of the size.
        classes, views: a source's part of a batch: so many classes with so many pictures each.
        whiten: learn a whitening to so many numbers at the end; None for none.
    """

    epochs: int
    least: int = 1
    rate: float = 1e-3
    weight_decay: float = 0.02
    warm_up: float = 0.05
    slow: float = 1.0
    frozen: float = 0.0
    thawed: float = 0.0
    norms: bool = True
    ordered: bool = False
    metric: float = 0.0
    teach: float = 1.0
    grow: float = 0.0
    classes: int = 8
    views: int = 4
    whiten: int | None = None


class RetrievalTraining(nn.Module):
    """A network with the heads that only training needs, one set a source."""

    def __init__(self, net: RetrievalNet, outputs: Sequence[int], teachers: Sequence[int]) -> None:
        super().__init__()
        self.net = net
        self.heads = nn.ModuleList(nn.Linear(net.channels, count, bias=False) for count in outputs)
        self.teachers = nn.ModuleList(
            nn.Linear(net.channels, dim, bias=False) if dim else nn.Identity() for dim in teachers
        )
        for head in self.heads:
            assert isinstance(head, nn.Linear)
            nn.init.normal_(head.weight, std=0.01)

    def directions(self, pictures: Tensor) -> Tensor:
        """Features (N, C), all as long as the square root of C: numbers of about 1."""
        features = self.net.features(pictures).float()
        return F.normalize(features, dim=1) * features.shape[1] ** 0.5


class RetrievalRecipe:
    """See the module's text.

    Args:
        network: a name that `models.retrieval.build` knows.
        sources: what to learn from.
        options: how.
        augmentations: what is done to each source's pictures; `THINGS` where left out.
        start: tensors to begin with; None for random ones.
        pooling: how maps are pooled.
        validation: called with the network; gives figures for the log.
        evaluate_every: epochs between such.
        tell: called with the share of the run that is done.
    """

    name = "retrieval"

    def __init__(
        self,
        network: str,
        sources: Sequence[Labelled],
        options: Options,
        *,
        augmentations: Sequence[Augmentation] | None = None,
        start: Mapping[str, Tensor] | None = None,
        pooling: str = "gem",
        validation: Callable[[RetrievalNet], dict[str, float]] | None = None,
        evaluate_every: int = 5,
        tell: Callable[[float], None] | None = None,
    ) -> None:
        self.network, self.sources, self.options = network, list(sources), options
        self.name = f"retrieval {network}"
        self.augmentations = list(augmentations or [THINGS] * len(self.sources))
        self.start, self.pooling = start, pooling
        self.validation, self.evaluate_every, self.tell = validation, evaluate_every, tell
        self.epochs = options.epochs
        self.targets = [_targets(source, options.ordered) for source in self.sources]
        self._epoch = 0
        self._learning: tuple[int, int] | None = None

    def build(self, fresh: bool = True) -> RetrievalTraining:
        if self.start is None or not fresh:
            net = build(self.network, pooling=self.pooling)
        else:
            net = assemble(self.network, self.start, "the start", pooling=self.pooling).whiten(None)
        outputs = [1 if self.options.ordered else len(source.classes) for source in self.sources]
        teachers = [0 if source.taught is None else source.taught.shape[1] for source in self.sources]
        return RetrievalTraining(net, outputs, teachers)

    def optimiser(self, model: Any) -> torch.optim.Optimizer:
        o = self.options
        whole = adamw(model.net, o.rate * o.slow, o.weight_decay)
        for heads in (model.heads, model.teachers):
            if any(True for _ in heads.parameters()):
                for group in adamw(heads, o.rate, o.weight_decay).param_groups:
                    whole.add_param_group({k: group[k] for k in ("params", "lr", "weight_decay")})
        return whole

    def learning_rate(self, progress: float) -> float:
        return warm_cosine(progress, self.options.warm_up)

    def steps(self, epoch: int) -> int:
        a_step = self.options.classes * self.options.views
        return max(max(len(source) for source in self.sources) // a_step, self.options.least)

    def batches(self, epoch: int) -> Iterator[Batch]:
        o, steps = self.options, self.steps(epoch)
        self._epoch = epoch
        rng = np.random.default_rng([11, epoch])
        drawn = [
            identity_batches(source.labels, min(o.classes, len(np.unique(source.labels))), o.views, rng, steps)
            for source in self.sources
        ]
        for step, rows in enumerate(zip(*drawn, strict=True)):
            pictures, labels, taught = [], [], []
            for source, target, index, strength in zip(
                self.sources, self.targets, rows, self.augmentations, strict=True
            ):
                size = source.pictures.shape[1:3]
                if epoch < o.grow * o.epochs:
                    size = tuple(max(16, round(side * 0.75 / 16) * 16) for side in size)
                pictures.append(augment(source.pictures[index], rng, strength, size=size).pictures)
                labels.append(target[index])
                taught.append(None if source.taught is None else torch.from_numpy(source.taught[index]))
            yield Batch(torch.cat(pictures).contiguous(memory_format=torch.channels_last), labels, taught)
            if self.tell is not None:
                self.tell((epoch + (step + 1) / steps) / o.epochs)

    def losses(self, model: Any, batch: Batch) -> dict[str, Tensor]:
        self._freeze(model.net)
        with autocast():
            directions = model.directions(batch.pictures)
        losses: dict[str, Tensor] = {}
        parts = directions.split([len(labels) for labels in batch.labels])
        for i, (part, labels, taught) in enumerate(zip(parts, batch.labels, batch.taught, strict=True)):
            number = f" {i}" if len(parts) > 1 else ""
            said = model.heads[i](part)
            if self.options.ordered:
                losses[f"order{number}"] = F.smooth_l1_loss(said[:, 0], labels)
            else:
                losses[f"class{number}"] = F.cross_entropy(said, labels, label_smoothing=SMOOTHING)
            if self.options.metric > 0:
                losses[f"triplet{number}"] = self.options.metric * self._triplet(F.normalize(part, dim=1), labels)
            if taught is not None and self.options.teach > 0:
                from reid.training.trunk import follow_teacher

                follows = follow_teacher(model.teachers[i](part), taught)
                losses |= {f"{key}{number}": self.options.teach * value for key, value in follows.items()}
        return losses

    def evaluate(self, model: Any, epoch: int) -> dict[str, float]:
        last = epoch + 1 == self.epochs
        if last and self.options.whiten is not None:
            self._whiten(model.net, self.options.whiten)
        if self.validation is None or ((epoch + 1) % self.evaluate_every and not last):
            return {}
        return self.validation(model.net)

    def shipped(self, model: Any) -> dict[str, Tensor]:
        tensors = dict(model.net.state_dict())
        model.net.whiten(None)  # the loop goes on with the state it knows
        return tensors

    def _freeze(self, net: RetrievalNet) -> None:
        """Let the stages learn that the schedule says; others keep still, their batch norms too."""
        stages, o = net.stages(), self.options
        learning = stages_that_learn(self._epoch / max(o.epochs, 1), len(stages), o.frozen, o.thawed)
        if self._learning == (self._epoch, learning):
            return
        self._learning = self._epoch, learning
        for parameter in net.parameters():
            parameter.requires_grad_(learning > 0)
        for i, stage in enumerate(stages):
            still = i < len(stages) - learning
            for parameter in stage.parameters():
                parameter.requires_grad_(not still)
            if still or not o.norms:
                stage.eval()
        if not o.norms:
            net.eval()

    def _triplet(self, vectors: Tensor, labels: Tensor) -> Tensor:
        from pytorch_metric_learning.losses import TripletMarginLoss
        from pytorch_metric_learning.miners import BatchHardMiner

        return TripletMarginLoss(margin=0.3)(vectors, labels, BatchHardMiner()(vectors, labels))

    def _whiten(self, net: RetrievalNet, dim: int) -> None:
        from reid.backends.tensors import to_tensor

        vectors = []
        for source in self.sources:
            chosen = np.linspace(0, len(source) - 1, min(len(source), WHITENED_ON)).astype(int)
            for start in range(0, len(chosen), 32):
                pictures = list(source.pictures[chosen[start : start + 32]])
                size = (int(source.pictures.shape[1]), int(source.pictures.shape[2]))
                vectors.append(l2_normalise(net.features(to_tensor(pictures, size)).numpy()))
        mean, matrix = learn_whitening(np.concatenate(vectors), dim)
        net.whitening = Whitening(net.channels, dim)
        net.whitening.mean.copy_(torch.from_numpy(mean))
        net.whitening.matrix.copy_(torch.from_numpy(matrix))


def stages_that_learn(progress: float, count: int, frozen: float, thawed: float) -> int:
    """How many of `count` stages learn at `progress` in 0..1, counted from the last: none until `frozen`, all from
    `thawed` on. Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018."""
    if progress >= max(thawed, frozen):
        return count
    if progress < frozen:
        return 0
    return min(count, 1 + int(count * (progress - frozen) / (thawed - frozen)))


def order_of(classes: Sequence[str]) -> np.ndarray | None:
    """The classes as numbers, (C,) float32; None where one of their names is none."""
    try:
        numbers = np.array([float(name.replace(",", ".")) for name in classes], np.float32)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _targets(source: Labelled, ordered: bool) -> Tensor:
    if not ordered:
        return torch.from_numpy(source.labels)
    numbers = order_of(source.classes)
    assert numbers is not None, "classes were checked to be numbers"
    values = numbers[source.labels]
    return torch.from_numpy((values - values.mean()) / max(float(values.std()), 1e-6))
