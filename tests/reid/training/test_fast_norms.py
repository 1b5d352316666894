"""Norms in one pass: the numbers of the ones they stand for, forwards, backwards and in what they remember."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models import blocks
from models.dpsnet import DPSNet
from models.gpn.fea_net import FeaNet
from models.gpn.network import GPN
from models.trunk import InstanceBatchNorm, Trunk, TrunkConfig, basic_block, bottleneck_block

pytest.importorskip("numba")
from reid.training.fast_norms import FastBatchNorm, FastInstanceBatchNorm, quicken

TINY = TrunkConfig(stem=8, channels=(8, 12, 16, 24), depths=(1, 1, 1, 1), bottleneck=8)


def bfloat(*shape: int, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    x = (torch.randn(*shape) * scale + shift).to(torch.bfloat16)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def close(a: torch.Tensor, b: torch.Tensor, share: float = 0.01) -> None:
    """Apart by less than a share of their size, as a whole."""
    assert (a.double() - b.double()).norm() < share * b.double().norm() + 1e-9


def scrambled(module: nn.Module) -> nn.Module:
    for p in module.parameters():
        nn.init.normal_(p, std=0.5)
    for name, buffer in module.named_buffers():
        if "running" in name:
            nn.init.uniform_(buffer, 0.5, 1.5)
    return module


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, InstanceBatchNorm])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("adds", [True, False])
@pytest.mark.parametrize("shape", [(3, 6, 5, 4), (2, 32, 8, 8), (1, 7, 1, 9)])
def test_a_norm_is_what_it_stands_for(kind, training, relu, adds, shape):
    torch.manual_seed(0)
    exact = scrambled(kind(shape[1])).double().train(training)
    fast = copy.deepcopy(exact).float()
    quicken(holder := nn.Sequential(fast))
    fast = holder[0]
    assert isinstance(fast, FastBatchNorm | FastInstanceBatchNorm)
    fast.relu = relu
    x, added = bfloat(*shape, scale=2, shift=0.7), bfloat(*shape)
    back = torch.randn(*shape).to(torch.bfloat16)
    y = fast(x, added if adds else None)
    assert y.dtype == torch.bfloat16
    y.backward(back)
    x64, added64 = (t.detach().double().requires_grad_() for t in (x, added))
    whole = exact(x64) + added64 if adds else exact(x64)
    # What lies on the edge of zero may be cut off on one side alone: the mask is the fast one's.
    expected = whole * (y != 0) if relu else whole
    expected.backward(back.double())
    close(y, expected)
    close(x.grad, x64.grad)
    if adds:
        close(added.grad, added64.grad)
    for (name, p), q in zip(fast.named_parameters(), exact.parameters(), strict=True):
        assert p.grad is not None, name
        close(p.grad, q.grad)
    for (name, p), q in zip(fast.named_buffers(), exact.buffers(), strict=True):
        assert torch.allclose(p.double(), q.double(), atol=1e-4), name


def test_without_gradients_and_in_float32_nothing_changes():
    net = scrambled(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), basic_block(8, 12, 2)))
    fast = copy.deepcopy(net)
    quicken(fast)
    assert fast.state_dict().keys() == net.state_dict().keys()
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(fast(x), net(x))
    net.eval(), fast.eval()
    with torch.no_grad():
        torch.testing.assert_close(fast(x), net(x))
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(fast(x), net(x))


BUILT = {
    "trunk": lambda: nn.Sequential(basic_block(8, 12, 2), bottleneck_block(12, 6, 16)),
    "frames": lambda: nn.Sequential(blocks.ConvNorm(8, 12, stride=2), blocks.Residual(12, 12), blocks.Residual(12, 16)),
    "sequence": lambda: nn.Sequential(nn.Conv2d(8, 12, 1), nn.BatchNorm2d(12), nn.ReLU(inplace=True)),
    "linear": lambda: nn.Sequential(blocks.ConvNorm(8, 12, linear=True)),
}


@pytest.mark.parametrize("built", BUILT)
def test_blocks_train_alike(built):
    """Against the same block in float32: bfloat16 is as far from it with these norms as with the others."""
    torch.manual_seed(0)
    exact = scrambled(BUILT[built]()).train()
    plain, fast = copy.deepcopy(exact), copy.deepcopy(exact)
    quicken(fast)
    x = torch.randn(4, 8, 16, 12)
    target = exact(x).detach() + torch.randn_like(exact(x))
    gradients = []
    for net in (exact, plain, fast):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=net is not exact):
            out = net(x.contiguous(memory_format=torch.channels_last))
        F.mse_loss(out.float(), target).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    truth, plainly, quickly = gradients
    assert (quickly - truth).norm() < 1.2 * (plainly - truth).norm() + 0.01 * truth.norm()


def test_maps_are_summed_up_alike():
    torch.manual_seed(0)
    exact = FeaNet(TINY, dim=8)
    fast = copy.deepcopy(exact)
    quicken(fast)
    # No two places of a channel are alike: amax shares a gradient among equals.
    x = torch.rand(3, 5, 32).argsort(2).view(3, 5, 8, 4).to(torch.bfloat16).requires_grad_()
    x64 = x.detach().double().requires_grad_()
    pooled = x64.pow(3).mean((2, 3)).pow(1 / 3)
    expected = (pooled, F.adaptive_avg_pool2d(x64, (4, 1)).flatten(2), x64.amax((2, 3)))
    weights = [torch.randn(3, 5), torch.randn(3, 5, 4), torch.randn(3, 5)]
    for summary in (fast.summary(x), exact.summary(x.detach().float())):
        for a, b in zip(summary, expected, strict=True):
            close(a, b)
    sum((w * s).sum() for w, s in zip(weights, fast.summary(x), strict=True)).backward()
    sum((w * s).sum() for w, s in zip(weights, expected, strict=True)).backward()
    close(x.grad, x64.grad)


def test_whole_networks_have_no_norm_left_that_is_slow():
    for network in (Trunk(), GPN(), DPSNet()):
        quicken(network)
        assert any(isinstance(m, FastBatchNorm) for m in network.modules())
        assert not any(type(m) in (nn.BatchNorm2d, InstanceBatchNorm) for m in network.modules())
    stem = Trunk().stem
    quicken(stem)
    assert stem[2].relu
    assert isinstance(stem[3], nn.Identity)


def test_what_comes_out_may_be_written_over():
    torch.manual_seed(0)
    slow = scrambled(nn.Sequential(nn.BatchNorm2d(6), nn.Hardswish())).train()
    quicken(fast := copy.deepcopy(slow))
    fast[1].inplace = True
    x = bfloat(3, 6, 5, 4)
    y = x.detach().clone().requires_grad_()
    slow(x.float()).square().sum().backward()
    fast(y).square().sum().backward()
    close(y.grad, x.grad, 0.02)
