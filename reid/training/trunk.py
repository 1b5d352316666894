"""Recipe `trunk`: FEA NET on identities, with a teacher's embeddings where they were cached.

Losses: softmax with label smoothing on the neck and on each stripe, batch-hard triplets on the neck (Hermans et
al., "In Defense of the Triplet Loss", 2017), and two that follow the teacher: its direction (cosine) and its
neighbourhoods (Kullback-Leibler divergence of similarity rows within the batch; Park et al., "Relational Knowledge
Distillation", CVPR 2019, in spirit).

Blends of the pictures may come beside the people, of which the teacher alone says who they are.

Things may come beside them too: their classes by softmax on a neck of the same trunk, and what a teacher of things
says of them. A trunk that saw people alone puts a beach beside a bus.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from safetensors.torch import load_file
from torch import Tensor, nn

from models.gpn.fea_net import FeaNet
from models.trunk import TrunkConfig
from reid.backends.precision import autocast
from reid.training.augmentation import THINGS, Augmentation, augment
from reid.training.blends import Blends
from reid.training.imprint import imprint
from reid.training.labelled import Labelled
from reid.training.people import People, identity_batches
from reid.training.schedule import adamw, warm_cosine


class Batch(NamedTuple):
    """A step's pictures, (P + B + T, 3, H, W): people, and after them blends and things where a run has any.

    Identities are (P,), `taught` is what the teacher said of people and blends, (P + B, D); `labels` (T,) and `told`
    (T, E) are what is known of the things.
    """

    pictures: Tensor
    identities: Tensor
    taught: Tensor | None
    labels: Tensor | None = None
    told: Tensor | None = None


class TrunkTraining(nn.Module):
    """FEA NET with the heads that only training needs."""

    def __init__(self, net: FeaNet, n_identities: int, things: Labelled | None = None) -> None:
        super().__init__()
        self.net = net
        self.classify = nn.Linear(net.channels, n_identities, bias=False)
        self.classify_stripe = nn.ModuleList(
            nn.Linear(net.stripe_dim, n_identities, bias=False) for _ in range(net.n_stripes)
        )
        for module in [self.classify, *self.classify_stripe]:
            nn.init.normal_(module.weight, std=0.01)
        self.classify_thing = self.tell_thing = None
        if things is not None:
            self.classify_thing = nn.Linear(net.channels, len(things.classes))
            if things.taught is not None:
                self.tell_thing = nn.Linear(net.channels, things.taught.shape[1])


class TrunkRecipe:
    """See the module's text. `people` holds pictures at the size this run trains at; the first share `grow` of the
    epochs sees them at three quarters of it, which takes little more than half the time (progressive resizing).
    A batch has `batch_blends` of the `blends`, made of the people's pictures, and `batch_things` of the `things`, which
    are of the same size, two of a class.
    """

    name = "trunk"

    def __init__(
        self,
        people: People,
        *,
        epochs: int,
        blends: Blends | None = None,
        things: Labelled | None = None,
        start: Path | None = None,
        config: TrunkConfig | None = None,
        rate: float = 1e-3,
        weight_decay: float = 0.02,
        warm_up: float = 0.03,
        batch_people: int = 16,
        batch_views: int = 4,
        batch_blends: int = 32,
        batch_things: int = 16,
        teach: float = 1.0,
        grow: float = 0.0,
        augmentation: Augmentation | None = None,
        validation: Any = None,
        evaluate_every: int = 5,
    ) -> None:
        self.people, self.blends, self.things = people, blends, things
        self.epochs, self.start, self.config = epochs, start, config
        self.rate, self.weight_decay, self.warm_up = rate, weight_decay, warm_up
        self.batch_people, self.batch_views = batch_people, batch_views
        self.batch_blends, self.batch_things = batch_blends, batch_things
        self.teach, self.grow = teach, grow
        self.augmentation = augmentation or Augmentation()
        self.validation, self.evaluate_every = validation, evaluate_every
        self.miner = BatchHardMiner()
        self.triplet = TripletMarginLoss(margin=0.3)

    def build(self, fresh: bool = True) -> TrunkTraining:
        model = TrunkTraining(FeaNet(self.config), self.people.n_identities, self.things)
        if fresh and self.start is not None:
            model.net.load_state_dict(load_file(self.start))
            model.eval()
            imprint([model.classify, *model.classify_stripe], lambda x: _classified(model.net(x)), self.people)
        return model

    def optimiser(self, model: Any) -> torch.optim.Optimizer:
        return adamw(model, self.rate, self.weight_decay)

    def learning_rate(self, progress: float) -> float:
        return warm_cosine(progress, self.warm_up)

    def steps(self, epoch: int) -> int:
        return len(self.people) // (self.batch_people * self.batch_views)

    def batches(self, epoch: int) -> Iterator[Batch]:
        rng = np.random.default_rng([7, epoch])
        people, steps = self.people, self.steps(epoch)
        size = _shrunk(people.pictures.shape[1:3]) if epoch < self.grow * self.epochs else None
        things, blends = self._things(epoch, size), self._blends(epoch, size)
        for index in identity_batches(people.identities, self.batch_people, self.batch_views, rng, steps):
            pictures = augment(people.pictures[index], rng, self.augmentation, size=size).pictures
            taught = None if people.taught is None else torch.from_numpy(people.taught[index])
            identities = torch.from_numpy(people.identities[index])
            if self.blends is not None and taught is not None:
                blended, said = next(blends)
                pictures = torch.cat([pictures, blended]).contiguous(memory_format=torch.channels_last)
                taught = torch.cat([taught, said])
            if self.things is None:
                yield Batch(pictures, identities, taught)
                continue
            seen, labels, told = next(things)
            both = torch.cat([pictures, seen]).contiguous(memory_format=torch.channels_last)
            yield Batch(both, identities, taught, labels, told)

    def _blends(self, epoch: int, size: tuple[int, int] | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Blends for each step of an epoch, drawn apart; nothing covers them, for the teacher saw them whole."""
        blends = self.blends
        if blends is None:
            return
        rng = np.random.default_rng([9, epoch])
        strength = replace(self.augmentation, erase=0.0, block=0.0, paste=0.0)
        for _ in range(self.steps(epoch)):
            index = rng.integers(len(blends), size=self.batch_blends)
            blended = np.stack([blends.picture(self.people.pictures, i) for i in index])
            yield augment(blended, rng, strength, size=size).pictures, torch.from_numpy(blends.taught[index])

    def _things(self, epoch: int, size: tuple[int, int] | None) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Things for each step of an epoch, drawn apart from the people, whom they do not change."""
        things = self.things
        if things is None:
            return
        rng = np.random.default_rng([8, epoch])
        classes = min(self.batch_things // 2, len(things.classes))
        for index in identity_batches(things.labels, classes, 2, rng, self.steps(epoch)):
            pictures = augment(things.pictures[index], rng, THINGS, size=size).pictures
            told = None if things.taught is None else torch.from_numpy(things.taught[index])
            yield pictures, torch.from_numpy(things.labels[index]), told

    def losses(self, model: Any, batch: Batch) -> dict[str, Tensor]:
        identities, taught = batch.identities, batch.taught
        with autocast():
            whole = model.net(batch.pictures)
            out = {key: value[: len(identities)] for key, value in whole.items() if key != "maps"}
            logits = model.classify(out["neck"])
            stripe_logits = [head(out["stripes"][:, i]) for i, head in enumerate(model.classify_stripe)]
        smooth = 0.1
        losses = {
            "identity": F.cross_entropy(logits.float(), identities, label_smoothing=smooth),
            "stripes": 0.5
            * torch.stack(
                [F.cross_entropy(s.float(), identities, label_smoothing=smooth) for s in stripe_logits]
            ).mean(),
        }
        # On the neck, not before it: pooled features are all positive, hence nearly parallel, and distances collapse.
        neck = out["neck"].float()
        losses["triplet"] = self.triplet(neck, identities, self.miner(neck, identities))
        if taught is not None and self.teach > 0:
            embedding = whole["embedding"][: len(taught)].float()
            losses |= {k: self.teach * v for k, v in follow_teacher(embedding, taught).items()}
        if batch.labels is not None:
            losses |= self._thing_losses(model, whole["neck"][-len(batch.labels) :].float(), batch.labels, batch.told)
        return losses

    def _thing_losses(self, model: Any, neck: Tensor, labels: Tensor, told: Tensor | None) -> dict[str, Tensor]:
        losses = {"things": F.cross_entropy(model.classify_thing(neck), labels, label_smoothing=0.1)}
        if told is not None and self.teach > 0:
            follows = follow_teacher(model.tell_thing(neck), told)
            losses |= {f"{key} of things": self.teach * value for key, value in follows.items()}
        return losses

    def evaluate(self, model: Any, epoch: int) -> dict[str, float]:
        if self.validation is None or ((epoch + 1) % self.evaluate_every and epoch + 1 != self.epochs):
            return {}
        return self.validation(model.net)

    def shipped(self, model: Any) -> dict[str, Tensor]:
        return dict(model.net.state_dict())


def _classified(out: dict[str, Any]) -> list[Tensor]:
    """The features that identities are read from: the neck, and each stripe."""
    return [out["neck"], *out["stripes"].unbind(1)]


def _shrunk(size: tuple[int, int]) -> tuple[int, int]:
    """Three quarters of a size, in the trunk's steps of 16."""
    height, width = (max(1, round(side * 0.75 / 16)) * 16 for side in size)
    return height, width


def follow_teacher(student: Tensor, teacher: Tensor, temperature: float = 0.07) -> dict[str, Tensor]:
    """Losses that pull student embeddings (N, D) towards a teacher's (N, D); rows of zeros have no teacher."""
    has = teacher.abs().sum(1) > 0
    student, teacher = F.normalize(student[has], dim=1), F.normalize(teacher[has], dim=1)
    if len(student) < 2:
        return {}
    eye = torch.eye(len(student), dtype=torch.bool)
    row_s = (student @ student.T / temperature).masked_fill(eye, -1e4)
    row_t = (teacher @ teacher.T / temperature).masked_fill(eye, -1e4)
    relation = F.kl_div(row_s.log_softmax(1), row_t.log_softmax(1), log_target=True, reduction="batchmean")
    return {"direction": 4 * (1 - (student * teacher).sum(1)).mean(), "neighbours": relation}
