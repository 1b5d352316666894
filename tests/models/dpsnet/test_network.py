"""DPSNet's paths and head: shapes, values that can be worked out, gradients, and inputs it must refuse."""

import pytest
import torch

from models.blocks import ConvNorm, Residual
from models.dpsnet.context_path import ContextPath, WideContext
from models.dpsnet.network import AuxiliaryHeads, DPSNet, DPSNetConfig, Fusion, Grid, LocalPath

TINY = DPSNetConfig(classes=4, local=16, blocks=1, channels=(8, 8, 12, 16), depths=(1, 1, 1), width=12)


def opened(net):
    """Branches start closed: with open ones every weight matters."""
    torch.manual_seed(0)
    for block in net.local.blocks:
        torch.nn.init.normal_(block.convs[1].weight, std=0.1)
    return net


@pytest.mark.parametrize(("height", "width"), [(64, 48), (72, 40), (8, 8), (16, 104)])
def test_logits_come_at_a_quarter_and_context_at_an_eighth(height, width):
    out = DPSNet(TINY).eval()(torch.randn(2, 3, height, width))
    assert set(out) == {"logits", "context"}
    assert out["logits"].shape == (2, 4, height // 4, width // 4)
    assert out["context"].shape == (2, 12, height // 8, width // 8)


def test_training_gives_what_auxiliary_heads_need():
    out = DPSNet(TINY).train()(torch.randn(2, 3, 72, 48))
    assert out["coarse"].shape == (2, 4, 9, 6)
    assert len(out["sites"]) == len(out["local"]) == 2 * 18 * 12 // 4
    heads = AuxiliaryHeads(TINY)(out)
    assert {name: tuple(x.shape) for name, x in heads.items()} == {
        "middle": (2, 4, 5, 3),
        "wide": (2, 4, 3, 2),
        "local": (108, 4),
    }


def test_with_every_site_active_the_net_is_its_dense_twin():
    net = opened(DPSNet(TINY)).eval()
    twin = DPSNet(TINY, dense=True).eval()
    twin.load_state_dict(net.state_dict())
    picture = torch.randn(2, 3, 64, 48)
    torch.testing.assert_close(net(picture, 1.0)["logits"], twin(picture)["logits"], atol=1e-4, rtol=1e-4)
    assert (net(picture)["logits"] - twin(picture)["logits"]).abs().max() > 1e-3


def test_where_no_site_is_active_the_context_decides_alone():
    net = opened(DPSNet(TINY)).eval()
    picture = torch.randn(1, 3, 64, 48)
    out = net(picture, 0.0)
    coarse = torch.nn.functional.interpolate(net.coarse(out["context"]), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(out["logits"], coarse)
    sites = Grid.of(picture, 0.25, False).sites
    changed = (net(picture, 0.25)["logits"] != coarse).any(1).flatten()
    assert set(changed.nonzero().squeeze(1).tolist()) <= set(sites.index.tolist())
    assert changed.sum() > len(sites) // 2


def test_the_paths_are_independent():
    net = opened(DPSNet(TINY)).train()
    picture = torch.randn(2, 3, 64, 48)
    before = net(picture)
    for parameter in net.context.parameters():
        torch.nn.init.normal_(parameter)
    after = net(picture)
    assert torch.equal(before["local"], after["local"])
    assert torch.equal(before["sites"], after["sites"])
    assert not torch.allclose(before["context"], after["context"])


def test_each_feature_of_the_context_gives_four_sites_a_share_of_its_own():
    """Sparse and dense fusion put the shares of (y, x) to the sites (2y + dy, 2x + dx) alike."""
    fusion = Fusion(16, 12, 4)
    picture, context = torch.randn(2, 3, 24, 40), torch.randn(2, 12, 3, 5)
    local = torch.randn(2, 6, 10, 16)
    dense = fusion(local, context, Grid.of(picture, 1.0, True))
    sparse = fusion(local.reshape(-1, 16), context, Grid.of(picture, 1.0, False))
    torch.testing.assert_close(sparse, dense.reshape(-1, 4), atol=1e-5, rtol=1e-5)


def test_every_parameter_gets_a_gradient():
    net, heads = opened(DPSNet(TINY)), AuxiliaryHeads(TINY)
    out = net(torch.randn(4, 3, 64, 48))
    total = out["logits"].square().mean() + sum(x.square().mean() for x in heads(out).values())
    (total + out["coarse"].square().mean()).backward()
    for module in (net, heads):
        without = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert not [name for name in without if name.endswith("weight")]


def test_autocast_reaches_the_context_path_alone():
    net, picture = opened(DPSNet()).eval(), torch.randn(1, 3, 64, 96)
    seen = []
    for path in (net.local, net.context.stem):
        path.register_forward_hook(lambda _module, _given, out: seen.append(out.dtype))
    with torch.inference_mode():
        quick = net(picture, autocast=torch.autocast("cpu", torch.bfloat16))
        exact = net(picture)
    assert seen == [torch.float32, torch.bfloat16, torch.float32, torch.float32]
    for name, x in quick.items():
        assert x.dtype == torch.float32
        torch.testing.assert_close(x, exact[name], rtol=0, atol=0.05 * float(exact[name].abs().max()))


def test_fusing_the_norms_changes_no_answer():
    net = opened(DPSNet(TINY)).train()
    for _ in range(3):
        net(torch.randn(4, 3, 64, 48))
    picture = torch.randn(1, 3, 64, 48)
    before = net.eval()(picture)["logits"]
    after = net.fuse()(picture)["logits"]
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
    assert not [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_the_shipped_shape_is_small_and_sparse_where_it_is_wide():
    config = DPSNetConfig()
    assert sum(p.numel() for p in DPSNet(config).parameters()) < 7e6, "15 MB in half precision is all that ships"
    assert config.local >= 64
    assert config.active <= 0.25


def test_the_local_path_starts_as_its_stem():
    path = LocalPath(16, 2)
    picture = torch.randn(1, 3, 16, 16)
    grid = Grid.of(picture, 1.0, True)
    stem = torch.nn.functional.conv2d(
        picture.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 4, 5, 1, 2, 3).reshape(1, 48, 4, 4),
        path.stem.weight,
        padding=1,
    )
    torch.testing.assert_close(path(picture, grid).permute(0, 3, 1, 2), stem, atol=1e-5, rtol=1e-5)


def test_the_gate_weighs_channels_by_the_whole():
    wide = WideContext(8).eval()
    x = torch.rand(1, 8, 6, 6)
    torch.nn.init.zeros_(wide.join.norm.weight)  # no branch: the input alone is weighed
    torch.nn.init.zeros_(wide.gate.weight)
    torch.nn.init.constant_(wide.gate.bias, -100.0)
    assert wide(x).abs().max() < 1e-6
    torch.nn.init.constant_(wide.gate.bias, 100.0)
    torch.testing.assert_close(wide(x), x)


def test_strides_round_up():
    assert Residual(4, 6, stride=2)(torch.randn(2, 4, 7, 5)).shape == (2, 6, 4, 3)
    assert ConvNorm(4, 6, dilation=3)(torch.randn(2, 4, 7, 5)).shape == (2, 6, 7, 5)
    fine, middle, wide = ContextPath((8, 8, 12, 16), (1, 1, 1), 10).eval()(torch.randn(1, 3, 40, 72))
    assert [tuple(m.shape[1:]) for m in (fine, middle, wide)] == [(10, 5, 9), (12, 3, 5), (16, 2, 3)]


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 4, 64, 64), (1, 3, 60, 64), (1, 3, 64, 63)])
def test_other_inputs_are_refused(shape):
    with pytest.raises(ValueError, match="multiples of 8"):
        DPSNet(TINY)(torch.zeros(shape))
