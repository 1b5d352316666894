"""Fine-tuning end to end: a small network learns drawn classes better than it knew them, and stays."""

import shutil
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.retrieval import TRUNKS, build
from reid import backends
from reid.backends.saved import NetworkConfig, keep, own_networks
from reid.datasets import read_folder
from reid.errors import DatasetError, PartwiseError
from reid.training import finetune as module
from reid.training.finetune import DEFAULTS, choose, finetune
from reid.training.retrieval import Options
from tests.reid.training.shapes import draw, tiny

QUICK = Options(epochs=12, least=8, rate=1e-2, slow=1.0, frozen=0.1, thawed=0.2, norms=True, classes=3, views=8)


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    """A data folder with one network in it, of random weights and small pictures."""
    monkeypatch.setenv("PARTWISE_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(TRUNKS, "alexnet.partwise", (tiny, 24, True))
    torch.manual_seed(0)
    config = NetworkConfig("alexnet.partwise", 24, input_size=(32, 32), licence="CC0", summary="Random.")
    keep("alexnet.random", build("alexnet.partwise").eval(), config)
    yield
    for name in ("alexnet.random", "alexnet.textures"):
        backends.registry.forget(name)


def samples(*identities):
    return [SimpleNamespace(path=None, name=str(i), identity=identity) for i, identity in enumerate(identities)]


def test_a_folder_a_class_becomes_a_better_backend_that_stays(tmp_path):
    folder = draw(tmp_path / "set", {"lying": 20, "upright": 20, "chequered": 20})
    told = []
    tuned = finetune(
        "alexnet.random",
        "textures",
        read_folder(folder, "folders"),
        QUICK,
        progress=lambda share, text: told.append((share, text)),
    )
    assert tuned.name == "alexnet.textures"
    assert tuned.after > tuned.before + 5
    assert (tuned.learnt_from, tuned.held_out, tuned.classes) == (45, 15, 3)
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[-1][0] == 1
    assert own_networks() == ["alexnet.random", "alexnet.textures"]
    # Nothing of the process is needed to have it again.
    backends.registry.forget("alexnet.textures")
    card = backends.card("alexnet.textures")
    assert card.input_size == (32, 32)
    assert "CC0" in card.licence
    picture = np.zeros((32, 32, 3), np.uint8)
    assert backends.get("alexnet.textures").embed([picture]).global_.shape == (1, 24)
    assert f"{tuned.after:.1f}" in (tuned.folder / "README.md").read_text()
    assert sorted(p.name for p in tuned.folder.parent.iterdir()) == ["alexnet.random", "alexnet.textures"]


class TestChoice:
    def test_one_class_is_refused(self):
        with pytest.raises(DatasetError, match="all of 'a'"):
            choose(samples("a", "a", "a"))
        with pytest.raises(DatasetError, match="none of them has one"):
            choose(samples(None, "", "-1"))

    def test_one_picture_a_class_is_refused(self):
        with pytest.raises(DatasetError, match="one picture"):
            choose(samples("a", "b", "c"))

    def test_a_class_of_ten_thousand_is_thinned_and_it_is_said(self):
        chosen, notes = choose(samples(*["much"] * 10_000, "few", "few", "alone", None))
        assert sum(s.identity == "much" for s in chosen) == 1000
        assert sum(s.identity == "few" for s in chosen) == 2
        assert any("10,000" in note for note in notes)
        assert any("'alone'" in note for note in notes)
        assert any("no class" in note for note in notes)


class TestRefusals:
    @pytest.fixture
    def pictures(self, tmp_path):
        return read_folder(draw(tmp_path / "set", {"a": 4, "b": 4}), "folders")

    def test_what_has_no_network_is_not_tuned(self, pictures):
        with pytest.raises(PartwiseError, match="not fine-tuned"):
            finetune("hsv-stripes", "x", pictures)

    def test_a_name_that_is_taken_is_refused_before_any_work(self, pictures):
        with pytest.raises(PartwiseError, match="already"):
            finetune("alexnet.random", "random", pictures)

    def test_an_order_needs_numbers(self, pictures):
        with pytest.raises(DatasetError, match="named by a number"):
            finetune("alexnet.random", "x", pictures, Options(epochs=1, ordered=True))

    def test_a_full_disk_is_said_and_leaves_the_old_one_working(self, pictures, monkeypatch):
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1000))
        with pytest.raises(PartwiseError, match="free"):
            finetune("alexnet.random", "x", pictures)
        assert own_networks() == ["alexnet.random"]
        assert backends.get("alexnet.random").why_not_ready() is None

    def test_training_that_diverges_keeps_nothing(self, pictures, monkeypatch):
        def diverge(*arguments, **settings):
            raise FloatingPointError("loss became nan")

        monkeypatch.setattr(module, "fit", diverge)
        with pytest.raises(PartwiseError, match="smaller rate"):
            finetune("alexnet.random", "x", pictures)
        assert own_networks() == ["alexnet.random"]


def test_defaults_begin_with_the_heads_alone():
    assert 0 < DEFAULTS.frozen < DEFAULTS.thawed < 1
    assert not DEFAULTS.norms
