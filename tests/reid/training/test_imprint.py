"""Imprinted classifiers know at once what the features tell apart."""

import numpy as np
import torch
from torch import nn

from reid.training.augmentation import normalised
from reid.training.imprint import imprint
from reid.training.people import People


def test_a_classifier_is_right_from_the_first_step_and_as_sure_as_asked_for():
    # Three people of one colour each; the fourth identity has no picture, and one picture has no identity.
    colours = np.array([[200, 20, 20], [20, 200, 20], [20, 20, 200], [120, 120, 120]], np.uint8)
    identities = np.array([0, 1, 2, 0, 1, 2, -1])
    pictures = np.broadcast_to(colours[identities][:, None, None], (7, 32, 16, 3)).copy()
    people = People(pictures, identities, np.zeros(7, np.int64))
    torch.manual_seed(0)
    one, other = nn.Linear(3, 4, bias=False), nn.Linear(6, 4, bias=False)
    untouched = one.weight[3].clone()

    def features(x: torch.Tensor) -> list[torch.Tensor]:
        mean = x.mean((2, 3))
        return [mean, torch.cat([mean, mean], 1)]

    imprint([one, other], features, people, logit=8.0)
    x = torch.from_numpy(normalised(pictures[:3])).permute(0, 3, 1, 2)
    for classifier, feature in zip((one, other), features(x), strict=True):
        logits = classifier(feature).detach()[:, :3]
        assert logits.argmax(1).tolist() == [0, 1, 2]
        assert abs(float(logits.diagonal().mean()) - 8) < 0.2
    assert torch.equal(one.weight[3], untouched)
