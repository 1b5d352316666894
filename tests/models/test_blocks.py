"""Blocks: sizes, shape of what comes out, and the same figures with norms folded away."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.blocks import ConvNorm, Residual, fuse, gathered


@pytest.mark.parametrize(("stride", "side"), [(1, 9), (2, 5)])
def test_sizes_are_divided_and_rounded_up(stride, side):
    assert ConvNorm(3, 8, stride=stride)(torch.randn(2, 3, 9, 9)).shape == (2, 8, side, side)
    assert Residual(3, 8, stride)(torch.randn(2, 3, 9, 9)).shape == (2, 8, side, side)


def test_folding_norms_changes_nothing():
    torch.manual_seed(0)
    network = torch.nn.Sequential(ConvNorm(3, 8), Residual(8, 12, 2), ConvNorm(12, 4, 1, linear=True))
    for _ in range(3):  # statistics that are not those of a fresh norm
        network(torch.randn(4, 3, 16, 16) * 2 + 1)
    x = torch.randn(1, 3, 16, 16)
    before = network.eval()(x)
    fuse(network)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    torch.testing.assert_close(network(x), before, rtol=1e-4, atol=1e-5)
    assert before.min() < 0, "the last block is linear"


def test_gradients_reach_every_weight():
    block = Residual(4, 6, 2)
    block(torch.randn(2, 4, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in block.parameters())


@pytest.mark.parametrize(("kernel", "stride", "bias"), [(3, 2, False), (3, 1, True), (1, 1, False)])
def test_a_stem_that_gathers_folds_into_one_convolution(kernel, stride, bias):
    conv = nn.Conv2d(12, 5, kernel, stride, kernel // 2, bias=bias)
    x = torch.randn(2, 3, 20, 28)
    torch.testing.assert_close(gathered(conv, 2)(x), conv(F.pixel_unshuffle(x, 2)), atol=1e-5, rtol=1e-5)


def test_fusing_a_network_with_such_a_stem_changes_nothing():
    net = nn.Sequential(nn.PixelUnshuffle(2), ConvNorm(12, 8, stride=2), ConvNorm(8, 4)).eval()
    nn.init.normal_(net[1].norm.running_mean)
    x = torch.randn(1, 3, 32, 48)
    before = net(x)
    fuse(net)
    assert isinstance(net[0], nn.Identity)
    torch.testing.assert_close(net(x), before, atol=1e-5, rtol=1e-5)
