"""Recipe `gpn`: identity, joints, metres, parsing and parts at once, out of pictures that each know some of it.

Real pictures bring identities and what teachers said of them; rendered people bring exact truth for everything; parsed
photos bring clothes. Every batch holds some of each group, and every loss counts only where its truth is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.gpn.anatomy import MIRRORED, PARTS
from models.gpn.network import GPN, GPNConfig
from reid.backends.gpn import Gpn, GpnSynthetic
from reid.backends.precision import autocast
from reid.training.augmentation import Augmentation, augment
from reid.training.body_losses import (
    COARSE_PARSE,
    FULL_PARSE,
    NO_PARSE,
    SILHOUETTE,
    UNKNOWN,
    Bodies,
    hiding_loss,
    joint_losses,
    metre_loss,
    overlap_loss,
    parse_loss,
    visible_parts,
)
from reid.training.imprint import imprint
from reid.training.people import People, identity_batches
from reid.training.schedule import adamw, warm_cosine
from reid.training.trunk import follow_teacher

SMOOTH = 0.1


@dataclass(frozen=True)
class Group:
    """Pictures that share a place in every batch: `people` x `views`, or `views` pictures without identity."""

    index: np.ndarray
    people: int
    views: int


class GPNTraining(nn.Module):
    """GPN with the classifiers that only training needs: on the neck, each stripe, each part and the whole.

    Args:
        steady: FEA NET's batch norms keep the statistics they came with. A trunk that was trained on real people knows
            theirs; the rendered people in every batch would shift them.
        closer: nothing but PARSE NET's closer look trains.
    """

    def __init__(self, net: GPN, n_identities: int, steady: bool = False, closer: bool = False) -> None:
        super().__init__()
        self.net, self.steady, self.closer = net, steady, closer
        config = net.config

        def classifier(width: int) -> nn.Linear:
            layer = nn.Linear(width, n_identities, bias=False)
            nn.init.normal_(layer.weight, std=0.01)
            return layer

        self.neck = classifier(net.fea.channels)
        self.stripes = nn.ModuleList(classifier(net.fea.stripe_dim) for _ in range(net.fea.n_stripes))
        self.parts = nn.ModuleList(classifier(config.part_dim) for _ in PARTS)
        self.whole = classifier(config.part_dim)

    def train(self, mode: bool = True) -> GPNTraining:
        if self.closer:
            super().train(False)
            self.net.parse.closer.train(mode)
            return self
        super().train(mode)
        if self.steady:
            for module in self.net.fea.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    module.eval()
        return self


class GPNRecipe:
    """See the module's text.

    Args:
        people: all pictures; identity -1 where there is none.
        bodies: their truth, row for row.
        groups: what a batch is made of.
        start: weights of a FEA NET (from the recipe `trunk`) or of a whole GPN; its norms keep their statistics.
        eager: how much faster than a trunk out of `start` all else learns.
        frozen: the trunk of `start` does not learn at all: steps are shorter, and the whole's vector stays what it was.
        closer: PARSE NET's closer look alone learns, and all else of `start` stays what it was, vectors and joints too.
        outlines: of pictures whose outline alone is known, one in so many is parsed finely; of fully labelled ones,
            every second one.
        steps_an_epoch: optimiser steps; by default one pass over the first group.
    """

    def __init__(
        self,
        people: People,
        bodies: Bodies,
        groups: Sequence[Group],
        *,
        epochs: int,
        name: str = "gpn",
        config: GPNConfig | None = None,
        start: Path | None = None,
        rate: float = 5e-4,
        weight_decay: float = 0.02,
        warm_up: float = 0.03,
        teach: float = 1.0,
        eager: float = 3.0,
        frozen: bool = False,
        closer: bool = False,
        outlines: int = 2,
        steps_an_epoch: int | None = None,
        augmentation: Augmentation | None = None,
        validation: Any = None,
        evaluate_every: int = 5,
    ) -> None:
        self.people, self.bodies, self.groups, self.epochs, self.name = people, bodies, groups, epochs, name
        self.config, self.start, self.rate, self.weight_decay = config, start, rate, weight_decay
        self.warm_up, self.teach, self.eager, self.outlines = warm_up, teach, eager, outlines
        self.frozen, self.closer = frozen, closer
        self.augmentation = augmentation or Augmentation(erase=0.1, block=0.2, paste=0.5)
        self.validation, self.evaluate_every = validation, evaluate_every
        first = groups[0]
        self._steps = steps_an_epoch or len(first.index) // (first.people * first.views)
        self.miner = BatchHardMiner()
        self.triplet = TripletMarginLoss(margin=0.3)

    def build(self, fresh: bool = True) -> GPNTraining:
        model = GPNTraining(GPN(self.config), self.people.n_identities, self.start is not None, self.closer)
        if fresh and self.start is not None:
            state = load_file(self.start)
            whole = any(key.startswith("fea.") for key in state)
            (model.net if whole else model.net.fea).load_state_dict(state)
            if not self.closer:
                self._imprint(model, whole)
        if self.frozen:
            model.net.fea.requires_grad_(False)
        if self.closer:
            model.requires_grad_(False)
            model.net.parse.closer.requires_grad_(True)
        return model

    def _imprint(self, model: GPNTraining, whole: bool) -> None:
        """Classifiers begin as what the loaded network, FEA NET alone or the `whole`, makes of everybody."""
        model.eval()
        known = [model.neck, *model.stripes, *([*model.parts, model.whole] if whole else [])]

        def features(x: Tensor) -> list[Tensor]:
            out = model.net(x, parse=False) if whole else model.net.fea(x)
            return [
                out["neck"],
                *out["stripes"].unbind(1),
                *([*out["parts"].unbind(1), out["whole"]] if whole else []),
            ]

        imprint(known, features, self.people)

    def optimiser(self, model: Any) -> torch.optim.Optimizer:
        """The trunk, which has learnt before, at the rate given; all else at `eager` times as much."""
        slow = model.net.fea if self.start is not None else None
        return adamw(model, self.rate, self.weight_decay, slow, self.eager)

    def learning_rate(self, progress: float) -> float:
        return warm_cosine(progress, self.warm_up)

    def steps(self, epoch: int) -> int:
        return self._steps

    def batches(self, epoch: int) -> Iterator[tuple[Any, ...]]:
        rng = np.random.default_rng([11, epoch])
        people, bodies = self.people, self.bodies
        streams = [self._stream(group, rng) for group in self.groups]
        for _ in range(self._steps):
            index = np.concatenate([next(stream) for stream in streams])
            rows = torch.from_numpy(index)
            masks, scheme = bodies.masks[rows], bodies.scheme[rows]
            has_outline = (scheme != NO_PARSE).all()
            outline = ((masks > 0) & (masks != UNKNOWN)).numpy() if has_outline else None
            moved = augment(people.pictures[index], rng, self.augmentation, outline)
            joints = moved.move_joints(bodies.joints[rows], MIRRORED)
            xyz = moved.swap_sides(bodies.xyz[rows], MIRRORED)
            xyz = torch.where(moved.mirrored[:, None, None], xyz * torch.tensor([-1.0, 1.0, 1.0]), xyz)
            taught = None if people.taught is None else torch.from_numpy(people.taught[index])
            labels = moved.move_masks(masks.long())
            known = torch.from_numpy(people.identities[index])
            yield moved.pictures, known, taught, joints, xyz, labels, scheme, moved.crossed

    def _stream(self, group: Group, rng: np.random.Generator) -> Iterator[np.ndarray]:
        if group.people:
            identities = self.people.identities[group.index]
            for batch in identity_batches(identities, group.people, group.views, rng, self._steps):
                yield group.index[batch]
            return
        for _ in range(self._steps):
            yield rng.choice(group.index, group.views, replace=len(group.index) < group.views)

    def losses(self, model: Any, batch: tuple[Any, ...]) -> dict[str, Tensor]:
        pictures, identities, taught, joints, xyz, masks, scheme, crossed = batch
        # The rough parsing learns from every picture; the closer look, which takes longer, from some of those alike,
        # and from more of them where it learns alone.
        fine = scheme == COARSE_PARSE
        fine[torch.where(scheme == FULL_PARSE)[0][:: 1 if self.closer else 2]] = True
        fine[torch.where(scheme == SILHOUETTE)[0][:: self.outlines]] = True
        # Written out, attention between 128 places goes back faster than the fused one: a fifth of the whole step.
        with autocast(), sdpa_kernel(SDPBackend.MATH):
            out = model.net(pictures, fine)
        out = {k: v.float() if isinstance(v, Tensor) else v for k, v in out.items()}
        losses = {
            "parse": parse_loss(out["parse"], masks[fine], scheme[fine]),
            "overlap": overlap_loss(out["parse"], masks[fine], scheme[fine]),
            "hiding": 2 * hiding_loss(out["hiding"], crossed[fine]),
        }
        if self.closer:
            return losses
        losses |= identity_losses(model, out, identities)
        who = identities >= 0
        neck = out["neck"][who]
        losses["triplet"] = self.triplet(neck, identities[who], self.miner(neck, identities[who]))
        losses |= joint_losses(out, joints)
        losses["metres"] = metre_loss(out["xyz"], xyz)
        losses["rough"] = 0.5 * parse_loss(out["rough"], masks[:, ::2, ::2], scheme)
        target, known = visible_parts(joints, masks, scheme)
        visible = F.binary_cross_entropy_with_logits(out["visible"], target, reduction="none")
        losses["visible"] = 0.5 * (visible * known).sum() / known.sum().clamp(min=1)
        losses["parts"] = part_identity_loss(model, out, identities, torch.where(known, target, 0.5))
        backend = GpnSynthetic if self.name == GpnSynthetic.card.name else Gpn
        losses["match"] = match_loss(out, identities, backend.views)
        if taught is not None and self.teach > 0:
            losses |= {k: self.teach * v for k, v in follow_teacher(out["embedding"], taught).items()}
        return losses

    def evaluate(self, model: Any, epoch: int) -> dict[str, float]:
        if self.validation is None or ((epoch + 1) % self.evaluate_every and epoch + 1 != self.epochs):
            return {}
        return self.validation(model.net)

    def shipped(self, model: Any) -> dict[str, Tensor]:
        return dict(model.net.state_dict())


def identity_losses(model: Any, out: dict[str, Any], identities: Tensor) -> dict[str, Tensor]:
    """Softmax on the neck, the stripes and the whole, for pictures that have an identity."""
    who = identities >= 0

    def cross(head: nn.Module, feature: Tensor) -> Tensor:
        return F.cross_entropy(head(feature[who]), identities[who], label_smoothing=SMOOTH)

    stripes = [cross(head, out["stripes"][:, i]) for i, head in enumerate(model.stripes)]
    return {
        "identity": cross(model.neck, out["neck"]),
        "stripes": 0.5 * torch.stack(stripes).mean(),
        "whole": 0.5 * cross(model.whole, out["whole"]),
    }


def part_identity_loss(model: Any, out: dict[str, Any], identities: Tensor, visibility: Tensor) -> Tensor:
    """Softmax on every part, weighed by how much of it is seen (N, P): a hidden part cannot tell who it is."""
    total, weight = out["parts"].sum() * 0, torch.tensor(1e-6)
    who = identities >= 0
    for i, head in enumerate(model.parts):
        seen = visibility[who, i] * (visibility[who, i] > 0.2)
        logits = head(out["parts"][who, i])
        each = F.cross_entropy(logits, identities[who], label_smoothing=SMOOTH, reduction="none")
        total, weight = total + (each * seen).sum(), weight + seen.sum()
    return 0.5 * total / weight


def match_loss(out: dict[str, Any], identities: Tensor, views: Mapping[str, float], temperature: float = 0.1) -> Tensor:
    """Batch-hard triplets on the similarity that re-ranks by parts, `reid.search.parts.part_similarity`.

    A part learns what the whole, made of `views` of the backend's lengths and standing still here, gets wrong, and only
    from pairs that both show it. After Somers et al., "Body Part-Based Representation Learning for Occluded Person
    Re-Identification", WACV 2023.
    """
    who = identities >= 0
    same = identities[who][:, None] == identities[who]
    wholes = [F.normalize(F.normalize(out[view][who].detach(), dim=-1).flatten(1), dim=1) for view in views]
    weights = [length**2 / sum(x**2 for x in views.values()) for length in views.values()]
    whole = sum(weight * vector @ vector.T for weight, vector in zip(weights, wholes, strict=True))
    parts = F.normalize(out["parts"][who], dim=2)
    seen = out["visible"][who].detach().sigmoid()
    shared = torch.minimum(seen[:, None], seen)  # (N, N, P)
    told = torch.einsum("npd,mpd,nmp->nm", parts, parts, shared)
    similarity = (len(PARTS) * whole + told) / (len(PARTS) + shared.sum(2))
    itself = torch.eye(len(same), dtype=torch.bool)
    friend = same & ~itself
    paired = friend.any(1) & ~same.all(1)
    if not paired.any():
        return out["parts"].sum() * 0
    worst = similarity.masked_fill(~friend, 2.0).amin(1)
    best = similarity.masked_fill(same, -2.0).amax(1)
    return 0.5 * F.softplus((best - worst)[paired] / temperature).mean()
