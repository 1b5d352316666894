"""Lovász-softmax: what can be worked out of it."""

import pytest
import torch

from reid.training.lovasz import lovasz_softmax

VOID = 11


def sure(labels, classes=3, margin=50.0):
    return torch.nn.functional.one_hot(labels, classes).permute(0, 3, 1, 2).float() * margin


def test_lovasz_of_a_sure_answer_is_one_less_its_iou():
    torch.manual_seed(0)
    labels, answers = torch.randint(0, 3, (2, 2, 6, 5))
    labels[0, 0] = VOID
    counted = labels != VOID
    iou = [
        ((labels == c) & (answers == c))[counted].sum() / ((labels == c) | (answers == c))[counted].sum()
        for c in range(3)
    ]
    found = lovasz_softmax(sure(answers), labels, VOID).item()
    assert found == pytest.approx(1 - torch.stack(iou).mean().item(), abs=1e-5)
    assert lovasz_softmax(sure(labels.clamp(max=2)), labels, VOID).item() == pytest.approx(0, abs=1e-5)


def test_lovasz_goes_down_its_gradient():
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (1, 6, 5))
    logits = torch.randn(1, 3, 6, 5, requires_grad=True)
    before = lovasz_softmax(logits, labels, VOID)
    (grad,) = torch.autograd.grad(before, logits)
    assert lovasz_softmax(logits - 5 * grad, labels, VOID) < before
