"""FEA NET: its outputs, generalised-mean pooling against its limits, and that stripes look at their own rows."""

import pytest
import torch

from models.gpn.fea_net import FeaNet, GeM
from models.trunk import TrunkConfig

TINY = TrunkConfig(stem=8, channels=(8, 12, 16, 24), depths=(1, 1, 1, 1), bottleneck=8)


def test_outputs():
    out = FeaNet(TINY, dim=20, stripes=3, stripe_dim=10).eval()(torch.randn(2, 3, 96, 48))
    assert out["pooled"].shape == (2, 24)
    assert out["neck"].shape == (2, 24)
    assert out["embedding"].shape == (2, 20)
    assert out["stripes"].shape == (2, 3, 10)


@pytest.mark.parametrize("p", [1.0, 3.0])
def test_gem_is_the_generalised_mean(p):
    x = torch.rand(2, 5, 4, 3) + 0.1
    torch.testing.assert_close(GeM(p)(x), x.pow(p).mean((2, 3)).pow(1 / p))


def test_gem_nears_the_maximum():
    x = torch.rand(2, 5, 4, 3)
    torch.testing.assert_close(GeM(200.0)(x), x.amax((2, 3)), atol=0.03, rtol=0.03)


def test_gem_follows_the_power_it_was_trained_with():
    pool = GeM()
    pool.load_state_dict({"p": torch.tensor(1.0)})
    x = torch.rand(1, 2, 3, 3) + 0.1
    torch.testing.assert_close(pool(x), x.mean((2, 3)))


def test_a_stripe_sees_its_own_rows_only():
    net = FeaNet(TINY, stripes=4).eval()
    maps = [torch.zeros(1)] * 2 + [torch.rand(1, 16, 8, 4), torch.rand(1, 24, 8, 4)]
    net.trunk.forward = lambda x: maps
    before = net(torch.zeros(1, 3, 16, 16))["stripes"]
    maps[3] = maps[3].clone()
    maps[3][:, :, :2] += 1
    after = net(torch.zeros(1, 3, 16, 16))["stripes"]
    assert not torch.allclose(before[:, 0], after[:, 0])
    torch.testing.assert_close(before[:, 1:], after[:, 1:])


def test_the_embedding_sees_what_the_neck_averages_away():
    net = FeaNet(TINY, stripes=4).eval()
    rows = torch.rand(1, 24, 8, 4)
    maps = [torch.zeros(1)] * 2 + [torch.rand(1, 16, 8, 4), rows]
    net.trunk.forward = lambda x: maps
    upright = net(torch.zeros(1, 3, 16, 16))
    maps[3] = rows.flip(2)
    overturned = net(torch.zeros(1, 3, 16, 16))
    torch.testing.assert_close(upright["neck"], overturned["neck"])
    assert not torch.allclose(upright["embedding"], overturned["embedding"])
