import json

import numpy as np
import pytest
import torch

from models.retrieval import build
from reid import backends
from reid.backends import saved
from reid.backends.saved import NetworkConfig, check_free_name, keep, own_networks, remove
from reid.errors import PartwiseError, UnknownNameError, WeightsError
from tests.reid.backends.test_registry import textured

CONFIG = NetworkConfig("alexnet.partwise", dim=384, summary="A test.", licence="CC0", research_only=True)


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PARTWISE_DATA", str(tmp_path / "data"))
    yield tmp_path / "data"
    for name in ("alexnet.mine", "alexnet.short", "resnet.mine"):
        backends.registry.forget(name)


def a_net(**settings):
    torch.manual_seed(3)
    return build("alexnet.partwise", **settings).eval()


def test_what_is_kept_is_a_backend_with_its_own_card():
    net = a_net()
    folder = keep("alexnet.mine", net, CONFIG)
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    card = backends.card("alexnet.mine")
    assert (card.dim, card.licence, card.research_only) == (384, "CC0", True)
    assert "alexnet.mine" in [c.name for c in backends.cards()]
    picture = textured(128, 128)
    found = backends.get("alexnet.mine").embed([picture]).global_[0]
    x = (torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 - torch.tensor(CONFIG.mean)[:, None, None]) / (
        torch.tensor(CONFIG.std)[:, None, None]
    )
    with torch.no_grad():
        expected = net(x)[0].numpy()
    assert found @ expected > 0.999  # half precision on disk


def test_a_whitening_and_a_pooling_are_kept_too():
    keep("alexnet.short", a_net(whitened=16, pooling="mac"), NetworkConfig("alexnet.partwise", 16, "mac", 16))
    backend = backends.get("alexnet.short")
    assert backend.embed([textured(64, 64)]).global_.shape == (1, 16)
    assert backend.pooling == "mac"


def test_it_goes_when_it_is_removed():
    keep("alexnet.mine", a_net(), CONFIG)
    backends.get("alexnet.mine")
    remove("alexnet.mine")
    assert own_networks() == []
    with pytest.raises(UnknownNameError):
        backends.get("alexnet.mine")
    with pytest.raises(UnknownNameError, match="no network"):
        remove("alexnet.mine")


@pytest.mark.parametrize("name", ["alexnet.partwise", "alexnet.", "alexnet.A b", "alexnet.../x", "alexnet"])
def test_names_that_are_not_fit_are_refused(name):
    with pytest.raises(PartwiseError, match="cannot be called"):
        check_free_name(name)


def test_a_name_is_taken_once():
    keep("alexnet.mine", a_net(), CONFIG)
    with pytest.raises(PartwiseError, match="already"):
        keep("alexnet.mine", a_net(), CONFIG)


def test_without_room_nothing_is_left_behind(monkeypatch, data_folder):
    def full(*arguments, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reid.backends.hub_network.save_file", full)
    with pytest.raises(PartwiseError, match="No space left"):
        keep("alexnet.mine", a_net(), CONFIG)
    assert list((data_folder / "networks").iterdir()) == []


class TestDamage:
    def test_a_pickle_in_its_place_is_refused_and_the_others_go_on(self, data_folder):
        folder = keep("alexnet.mine", a_net(), CONFIG)
        torch.save(a_net().state_dict(), folder / "model.safetensors")
        with pytest.raises(WeightsError, match="no safetensors file"):
            backends.get("alexnet.mine")
        assert np.isfinite(backends.get("hsv-stripes").embed([textured(64, 32)]).global_).all()

    def test_another_networks_weights_are_refused(self):
        folder = keep("alexnet.mine", a_net(), CONFIG)
        other = keep("vggnet.other", build("vggnet.partwise").eval(), NetworkConfig("vggnet.partwise", 320))
        (other / "model.safetensors").replace(folder / "model.safetensors")
        with pytest.raises(WeightsError, match="another network"):
            backends.get("alexnet.mine")

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"network": "alexnet.partwise"}', '{"network": "os.system", "dim": 3}']
    )
    def test_a_config_that_is_none_is_said_to_be(self, text):
        folder = keep("alexnet.mine", a_net(), CONFIG)
        (folder / "config.json").write_text(text)
        saved._known.clear()
        with pytest.raises(WeightsError, match=r"config\.json"):
            backends.get("alexnet.mine")
        assert "alexnet.mine" not in [c.name for c in backends.cards()]

    def test_unknown_settings_of_a_newer_version_are_passed_over(self):
        folder = keep("alexnet.mine", a_net(), CONFIG)
        said = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**said, "colour": "blue"}))
        saved._known.clear()
        assert backends.card("alexnet.mine").dim == 384
