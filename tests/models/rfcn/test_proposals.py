"""Region proposals: the order of anchors, suppression, cutting, and a bound on how many."""

import torch
from torchvision.ops import box_iou

from models.boxes import encode
from models.rfcn.anchors import grid_anchors
from models.rfcn.proposals import RegionProposals, propose

STRIDES, SIZES, RATIOS = (8, 16), ((10, 20), (30, 40)), (1.0, 2.0)


def test_the_order_is_that_of_the_anchors():
    head = RegionProposals(6, 4)
    torch.nn.init.normal_(head.objectness.weight)
    maps = [torch.randn(2, 6, 3, 5), torch.randn(2, 6, 2, 3)]
    logits, deltas = head(maps)
    assert logits.shape == (2, (15 + 6) * 4)
    assert deltas.shape == (2, (15 + 6) * 4, 4)
    # Anchor 2 of row 1, column 4 of the first map, computed on its own.
    hidden = torch.relu(head.hidden(maps[0]))
    torch.testing.assert_close(logits[1, (1 * 5 + 4) * 4 + 2], head.objectness(hidden)[1, 2, 1, 4])
    torch.testing.assert_close(deltas[1, (1 * 5 + 4) * 4 + 2], head.deltas(hidden)[1, 8:12, 1, 4])


def test_a_fresh_head_expects_little():
    logits, _ = RegionProposals(8, 3)([torch.randn(1, 8, 6, 6)])
    assert logits.sigmoid().max() < 0.05


def test_the_best_boxes_come_first_and_do_not_overlap():
    torch.manual_seed(0)
    anchors = grid_anchors([(6, 8), (3, 4)], STRIDES, SIZES, RATIOS)
    logits, deltas = torch.randn(2, len(anchors)), torch.randn(2, len(anchors), 4)
    target = torch.tensor([[20.0, 10.0, 35.0, 40.0]])
    logits[0, 17], deltas[0, 17] = 9.0, encode(target, anchors[17:18])[0]
    first, second = propose(logits, deltas, anchors, (48, 64), before=150, after=20, overlap=0.5)
    torch.testing.assert_close(first[:1], target, rtol=1e-4, atol=1e-3)
    for boxes in (first, second):
        assert 0 < len(boxes) <= 20
        assert (boxes >= 0).all()
        assert (boxes[:, 2] <= 64).all()
        assert (boxes[:, 3] <= 48).all()
        overlap = box_iou(boxes, boxes).fill_diagonal_(0)
        assert overlap.max() <= 0.5


def test_slivers_go():
    anchors = torch.tensor([[0.0, 0.0, 2.0, 30.0], [10.0, 10.0, 30.0, 30.0]])
    (boxes,) = propose(torch.tensor([[5.0, 1.0]]), torch.zeros(1, 2, 4), anchors, (40, 40))
    torch.testing.assert_close(boxes, anchors[1:])
