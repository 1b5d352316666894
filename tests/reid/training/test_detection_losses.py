"""What anchors and regions are matched to, and which of them are learnt from."""

import pytest
import torch

from models.boxes import decode, encode
from reid.training.detection_losses import Target, anchor_losses, jittered, match, on_doubtful, region_losses

NONE = torch.zeros(0, 4)


def target(boxes=(), labels=(), doubtful=()):
    def of(rows):
        return torch.tensor(rows, dtype=torch.float).view(-1, 4)

    return Target(of(boxes), torch.tensor(labels, dtype=torch.long), of(doubtful))


def test_boxes_take_the_class_of_what_they_overlap():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [0, 5, 10, 15], [50, 50, 60, 60]])
    found = match(boxes, target([(0, 0, 10, 10)], [2]), right=0.7, wrong=0.4)
    assert found.label.tolist() == [2, -1, 0, 0]
    assert found.target[0].tolist() == [0, 0, 10, 10]


def test_an_object_that_no_anchor_fits_takes_the_nearest():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 30], [50, 50, 60, 60]])
    truth = target([(0, 0, 10, 60)], [1])
    assert match(boxes, truth, 0.7, 0.3).label.tolist() == [0, -1, 0]
    assert match(boxes, truth, 0.7, 0.3, rescue=0.2).label.tolist() == [0, 1, 0]
    assert match(boxes[:1], truth, 0.7, 0.3, rescue=0.2).label.tolist() == [0]


def test_nothing_is_learnt_on_what_is_doubtful():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 40, 40], [0, 0, 10, 11]])
    truth = target([(0, 0, 10, 10)], [1], [(0, 0, 12, 12)])
    assert on_doubtful(boxes, truth.doubtful).tolist() == [True, False, True]
    assert match(boxes, truth, 0.95, 0.95).label.tolist() == [1, 0, -1]


def test_a_frame_of_nothing_is_all_background():
    found = match(torch.rand(5, 4), target(), 0.5, 0.5, rescue=0.2)
    assert found.label.tolist() == [0] * 5


def test_anchor_losses_vanish_where_all_is_said_right():
    anchors = torch.tensor([[0.0, 0, 10, 20], [30, 30, 50, 60], [60, 0, 90, 30]])
    truth = [target([(1, 1, 11, 22)], [1]), target()]
    logits = torch.full((2, 3), -12.0)
    logits[0, 0] = 12.0
    deltas = torch.zeros(2, 3, 4)
    deltas[0, 0] = encode(truth[0].boxes, anchors[:1])[0]
    assert sum(anchor_losses(logits, deltas, anchors, truth).values()) < 1e-3
    assert anchor_losses(-logits, deltas, anchors, truth)["objectness"] > 1
    assert anchor_losses(logits, deltas + 1, anchors, truth)["anchor_box"] > 0.5


def test_the_hardest_regions_are_learnt_from():
    regions = [torch.tensor([[0.0, 0, 10, 20], [30, 30, 50, 60], [60, 0, 90, 30], [70, 50, 90, 90]])]
    truth = [target([(0, 0, 10, 20)], [1])]
    logits = torch.zeros(4, 4)
    logits[:, 0] = torch.tensor([0.0, 9.0, -3.0, 9.0])  # the third is taken for something
    logits[0, 1] = 9.0
    logits.requires_grad_()
    deltas = torch.zeros(4, 4, requires_grad=True)
    losses = region_losses(logits, deltas, regions, truth, keep=1)
    losses["class"].backward()
    assert [bool(row.abs().sum() > 1e-2) for row in logits.grad] == [False, False, True, False]
    # The box of a region without an object is nobody's business.
    everything = region_losses(logits, deltas + 5, regions, truth, keep=4)
    assert everything["region_box"].item() == pytest.approx((5 - 0.5) * 4 / 4, abs=1e-3)


def test_no_region_costs_nothing():
    losses = region_losses(torch.zeros(0, 4), torch.zeros(0, 4), [NONE], [target([(0, 0, 9, 9)], [1])], keep=8)
    assert sum(losses.values()) == 0


def test_jittered_boxes_stay_near():
    torch.manual_seed(0)
    boxes = torch.tensor([[100.0, 100, 140, 200]])
    many = jittered(boxes, 50)
    assert many.shape == (50, 4)
    assert many.std(0).min() > 1
    assert decode(encode(boxes, boxes), boxes).allclose(many.mean(0, keepdim=True), atol=8)
