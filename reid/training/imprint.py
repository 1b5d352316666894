"""Classifiers that begin with what a network knows: each class's weights point where its features do.

Qi et al., "Low-Shot Learning with Imprinted Weights", CVPR 2018. A network that was trained before comes without its
classifiers, and drawn at random they would bend it for an epoch until they have caught up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reid.backends.precision import autocast
from reid.training.augmentation import normalised
from reid.training.people import People

Features = Callable[[Tensor], Sequence[Tensor]]
"""Turns pictures (N, 3, H, W), normalised, into a feature (N, C) for each classifier."""


@torch.no_grad()
def imprint(
    classifiers: Sequence[nn.Linear], features: Features, people: People, *, views: int = 4, logit: float = 8.0
) -> None:
    """Give each classifier (classes, C) the mean direction of every class's features, out of `views` pictures each.

    Args:
        features: of a network in inference mode.
        people: the pictures; those of identity -1 are passed over. A class without pictures keeps its weights.
        logit: what a class's own pictures are to get on average.
    """
    rng = np.random.default_rng(3)
    index = rng.permutation(len(people))
    order = index[np.argsort(people.identities[index], kind="stable")]
    identities = people.identities[order]
    rank = np.arange(len(order)) - np.searchsorted(identities, identities)
    order = order[(rank < views) & (identities >= 0)]
    labels = torch.from_numpy(people.identities[order])
    batches = []
    for start in range(0, len(order), 64):
        pictures = torch.from_numpy(normalised(people.pictures[order[start : start + 64]])).permute(0, 3, 1, 2)
        with autocast():
            batches.append([feature.float() for feature in features(pictures)])
    for classifier, parts in zip(classifiers, zip(*batches, strict=True), strict=True):
        feature = torch.cat(parts)
        sums = torch.zeros_like(classifier.weight).index_add_(0, labels, F.normalize(feature, dim=1))
        present = torch.bincount(labels, minlength=len(sums)) > 0
        directions = F.normalize(sums, dim=1)
        own = (feature * directions[labels]).sum(1).mean().clamp(min=1e-3)
        classifier.weight[present] = (logit / own * directions)[present]
