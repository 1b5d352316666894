"""GPN as a whole: what comes out, the same in batches and alone, and a graph that does not bend the pose."""

import pytest
import torch

from models.gpn.anatomy import PARTS
from models.gpn.network import GPN, GPNConfig, shrink
from models.trunk import TrunkConfig

TINY = GPNConfig(
    trunk=TrunkConfig(stem=8, channels=(8, 12, 16, 24), depths=(1, 1, 1, 1), bottleneck=8),
    dim=20,
    decoder=12,
    part_dim=10,
)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return GPN(TINY).eval()


def test_outputs(net):
    out = net(torch.randn(2, 3, 64, 32))
    assert out["embedding"].shape == (2, 20)
    assert out["parts"].shape == (2, len(PARTS), 10)
    assert out["visible"].shape == (2, len(PARTS))
    assert out["whole"].shape == (2, 10)
    assert out["parse"].shape == (2, 11, 32, 16)
    assert out["rough"].shape == (2, 11, 16, 8)
    assert out["xyz"].shape == (2, 17, 3)


def test_a_picture_gives_the_same_alone_and_in_a_batch(net):
    x = torch.randn(3, 3, 64, 32)
    together, alone = net(x), net(x[1:2])
    for key in ("embedding", "parts", "visible", "whole", "parse", "xyz", "xy"):
        torch.testing.assert_close(together[key][1:2], alone[key], atol=1e-4, rtol=1e-4)


def test_the_fine_parsing_can_be_left_out_and_nothing_else_changes(net):
    x = torch.randn(2, 3, 64, 32)
    whole, quick = net(x), net(x, parse=False)
    assert whole.keys() - quick.keys() == {"parse", "hiding"}
    for key in ("embedding", "parts", "visible", "whole", "rough", "xyz", "xy"):
        torch.testing.assert_close(quick[key], whole[key])


def test_the_fine_parsing_of_some_pictures_alone(net):
    x = torch.randn(4, 3, 64, 32)
    chosen = torch.tensor([False, True, False, True])
    torch.testing.assert_close(net(x, parse=chosen)["parse"], net(x)["parse"][chosen], atol=1e-5, rtol=1e-5)


def test_the_graph_reads_skeleton_and_parsing_without_bending_them():
    net = GPN(TINY)
    net(torch.randn(4, 3, 64, 32))["parts"].square().sum().backward()
    assert all(p.grad is None for p in net.skeleton.parameters())
    assert all(p.grad is None for p in net.parse.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in net.fea.trunk.parameters())


def test_shrunk_maps_still_sum_to_one():
    probability = torch.rand(2, 3, 16, 8)
    probability /= probability.sum((2, 3), keepdim=True)
    torch.testing.assert_close(shrink(probability, (4, 2)).sum((2, 3)), torch.ones(2, 3))
