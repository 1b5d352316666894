"""DPSNet as a backend: any picture comes back labelled in its own frame, and a scene's numbers say what it holds."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.dpsnet import DPSNet
from reid.backends import Parse, cards, precision
from reid.backends import dpsnet as module
from reid.backends.dpsnet import CLASSES, FEATURES, LEAST, PALETTE, DPSNetScenes, describe, scene_words
from reid.backends.weights import WEIGHTS
from reid.datasets import CAMVID_CLASSES
from reid.errors import WeightsError
from tests.reid.backends.test_registry import PICTURES, textured


def save(folder, net):
    state = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    save_file({k: v.contiguous() for k, v in state.items()}, folder / "dpsnet.safetensors")
    return hashlib.sha256((folder / "dpsnet.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """Seeded weights that have learnt nothing."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    digest = save(folder, DPSNet())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reid.backends.weights.WEIGHTS", folder)
        loaded = type("Untrained", (DPSNetScenes,), {"weights_sha256": digest})()
        loaded.check()
        loaded.load()
    return loaded


class TestParse:
    @pytest.mark.parametrize("name", list(PICTURES))
    def test_every_picture_is_labelled_in_its_own_frame(self, backend, name):
        parse = backend.parse(PICTURES[name])
        assert parse.labels.shape == PICTURES[name].shape[:2]
        assert parse.labels.dtype == np.uint8
        assert parse.labels.max() < len(CLASSES)
        assert parse.names == CAMVID_CLASSES

    def test_a_frame_of_the_right_area_is_not_resampled(self, backend):
        picture = textured(432, 576)
        with torch.inference_mode():
            logits = backend._net(module.to_tensor([picture], (432, 576)), autocast=precision.autocast())["logits"]
        fine = torch.nn.functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
        agree = backend.parse(picture).labels == fine.argmax(1)[0].numpy()
        assert agree.mean() > 0.999  # rounding decides ties

    def test_pictures_are_padded_not_stretched(self, backend, monkeypatch):
        seen = []
        real = module.to_tensor
        monkeypatch.setattr(module, "to_tensor", lambda tiles, size: seen.append(size) or real(tiles, size))
        backend.parse(textured(97, 61))
        ((height, width),) = seen
        assert height % 8 == width % 8 == 0
        assert height / width == pytest.approx(97 / 61, rel=0.08)
        assert height * width == pytest.approx(4 * 4 * 97 * 61, rel=0.1)

    def test_long_pictures_go_through_in_tiles_that_cover_all(self, backend, monkeypatch):
        sizes = []
        real = module.to_tensor
        monkeypatch.setattr(module, "to_tensor", lambda tiles, size: sizes.append(size) or real(tiles, size))
        picture = textured(40, 3000)
        look = backend._look(picture)
        cover = np.zeros((-(-look.height // 8), -(-look.width // 8)), int)
        for tile in look.tiles:
            height, width = tile.context.shape[:2]
            assert tile.logits.shape == (2 * height, 2 * width, len(CLASSES))
            cover[tile.top : tile.top + height, tile.left : tile.left + width] += 1
        assert (cover == 1).all()
        assert len(sizes) > 1
        assert max(width for _, width in sizes) <= module.TILE

    def test_forty_megapixels_take_bounded_memory(self, backend, monkeypatch):
        most = []
        real = module.to_tensor
        monkeypatch.setattr(
            module, "to_tensor", lambda tiles, size: most.append(size[0] * size[1]) or real(tiles, size)
        )
        for height, width in ((5000, 8000), (100, 40_000)):
            picture = np.broadcast_to(np.uint8(90), (height, width, 3))
            assert backend.parse(np.ascontiguousarray(picture)).labels.shape == (height, width)
        assert max(most) <= module.AREA * 1.1

    def test_labels_follow_the_logits(self, backend, monkeypatch):
        """A network that calls red sky and green road: its map must be the picture's own, at every scale."""

        class Colours(torch.nn.Module):
            def forward(self, x, autocast=None):
                small = torch.nn.functional.avg_pool2d(x, 4)
                logits = torch.full((1, len(CLASSES), *small.shape[2:]), -9.0)
                logits[:, 0], logits[:, 3] = small[:, 0], small[:, 1]
                return {"logits": logits, "context": torch.zeros(1, FEATURES, x.shape[2] // 8, x.shape[3] // 8)}

        monkeypatch.setattr(backend, "_net", Colours())
        for height, width in ((360, 480), (30, 40), (900, 1300), (200, 3600)):
            picture = np.zeros((height, width, 3), np.uint8)
            picture[:, : width // 3, 0] = picture[:, width // 3 :, 1] = 255
            truth = np.where(np.arange(width) < width // 3, 0, 3)
            assert (backend.parse(picture).labels == truth).mean() > 0.98


class TestEmbedding:
    def test_shapes_are_those_of_the_card(self, backend):
        card = DPSNetScenes.card
        found = backend.embed(list(PICTURES.values()))
        assert found.global_.shape == (len(PICTURES), card.dim)
        assert found.parts.shape[:2] == (len(PICTURES), len(card.parts))
        assert np.isfinite(found.global_).all()
        np.testing.assert_allclose(np.linalg.norm(found.global_, axis=1), 1, atol=1e-4)
        lengths = np.linalg.norm(found.parts, axis=2)
        np.testing.assert_allclose(lengths[found.visibility > 0], 1, atol=1e-4)
        assert (lengths[found.visibility == 0] == 0).all()

    def test_shares_add_up_to_the_picture(self, backend):
        found = backend.embed([textured(360, 480)])
        assert found.visibility.sum() == pytest.approx(1, abs=len(CLASSES) * LEAST)

    def test_one_pass_gives_both(self, backend):
        picture = textured(100, 140)
        embeddings, (parse,) = backend.embed_and_parse([picture])
        np.testing.assert_array_equal(embeddings.global_, backend.embed([picture]).global_)
        assert (parse.labels == backend.parse(picture).labels).mean() > 0.99  # which may compute in bfloat16

    def test_no_pictures_give_no_vectors(self, backend):
        found = backend.embed([])
        assert found.global_.shape == (0, DPSNetScenes.card.dim)
        assert found.parts.shape[:2] == (0, len(CLASSES))

    def test_a_size_apart_is_nearly_the_same_scene(self, backend):
        picture = textured(360, 480)
        other = np.ascontiguousarray(textured(360, 480, seed=5)[::-1])
        double = picture.repeat(2, 0).repeat(2, 1)
        one, same, else_ = backend.embed([picture, double, other]).global_
        assert one @ same > 0.99
        assert one @ else_ < one @ same


class TestDescribe:
    def scene(self, rows):
        """Classes in horizontal bands of one cell row each."""
        shares = np.eye(len(CLASSES), dtype=np.float32)[np.array(rows)][:, None].repeat(8, 1)
        pooled = np.random.default_rng(0).random((len(CLASSES), FEATURES)) * shares.sum((0, 1))[:, None]
        return describe(shares, pooled)

    def test_visibility_is_the_share(self):
        _, parts, visibility = self.scene([0, 0, 0, 0, 1, 1, 3, 3])
        np.testing.assert_allclose(visibility[[0, 1, 3]], [0.5, 0.25, 0.25])
        assert (visibility[[2, 4, 5]] == 0).all()
        assert (parts[2] == 0).all()

    def test_the_same_road_under_another_place_is_told_apart(self):
        _, below, _ = self.scene([0, 0, 0, 0, 0, 0, 3, 3])
        _, above, _ = self.scene([3, 3, 0, 0, 0, 0, 0, 0])
        _, again, _ = self.scene([1, 1, 1, 1, 1, 1, 3, 3])

        def alike(a, b):
            return a[3] @ b[3] / np.linalg.norm(a[3]) / np.linalg.norm(b[3])

        assert alike(below, again) > 0.999, "the same road, whatever is above it"
        assert alike(below, above) < 0.9

    def test_layout_counts_in_the_whole(self):
        whole = [self.scene(rows)[0] for rows in ([0] * 4 + [3] * 4, [0] * 4 + [3] * 4, [3] * 4 + [0] * 4)]
        assert whole[0] @ whole[1] > whole[0] @ whole[2] + 0.05


def test_words_name_what_is_there_largest_first():
    labels = np.zeros((10, 20), np.uint8)
    labels[5:] = CLASSES.index("pavement")
    labels[6:] = CLASSES.index("road")
    labels[0, 0] = CLASSES.index("bicyclist")
    parse = Parse(labels, CLASSES, PALETTE)
    assert scene_words(parse, 0.004) == ("sky", "road", "pavement", "sidewalk", "bicyclist", "bicycle")
    assert "bicycle" not in scene_words(parse, 0.01)


def test_each_class_has_a_colour_of_its_own():
    assert CLASSES == CAMVID_CLASSES
    assert PALETTE.shape == (len(CLASSES), 3)
    apart = np.abs(PALETTE[:, None].astype(int) - PALETTE[None]).sum(2) + 999 * np.eye(len(CLASSES), dtype=int)
    assert apart.min() >= 60


def test_it_is_offered_exactly_when_its_weights_ship():
    assert ("dpsnet" in {card.name for card in cards()}) == (WEIGHTS / "dpsnet.safetensors").is_file()
    assert bool(DPSNetScenes.weights_sha256) == (WEIGHTS / "dpsnet.safetensors").is_file()


def test_weights_of_another_network_are_refused(tmp_path, monkeypatch):
    save_file({"a": torch.zeros(1)}, tmp_path / "dpsnet.safetensors")
    digest = hashlib.sha256((tmp_path / "dpsnet.safetensors").read_bytes()).hexdigest()
    monkeypatch.setattr("reid.backends.weights.WEIGHTS", tmp_path)
    with pytest.raises(WeightsError, match="another network"):
        type("Other", (DPSNetScenes,), {"weights_sha256": digest})().load()
    with pytest.raises(WeightsError, match="is not the file"):
        type("Changed", (DPSNetScenes,), {"weights_sha256": "0" * 64})().check()
