import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from models.gpn.fea_net import FeaNet
from models.retrieval import POOLINGS, TRUNKS, build
from reid import backends
from reid.backends import fetch, retrieval
from reid.backends.fetch import Published, cache_path, cached, fetched
from reid.backends.retrieval import POOLING_NAMES, assemble, inference_copy
from reid.backends.weights import read_tensors
from reid.errors import UnknownNameError, WeightsError
from tests.reid.backends.test_registry import textured


def jittered(net):
    """Norms that do something: fresh ones are close to the identity."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, std=0.1)
    return net.eval()


class TestAssemble:
    def test_gives_the_network_that_the_tensors_are_of(self):
        net = jittered(build("alexnet.partwise", whitened=8))
        net.whitening.matrix.normal_()
        x = torch.randn(2, 3, 64, 64)
        again = assemble("alexnet.partwise", net.state_dict(), "it")
        torch.testing.assert_close(again(x), net(x))

    @pytest.mark.parametrize("network", ["vggnet.partwise", "googlenet.partwise", "resnet.partwise"])
    def test_folding_norms_changes_nothing(self, network):
        net = jittered(build(network))
        x = torch.randn(2, 3, 64, 64)
        expected = net(x).detach()
        folded = inference_copy(net)
        torch.testing.assert_close(folded(x), expected, atol=1e-4, rtol=1e-4)
        if network == "vggnet.partwise":
            assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())

    def test_fea_nets_own_tensors_are_the_person_networks(self):
        fea = jittered(FeaNet())
        net = assemble("resnet.partwise", fea.state_dict(), "it")
        x = torch.randn(2, 3, 64, 32)
        out = fea(x)
        torch.testing.assert_close(net(x)[:, :512] * 3**0.5, F.normalize(out["neck"], dim=1))

    def test_weights_of_another_network_are_refused(self):
        with pytest.raises(WeightsError, match="another network"):
            assemble("vggnet.partwise", build("alexnet.partwise").state_dict(), "x")


class TestNames:
    def test_a_bare_name_means_the_weights_that_ship(self):
        assert backends.card("resnet").name == "resnet.partwise"

    def test_the_full_width_networks_are_listed_and_say_how_to_get_them(self, monkeypatch, tmp_path):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        for architecture in ("alexnet", "vggnet", "googlenet", "resnet"):
            why_not = backends.create(f"{architecture}.imagenet").why_not_ready()
            assert "MB" in why_not
            assert str(tmp_path) in why_not
            assert "https://" in why_not

    def test_a_pooling_is_part_of_the_name_and_of_the_recipe(self):
        mac, gem = backends.create("resnet@mac"), backends.create("resnet")
        assert mac.card.name == "resnet.partwise@mac"
        assert mac.recipe_hash() != gem.recipe_hash()
        picture = textured(128, 64)
        assert not np.allclose(
            backends.get("resnet@mac").embed([picture]).global_, backends.get("resnet").embed([picture]).global_
        )

    def test_poolings_agree_with_the_models(self):
        assert set(POOLING_NAMES) == set(POOLINGS)

    def test_a_pooling_or_network_that_is_not_there_is_named(self):
        with pytest.raises(UnknownNameError, match="rmac"):
            backends.card("resnet@sum")
        with pytest.raises(UnknownNameError, match="sift"):
            backends.card("sift@mac")

    def test_cards_say_what_networks_give(self):
        for name in TRUNKS:
            architecture, tag = name.split(".")
            card = backends.card(name) if tag == "imagenet" else retrieval.partwise_card(architecture)
            with torch.device("meta"):
                assert build(name).dim == card.dim


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A cache that holds what torchvision would publish for AlexNet, with random weights."""
    from torchvision.models import alexnet

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    net = alexnet().eval()
    scratch = tmp_path / "alexnet.pth"
    torch.save(net.state_dict(), scratch)
    file = Published("alexnet-test.pth", hashlib.sha256(scratch.read_bytes()).hexdigest(), 233)
    cache_path(file).parent.mkdir(parents=True)
    scratch.rename(cache_path(file))
    return net, file


class TestImageNet:
    def test_the_published_features_are_pooled(self, published, monkeypatch):
        net, file = published
        cls = backends.registry.registered("alexnet.imagenet@average")
        monkeypatch.setattr(cls, "file", file)
        backend = cls()
        assert backend.why_not_ready() is None
        backend.load()
        picture = textured(224, 224)
        x = (torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 - torch.tensor(backend.mean)[:, None, None]) / (
            torch.tensor(backend.std)[:, None, None]
        )
        with torch.no_grad():
            expected = F.normalize(net.features[:-1](x).mean((2, 3)), dim=1)
        np.testing.assert_allclose(backend.embed([picture]).global_, expected.numpy(), atol=1e-4)

    def test_a_changed_file_is_refused(self, published):
        _, file = published
        path = cache_path(file)
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        with pytest.raises(WeightsError, match="not the file"):
            fetched(file)

    def test_names_follow_torchvisions(self):
        import torchvision

        for architecture, entry in (("vggnet", "vgg16"), ("googlenet", "googlenet"), ("resnet", "resnet50")):
            with torch.device("meta"):
                extra = {"aux_logits": False, "init_weights": False} if entry == "googlenet" else {}
                names = set(getattr(torchvision.models, entry)(**extra).state_dict())
                ours = [retrieval._published_name(name) for name in build(f"{architecture}.imagenet").state_dict()]
            assert set(ours) <= names
            assert len(set(ours)) == len(ours)


class TestFetching:
    def test_offline_nothing_is_asked_for(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr(fetch.urllib.request, "urlopen", lambda *a, **k: pytest.fail("went out"))
        with pytest.raises(WeightsError, match="not on this machine"):
            fetched(Published("x.pth", "0" * 64, 1))

    def test_online_it_is_kept_only_when_it_is_the_pinned_one(self, tmp_path, monkeypatch):
        source = tmp_path / "published"
        source.mkdir()
        (source / "x.pth").write_bytes(b"weights")
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setenv("PARTWISE_OFFLINE", "0")
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setattr(fetch, "PUBLISHER", source.as_uri() + "/")
        wrong = Published("x.pth", "0" * 64, 1)
        with pytest.raises(WeightsError, match="another file"):
            fetched(wrong)
        assert list(cache_path(wrong).parent.iterdir()) == []
        right = Published("x.pth", hashlib.sha256(b"weights").hexdigest(), 1)
        assert fetched(right) == cached(right)
        assert cached(right).read_bytes() == b"weights"
        with pytest.raises(WeightsError, match="cannot be fetched"):
            fetched(Published("not there.pth", "0" * 64, 1))


class TestReading:
    def test_a_pickle_is_refused_unread(self, tmp_path):
        path = tmp_path / "weights.safetensors"
        torch.save({"a": torch.zeros(1)}, path)
        with pytest.raises(WeightsError, match="no safetensors file"):
            read_tensors(path, "take another")

    def test_a_damaged_file_is_an_error_that_says_what_to_do(self, tmp_path):
        path = tmp_path / "weights.safetensors"
        save_file({"a": torch.zeros(100)}, path)
        path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(WeightsError, match="take another"):
            read_tensors(path, "take another")
        with pytest.raises(WeightsError, match="take another"):
            read_tensors(Path(tmp_path / "none"), "take another")

    def test_half_precision_comes_back_as_single(self, tmp_path):
        save_file({"a": torch.ones(2).half(), "n": torch.tensor([3])}, tmp_path / "w.safetensors")
        found = read_tensors(tmp_path / "w.safetensors", "")
        assert found["a"].dtype == torch.float32
        assert found["n"].dtype == torch.int64
