"""R-FCN as a whole: sizes, coordinates, suppression, and the same boxes with norms folded away."""

import pytest
import torch
from torchvision.ops import box_iou

from models.boxes import CLASSES, encode
from models.rfcn import RFCN, RFCNConfig, select

TINY = RFCNConfig(channels=(8, 8, 12, 16), depths=(1, 1, 1), width=8, grid=3)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return RFCN(TINY).eval()


def test_sizes(network):
    maps = network(torch.randn(2, 3, 64, 96))
    assert [tuple(s.shape) for s in maps.scores] == [(2, 72, 8, 12), (2, 72, 4, 6), (2, 72, 2, 3)]
    assert maps.logits.shape == (2, len(maps.anchors))
    assert maps.deltas.shape == (2, len(maps.anchors), 4)
    assert len(maps.anchors) == (96 + 24 + 6) * 9
    assert maps.size == (64, 96)


@pytest.mark.parametrize("shape", [(1, 3, 64, 70), (1, 3, 60, 64), (3, 64, 64), (1, 1, 64, 64)])
def test_odd_sizes_are_refused(network, shape):
    with pytest.raises(ValueError, match="multiples of 32"):
        network(torch.zeros(shape))


def test_the_shipped_shape_is_small_enough():
    parameters = sum(p.numel() for p in RFCN().parameters())
    assert parameters * 4 < 20e6


def test_boxes_come_out_where_the_maps_put_them(network):
    """An anchor moved onto a target, and maps that vote for a class everywhere: the target is found, once."""
    target = torch.tensor([[20.0, 8.0, 44.0, 60.0]])
    network.fuse()
    forward = network.forward

    def planted(x):
        maps = forward(x)
        near = int(box_iou(maps.anchors, target).argmax())
        maps.logits.fill_(-9.0)
        maps.logits[0, near] = 9.0
        maps.deltas.zero_()
        maps.deltas[0, near] = encode(target, maps.anchors[near : near + 1])[0]
        for scores in maps.scores:
            scores.zero_()
            scores[:, 9:18] = 5.0  # class 1
        return maps

    network.forward = planted
    (found,) = network.detect(torch.zeros(1, 3, 64, 64), least=0.5, overlap=0.3, regions=1)
    torch.testing.assert_close(found.boxes, target, rtol=1e-3, atol=1e-2)
    assert found.labels.tolist() == [CLASSES.index("person")]
    assert found.scores[0] == pytest.approx(torch.tensor([0.0, 5.0, 0, 0]).softmax(0)[1].item(), abs=1e-4)


def test_suppression_is_class_by_class_and_bounded():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [0.0, 0.0, 10.0, 10.0], [50.0, 0, 60, 10]])
    probabilities = torch.tensor([[0.1, 0.9, 0, 0], [0.2, 0.8, 0, 0], [0.3, 0, 0.7, 0], [0.99, 0.01, 0, 0]])
    found = select(boxes, probabilities, least=0.05, overlap=0.5, most=10)
    assert found.labels.tolist() == [1, 2]
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.7]))
    assert len(select(boxes, probabilities, least=0.05, overlap=0.5, most=1).boxes) == 1


def test_folding_norms_changes_nothing(network):
    x = torch.randn(1, 3, 64, 64)
    before = network(x)
    after = network.fuse()(x)
    torch.testing.assert_close(after.logits, before.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after.scores[0], before.scores[0], atol=1e-4, rtol=1e-4)


def test_gradients_reach_every_weight(network):
    network.train()
    maps = network(torch.randn(2, 3, 64, 64))
    regions = [torch.tensor([[0.0, 0.0, 20.0, 40.0], [0.0, 0.0, 60.0, 64.0]])] * 2
    logits, deltas = network.read(maps, regions)
    (
        logits.square().sum() + deltas.square().sum() + maps.logits.square().mean() + maps.deltas.square().sum()
    ).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_doubt_lowers_every_score_alike_and_keeps_their_order(network):
    torch.nn.init.normal_(network.score_maps.maps.weight, std=0.5)
    regions = [torch.tensor([[4.0, 4.0, 40.0, 60.0], [30.0, 8.0, 70.0, 50.0]])]
    changed = RFCN(TINY).eval()
    changed.load_state_dict({**network.state_dict(), **network.doubting(1.5)})
    x = torch.randn(1, 3, 64, 96)
    before, moves = network.read(network(x), regions)
    after, still = changed.read(changed(x), regions)
    torch.testing.assert_close(after - before, torch.tensor([[1.5, 0, 0, 0]]).expand(2, 4), atol=1e-4, rtol=0)
    torch.testing.assert_close(still, moves)
