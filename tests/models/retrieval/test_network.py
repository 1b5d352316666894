import pytest
import torch

from models.retrieval import POOLINGS, TRUNKS, build

SMALL = ("alexnet.partwise", "vggnet.partwise", "googlenet.partwise")


def pictures(n=2, size=(64, 64)):
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", SMALL)
class TestSmall:
    def test_vectors_have_unit_length(self, name):
        net = build(name).eval()
        vectors = net(pictures())
        assert vectors.shape == (2, net.dim)
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))

    def test_sizes_may_differ(self, name):
        net = build(name).eval()
        assert net(pictures(size=(128, 64))).shape == net(pictures(size=(48, 96))).shape

    def test_the_last_map_has_a_stride_of_16(self, name):
        assert build(name).trunk(pictures(1, (128, 128))).shape[2:] == (8, 8)

    def test_every_weight_is_trained(self, name):
        net = build(name)
        net.features(pictures(4)).pow(2).sum().backward()
        for key, parameter in net.named_parameters():
            assert parameter.grad is not None, key

    def test_stages_hold_the_whole_trunk(self, name):
        net = build(name)
        held = sum(p.numel() for stage in net.stages() for p in stage.parameters())
        neck = sum(p.numel() for p in net.neck.parameters())
        assert held + neck == sum(p.numel() for p in net.parameters())


def test_the_person_network_describes_in_three_views_of_equal_weight():
    net = build("resnet.partwise").eval()
    features = net.features(pictures(2, (128, 64)))
    assert features.shape == (2, 1280)
    views = features.split([512, 256, 512], 1)
    lengths = torch.stack([view.norm(dim=1) for view in views])
    torch.testing.assert_close(lengths, lengths[:1].expand(3, 2))
    assert sum(p.numel() for s in net.stages() for p in s.parameters()) > 1e6


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_pooling_is_chosen_by_name(pooling):
    torch.manual_seed(0)
    chosen = build("alexnet.partwise", pooling=pooling).eval()
    torch.manual_seed(0)
    gem = build("alexnet.partwise").eval()
    x = pictures()
    assert torch.equal(chosen(x), gem(x)) == (pooling == "gem")


def test_a_whitening_shortens_the_vectors():
    net = build("alexnet.partwise", whitened=16).eval()
    assert net.dim == 16
    net.whitening.matrix.normal_()
    vectors = net(pictures())
    assert vectors.shape == (2, 16)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    assert "whitening.matrix" in net.state_dict()


@pytest.mark.parametrize("name", [name for name in TRUNKS if name.endswith("imagenet")])
def test_published_networks_have_their_published_shape(name):
    with torch.device("meta"):
        net = build(name)
        vectors = net(torch.empty(1, 3, 224, 224))
    assert vectors.shape == (1, {"alexnet": 256, "vggnet": 512, "googlenet": 1024, "resnet": 2048}[name.split(".")[0]])
