"""Losses of scene parsing: values that can be worked out."""

import numpy as np
import pytest
import torch

from reid.datasets import CAMVID_VOID
from reid.training.lovasz import lovasz_softmax
from reid.training.scene_losses import at_size, class_weights, one_of_four, parsing_loss


def test_rare_classes_weigh_more_and_the_mean_is_one():
    labels = np.repeat([0, 1, 2, CAMVID_VOID], [900, 90, 10, 500]).astype(np.uint8)
    weights = class_weights(labels, 3)
    assert weights[0] < weights[1] < weights[2] < 10 * weights[0]
    assert (weights * torch.tensor([0.9, 0.09, 0.01])).sum().item() == pytest.approx(1, abs=1e-5)


def test_labels_at_another_size_keep_to_the_middle():
    labels = torch.arange(64).view(1, 8, 8)
    assert at_size(labels, (2, 2)).tolist() == [[[18, 22], [50, 54]]]
    assert at_size(labels, (8, 8)) is labels


def test_one_of_four_is_the_one_asked_for():
    labels = torch.arange(24).view(1, 4, 6).expand(4, 4, 6)
    found = one_of_four(labels, torch.arange(4))
    for which in range(4):
        assert torch.equal(found[which], labels[0, which // 2 :: 2, which % 2 :: 2])


def test_the_parsing_loss_is_the_weighted_mean():
    labels = torch.tensor([[[0, 1], [2, CAMVID_VOID]]])
    weights = torch.tensor([1.0, 2.0, 5.0])
    assert parsing_loss(torch.zeros(1, 3, 2, 2), labels, weights).item() == pytest.approx(np.log(3), abs=1e-6)
    logits = torch.randn(1, 3, 2, 2)
    each = -logits.log_softmax(1)
    expected = (each[0, 0, 0, 0] + 2 * each[0, 1, 0, 1] + 5 * each[0, 2, 1, 0]) / 8
    assert parsing_loss(logits, labels, weights).item() == pytest.approx(expected.item(), abs=1e-6)


def test_void_alone_costs_nothing():
    void = torch.full((1, 4, 4), CAMVID_VOID)
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    total = parsing_loss(logits, void, torch.ones(3)) + lovasz_softmax(logits, void, CAMVID_VOID)
    total.backward()
    assert total.item() == 0
    assert logits.grad.abs().sum() == 0
