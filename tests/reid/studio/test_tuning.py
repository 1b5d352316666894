import zipfile

import pytest
import torch

from models.retrieval import TRUNKS, build
from reid import backends
from reid.backends.saved import NetworkConfig, keep
from reid.errors import GalleryError, PartwiseError
from reid.studio import Limits, Studio, tuning
from tests.reid.training.shapes import draw, tiny


@pytest.fixture
def studio(tmp_path, monkeypatch):
    """A studio with a network to begin with and a gallery of three classes, made as a visitor makes one."""
    monkeypatch.setenv("PARTWISE_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(TRUNKS, "alexnet.partwise", (tiny, 24, True))
    torch.manual_seed(0)
    keep("alexnet.random", build("alexnet.partwise").eval(), NetworkConfig("alexnet.partwise", 24, input_size=(32, 32)))
    studio = Studio(tmp_path / "data", shipped=None)
    folder = draw(tmp_path / "shapes", {"lying": 8, "upright": 8, "chequered": 8})
    archive = tmp_path / "shapes.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*.png")):
            file.write(path, path.relative_to(folder))
    studio.create("shapes", [archive], layout="folders", backend="hsv-stripes")
    yield studio
    for name in ("alexnet.random", "alexnet.mine"):
        backends.registry.forget(name)


def test_a_gallery_made_in_the_app_makes_a_backend_that_survives_a_restart(studio, tmp_path):
    assert tuning.can_learn(studio, "shapes")
    assert "alexnet.random" in [card.name for card in tuning.starts()]
    told = []
    tuned = tuning.finetune(
        studio, "shapes", "alexnet.random", " Mine ", epochs=2, progress=lambda share, what: told.append(what)
    )
    assert tuned.name == "alexnet.mine"
    assert 0 <= tuned.before <= 100
    assert 0 <= tuned.after <= 100
    assert any("fine-tuning" in what for what in told)
    restarted = Studio(tmp_path / "data", shipped=None)
    assert "alexnet.mine" in [card.name for card in restarted.embedders()]
    hits = restarted.search(tmp_path / "shapes" / "lying" / "000.png", "shapes", "alexnet.mine").hits
    assert hits[0].item.name.endswith("lying/000.png")


def test_one_is_trained_at_a_time(studio):
    with tuning._busy, pytest.raises(PartwiseError, match="already"):
        tuning.finetune(studio, "shapes", "alexnet.random", "mine")


def test_a_shared_app_trains_nothing(studio, tmp_path):
    shared = Studio(tmp_path / "data", shipped=None, limits=Limits(private=True))
    assert not tuning.can_learn(shared, "shapes")
    with pytest.raises(PartwiseError, match="shared"):
        tuning.finetune(shared, "shapes", "alexnet.random", "mine")


def test_without_classes_there_is_nothing_to_learn(studio, tmp_path):
    studio.create("loose", [tmp_path / "shapes" / "lying" / "000.png"], layout="flat", backend="hsv-stripes")
    assert not tuning.can_learn(studio, "loose")
    assert not tuning.can_learn(studio, None)
    with pytest.raises(PartwiseError, match="more classes"):
        tuning.finetune(studio, "loose", "alexnet.random", "mine")
    with pytest.raises(GalleryError):
        tuning.finetune(studio, "", "alexnet.random", "mine")
    # What failed is in nobody's way.
    assert not tuning._busy.locked()
