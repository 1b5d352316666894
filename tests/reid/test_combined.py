import numpy as np
import pytest

from reid import backends
from reid.backends import Backend, Card
from reid.combined import evaluate_combined, members_of
from reid.embedding import Embeddings
from reid.errors import PartwiseError, UnknownNameError
from reid.images import save_image
from reid.reports import evaluate
from tests.reid.backends.pictures import scene


class Upper(Backend):
    """Colours of the upper half only."""

    card = Card("upper-half", "baseline", "any", ("embed",), "Upper colours.", dim=4)
    rows = slice(0, 16)

    def load(self) -> None:
        pass

    def embed(self, pictures):
        means = [np.append(picture[self.rows].reshape(-1, 3).mean(0) - 128, 40.0) for picture in pictures]
        return Embeddings.of(np.array(means, np.float32).reshape(-1, 4))


class Lower(Upper):
    card = Card("lower-half", "baseline", "any", ("embed",), "Lower colours.", dim=4)
    rows = slice(16, 32)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Classes by an upper and a lower colour, each shared with another class."""
    for cls in (Upper, Lower):
        monkeypatch.setitem(backends.registry._registered, cls.card.name, cls)
    rng = np.random.default_rng(0)
    colours = rng.integers(40, 216, (4, 3))
    for upper in range(4):
        for lower in range(4):
            (tmp_path / f"{upper}{lower}").mkdir()
            for view in range(4):
                picture = np.repeat([colours[upper], colours[lower]], 16, 0)[:, None].repeat(16, 1)
                picture = picture + rng.normal(0, 12, (2, 1, 3)).repeat(16, 0)
                save_image(tmp_path / f"{upper}{lower}" / f"{view}.png", picture.clip(0, 255).astype(np.uint8))
    yield tmp_path
    for cls in (Upper, Lower):
        backends.registry.forget(cls.card.name)


@pytest.mark.parametrize("way", ["sum", "ranks", "fitted"])
def test_together_they_beat_the_better_one(folders, way):
    found = evaluate_combined(folders, "folders", "upper-half+lower-half", way)
    alone = [figures["mAP"] for figures in found["members"].values()]
    assert found["mAP"] > max(alone) + 10
    assert found["queries"] == 64
    assert ("weights" in found) == (way == "fitted")


def test_each_alone_is_as_reported(folders):
    found = evaluate_combined(folders, "folders", "upper-half+lower-half")
    plain = evaluate(folders, "folders", "lower-half")
    assert found["members"]["lower-half"]["mAP"] == pytest.approx(plain["mAP"], abs=1e-6)


def test_one_backend_can_be_expanded_and_augmented(folders):
    plain = evaluate_combined(folders, "folders", "upper-half")["mAP"]
    expanded = evaluate_combined(folders, "folders", "upper-half", expand=3)["mAP"]
    augmented = evaluate_combined(folders, "folders", "upper-half", augment=3)["mAP"]
    assert len({round(plain, 3), round(expanded, 3), round(augmented, 3)}) == 3


def test_names_and_ways_that_are_none_are_refused(folders):
    assert members_of("a + b") == ["a", "b"]
    with pytest.raises(UnknownNameError, match="join"):
        members_of("a+")
    with pytest.raises(UnknownNameError, match="fitted"):
        evaluate_combined(folders, "folders", "upper-half+lower-half", "vote")
    with pytest.raises(UnknownNameError):
        evaluate_combined(folders, "folders", "upper-half+nobody")


def test_cross_camera_protocols_are_fused_too(tmp_path, folders):
    root = tmp_path / "market"
    for split, cameras in (("query", (1,)), ("bounding_box_test", (2, 3))):
        (root / split).mkdir(parents=True)
        for n, folder in enumerate(sorted(p for p in folders.iterdir() if len(p.name) == 2), 1):
            for camera in cameras:
                target = root / split / f"{n:04}_c{camera}s1_000000_00.png"
                target.write_bytes((folder / f"{camera}.png").read_bytes())
    found = evaluate_combined(root, "market1501", "upper-half+lower-half", "fitted")
    assert found["rank1"] > max(figures["rank1"] for figures in found["members"].values())
    assert found["gallery"] == 32


def test_what_several_find_is_checked_by_geometry(tmp_path, folders):
    for name in ("a", "b", "c"):
        (tmp_path / "scenes" / name).mkdir(parents=True)
        whole = scene(ord(name))
        for view, picture in enumerate((whole, whole[20:200, 30:290], whole[40:220, 10:280])):
            save_image(tmp_path / "scenes" / name / f"{view}.png", picture // (1 + view))
    names = "upper-half+lower-half+orb"
    plain = evaluate_combined(tmp_path / "scenes", "folders", names, "ranks")
    checked = evaluate_combined(tmp_path / "scenes", "folders", names, "ranks", rerank="geometry")
    assert checked["mAP"] == pytest.approx(100)
    assert plain["mAP"] < 90
    assert checked["members"] == plain["members"]
    with pytest.raises(PartwiseError, match="geometry alone"):
        evaluate_combined(folders, "folders", names, rerank="parts")
    with pytest.raises(PartwiseError, match="sift, surf or orb"):
        evaluate_combined(folders, "folders", "upper-half+lower-half", rerank="geometry")


def test_what_does_not_embed_is_refused(folders, monkeypatch):
    class Parser(Upper):
        card = Card("parser-alone", "scene parser", "scene", ("parse",), "Parses.")

    monkeypatch.setitem(backends.registry._registered, "parser-alone", Parser)
    with pytest.raises(PartwiseError, match="does not embed"):
        evaluate_combined(folders, "folders", "upper-half+parser-alone")
    backends.registry.forget("parser-alone")
