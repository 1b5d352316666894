"""R-CNN: what comes out, that place matters for the box alone, and that every weight learns."""

import torch

from models.rcnn import RCNN
from models.trunk import TrunkConfig

TINY = TrunkConfig(stem=8, channels=(8, 12, 16, 24), depths=(1, 1, 1, 1), bottleneck=8)


def test_outputs():
    out = RCNN(TINY)(torch.randn(3, 3, 64, 32))
    assert {k: tuple(v.shape) for k, v in out.items()} == {"logits": (3, 4), "deltas": (3, 4), "pooled": (3, 24)}


def test_a_fresh_network_leaves_regions_where_they_are():
    out = RCNN(TINY).eval()(torch.randn(2, 3, 64, 32))
    assert out["deltas"].abs().max() < 0.5
    assert out["logits"].softmax(1).amax() < 0.5


def test_the_box_depends_on_place_and_the_class_does_not():
    network = RCNN(TINY)
    network.trunk.forward = lambda x: [x]
    features = torch.randn(1, 24, 8, 4)
    there, mirrored = network(features), network(features.flip(3))
    torch.testing.assert_close(there["logits"], mirrored["logits"])
    assert not torch.allclose(there["deltas"], mirrored["deltas"])


def test_gradients_reach_every_weight():
    network = RCNN(TINY)
    for block in network.trunk.modules():  # blocks start as their shortcuts: wake them
        if isinstance(block, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(block.weight)
    out = network(torch.randn(4, 3, 64, 32))
    (out["logits"].square().sum() + out["deltas"].square().sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_doubt_moves_the_background_alone():
    network = RCNN(TINY).eval()
    x = torch.randn(2, 3, 64, 32)
    before = network(x)["logits"]
    network.load_state_dict({**network.state_dict(), **network.doubting(2.0)})
    torch.testing.assert_close(network(x)["logits"] - before, torch.tensor([[2.0, 0, 0, 0]]).expand(2, 4))
