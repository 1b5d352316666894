import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.retrieval import build
from reid import backends
from reid.backends import hub
from reid.backends.hub import hub_files, pins, push
from reid.backends.hub_network import PartwiseNetwork
from reid.backends.saved import NetworkConfig, packed
from reid.errors import PartwiseError, UnknownNameError, WeightsError
from tests.reid.backends.test_registry import textured

COMMITS = ("1" * 40, "2" * 40)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A Hub cache of our own, and nothing remembered of other tests."""
    monkeypatch.setenv("PARTWISE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    yield tmp_path / "hub"
    for name in [n for n in backends.registry._instances if ":" in n]:
        backends.registry.forget(name)


def snapshot(cache: Path, repository: str, commit: str = COMMITS[0]) -> Path:
    """The folder of a commit in the cache, which `main` then is."""
    root = cache / f"models--{repository.replace('/', '--')}"
    folder = root / "snapshots" / commit
    folder.mkdir(parents=True)
    (root / "refs").mkdir(exist_ok=True)
    (root / "refs" / "main").write_text(commit)
    return folder


def a_network(seed: int = 0) -> PartwiseNetwork:
    torch.manual_seed(seed)
    net = build("alexnet.partwise", pooling="mac").eval()
    return packed(net, NetworkConfig("alexnet.partwise", 384, "mac", summary="Tiny.", licence="CC0"))


class TestHub:
    def test_a_network_saved_by_the_mixin_is_a_backend_by_its_name(self, cache):
        network = a_network()
        network.save_pretrained(snapshot(cache, "somebody/net"))
        backend = backends.get("hub:somebody/net")
        assert backend.card.licence == "CC0"
        assert backend.card.dim == 384
        picture = textured(128, 128)
        again = PartwiseNetwork.from_pretrained(str(cache / f"models--somebody--net/snapshots/{COMMITS[0]}"))
        x = (torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 - torch.tensor(network.mean)[:, None, None]) / (
            torch.tensor(network.std)[:, None, None]
        )
        with torch.no_grad():
            assert backend.embed([picture]).global_[0] @ again(x)[0].numpy() > 0.9999

    def test_the_first_revision_stays_until_another_is_named(self, cache):
        a_network(0).save_pretrained(snapshot(cache, "somebody/net"))
        first = backends.create("hub:somebody/net").recipe_hash()
        assert pins() == {"somebody/net": COMMITS[0]}
        a_network(1).save_pretrained(snapshot(cache, "somebody/net", COMMITS[1]))
        assert backends.create("hub:somebody/net").recipe_hash() == first
        named = backends.create(f"hub:somebody/net@{COMMITS[1]}")
        assert named.recipe_hash() != first
        assert COMMITS[1][:12] in named.card.weights

    def test_what_is_not_in_the_cache_is_not_asked_for_offline(self, cache):
        with pytest.raises(WeightsError, match="offline"):
            backends.card("hub:somebody/else")
        with pytest.raises(UnknownNameError, match="OWNER/REPOSITORY"):
            backends.card("hub:nothing")

    def test_pickles_beside_it_are_never_read(self, cache):
        folder = snapshot(cache, "somebody/net")
        a_network().save_pretrained(folder)
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        with pytest.raises(WeightsError, match="safetensors"):
            backends.card("hub:somebody/net")
        torch.save({}, folder / "model.safetensors")
        with pytest.raises(WeightsError, match="no safetensors file"):
            backends.get("hub:somebody/net")

    def test_a_model_of_another_project_is_refused(self, cache):
        folder = snapshot(cache, "somebody/bert")
        (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
        save_file({"a": torch.zeros(1)}, folder / "model.safetensors")
        with pytest.raises(WeightsError, match="does not describe"):
            backends.card("hub:somebody/bert")

    def test_a_damaged_pin_is_as_good_as_none(self, cache, tmp_path):
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "pins.json").write_text("{")
        (snapshot(cache, "a/b") / "x").write_text("x")
        files, commit = hub_files("a/b", None, ("x",))
        assert files["x"].read_text() == "x"
        assert pins() == {"a/b": commit}


class TestPush:
    def test_weights_go_out_with_config_and_model_card(self, cache, monkeypatch):
        sent = {}

        class Api:
            def __init__(self, token=None):
                pass

            def create_repo(self, repo_id, private, exist_ok):
                return type("Repo", (), {"repo_id": repo_id})

            def upload_folder(self, *, repo_id, folder_path, **settings):
                sent.update({p.name: p.read_bytes() for p in Path(folder_path).iterdir()}, repo=repo_id)
                return f"https://hub/{repo_id}"

        monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Api)
        monkeypatch.setattr(hub, "offline", lambda: False)
        assert push("resnet", "me/person-trunk").endswith("me/person-trunk")
        assert set(sent) == {"model.safetensors", "config.json", "README.md", "repo"}
        assert json.loads(sent["config.json"])["network"] == "resnet.partwise"
        card = sent["README.md"].decode()
        assert card.startswith("---\n")
        assert "Market-1501" in card
        assert "# resnet.partwise" in card
        # What went out comes back as the same backend.
        folder = snapshot(cache, "me/person-trunk")
        for name in ("model.safetensors", "config.json"):
            (folder / name).write_bytes(sent[name])
        picture = textured(128, 64)
        mine = backends.get("hub:me/person-trunk").embed([picture]).global_[0]
        assert mine @ backends.get("resnet").embed([picture]).global_[0] > 0.9999

    def test_what_cannot_go_out_says_why(self, cache):
        with pytest.raises(PartwiseError, match="nothing goes out"):
            push("resnet", "me/net")
        with pytest.raises(PartwiseError, match="no retrieval network"):
            push("hsv-stripes", "me/net")
        with pytest.raises(PartwiseError, match="OWNER/NAME"):
            push("resnet", "net")


class TestTimm:
    @pytest.fixture
    def model(self, cache):
        timm = pytest.importorskip("timm")
        torch.manual_seed(0)
        net = timm.create_model("mobilenetv3_small_050", pretrained=False).eval()
        folder = snapshot(cache, "timm/mobilenetv3_small_050.lamb_in1k")
        save_file(net.state_dict(), folder / "model.safetensors")
        return net, folder

    def test_a_model_is_a_backend_by_its_name(self, model):
        net, _ = model
        backend = backends.get("timm:mobilenetv3_small_050")
        picture = textured(224, 224)
        found = backend.embed([picture]).global_[0]
        net.reset_classifier(0)
        x = (torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 - torch.tensor(backend.mean)[:, None, None]) / (
            torch.tensor(backend.std)[:, None, None]
        )
        with torch.no_grad():
            expected = torch.nn.functional.normalize(net(x), dim=1)[0].numpy()
        assert found @ expected > 0.9999
        assert backend.card.dim == len(expected)
        assert backend.card.licence == "apache-2.0"
        assert pins() == {"timm/mobilenetv3_small_050.lamb_in1k": COMMITS[0]}

    def test_another_models_weights_are_refused(self, model):
        _, folder = model
        save_file({"a": torch.zeros(1)}, folder / "model.safetensors")
        with pytest.raises(WeightsError, match="another network"):
            backends.get("timm:mobilenetv3_small_050")

    def test_what_timm_does_not_know_is_named(self, cache):
        pytest.importorskip("timm")
        with pytest.raises(UnknownNameError, match="resnet18"):
            backends.card("timm:resnet18x")

    def test_weights_that_are_not_there_are_not_asked_for_offline(self, cache):
        pytest.importorskip("timm")
        assert "offline" in backends.create("timm:mobilenetv3_small_075").why_not_ready()
