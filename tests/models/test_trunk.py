"""The trunk's maps: shapes, values that can be worked out, gradients, and inputs it must refuse."""

import pytest
import torch

from models.trunk import InstanceBatchNorm, Trunk, TrunkConfig

TINY = TrunkConfig(stem=8, channels=(8, 12, 16, 24), depths=(1, 1, 1, 1), bottleneck=8)


@pytest.mark.parametrize(("height", "width"), [(256, 128), (128, 64), (64, 32), (48, 96)])
def test_maps_have_the_strides_and_channels_of_the_config(height, width):
    maps = Trunk(TINY).eval()(torch.randn(2, 3, height, width))
    assert [m.shape[1] for m in maps] == list(TINY.channels)
    assert [(m.shape[2], m.shape[3]) for m in maps] == [(height // s, width // s) for s in (4, 8, 16, 16)]


def test_shipped_shape_stays_small():
    parameters = sum(p.numel() for p in Trunk().parameters())
    assert 2e6 < parameters < 15e6, "30 MB in half precision is all that ships"


def test_every_parameter_gets_a_gradient_once_blocks_are_open():
    trunk = Trunk(TINY)
    for module in trunk.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)  # branches start closed
    sum(m.square().mean() for m in trunk(torch.randn(4, 3, 64, 32))).backward()
    without = [n for n, p in trunk.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # Affine shifts before another normalisation see a gradient of rounding size at most; weights must all learn.
    assert not [n for n in without if n.endswith("weight")]


def test_blocks_start_as_their_shortcuts():
    trunk = Trunk(TINY).eval()
    x = torch.relu(torch.randn(1, 8, 16, 8))
    assert torch.equal(trunk.stages[0](x), x)


def test_instance_half_forgets_the_cameras_look_and_batch_half_keeps_it():
    norm = InstanceBatchNorm(8).eval()
    x = torch.randn(2, 8, 6, 5)
    changed = x * 3 + 7
    before, after = norm(x), norm(changed)
    torch.testing.assert_close(before[:, :4], after[:, :4], atol=1e-4, rtol=1e-4)
    assert (before[:, 4:] - after[:, 4:]).abs().mean() > 1


@pytest.mark.parametrize("shape", [(1, 3, 100, 64), (1, 4, 64, 32), (3, 64, 32)])
def test_other_shapes_are_refused_in_words(shape):
    with pytest.raises(ValueError, match="multiples of 16"):
        Trunk(TINY)(torch.zeros(shape))
