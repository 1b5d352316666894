import cv2
import numpy as np
import pytest

from reid.backends import cards, create, get
from reid.backends.codebook import CENTRES, DIM, Codebook
from reid.backends.descriptors import LocalDescriptor, codebook_path, for_gallery, with_codebook
from reid.backends.keypoints import WorkingSize, extract
from reid.errors import PartwiseError, UnknownNameError, WeightsError
from tests.reid.backends.pictures import scene

NAMES = [card.name for card in cards() if card.family == "local descriptor"]


def test_there_are_the_four():
    assert NAMES == ["sift", "surf", "orb", "vgg-descriptor"]


@pytest.mark.parametrize("name", NAMES)
class TestEach:
    def test_keypoints_lie_in_the_callers_picture(self, name):
        picture = scene(height=128, width=64)
        found = get(name).keypoints(picture)
        assert found.size == (64, 128)
        assert len(found) > 20
        assert len(found.descriptors) == len(found)
        assert (found.xy >= -1).all()
        assert (found.xy <= [64, 128]).all()
        # Not left in the enlarged picture's pixels, nor crowded into a corner of this one.
        assert (np.ptp(found.xy, axis=0) > [30, 60]).all()

    def test_a_plain_picture_has_no_keypoints_and_the_zero_vector(self, name):
        plain = np.full((64, 64, 3), 90, np.uint8)
        assert len(get(name).keypoints(plain)) == 0
        assert not get(name).embed([plain]).global_.any()

    def test_altered_copies_find_their_original(self, name):
        backend = get(name)
        originals = [scene(seed) for seed in range(8)]
        altered = [_altered(picture) for picture in originals[:4]]
        similarities = backend.embed(altered).global_ @ backend.embed(originals).global_.T
        np.testing.assert_array_equal(similarities.argmax(1), range(4))

    def test_another_codebook_is_another_recipe(self, name, tmp_path):
        shipped = get(name)
        path = _changed(shipped.codebook).save_in(tmp_path, name)
        own = with_codebook(name, path)
        assert own.recipe_hash() != shipped.recipe_hash()
        assert not np.allclose(own.embed([scene()]).global_, shipped.embed([scene()]).global_, atol=1e-3)

    def test_a_gallery_without_a_codebook_uses_the_shipped_one(self, name, tmp_path):
        assert for_gallery(name, tmp_path) is get(name)
        _changed(get(name).codebook).save_in(tmp_path, name)
        assert for_gallery(name, tmp_path).recipe_hash() != get(name).recipe_hash()


class TestCodebookFiles:
    def test_keep_what_was_saved(self, tmp_path):
        for name in NAMES:
            shipped = get(name).codebook
            shipped.save(tmp_path / name)
            assert Codebook.load(tmp_path / name, name).digest == shipped.digest

    def test_hold_no_pickle(self):
        backend = create("sift")
        assert isinstance(backend, LocalDescriptor)
        assert backend.codebook.projection.shape == (128, DIM)
        assert backend.codebook.centres.shape == (CENTRES, DIM)

    def test_missing(self, tmp_path):
        with pytest.raises(WeightsError, match="missing"):
            with_codebook("sift", tmp_path / "none")

    @pytest.mark.parametrize("content", [b"", b"not a codebook", b"\xff" * 64])
    def test_damaged(self, tmp_path, content):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(WeightsError, match="no codebook"):
            with_codebook("sift", tmp_path / "bad")

    def test_of_another_backend(self, tmp_path):
        get("orb").codebook.save(tmp_path / "orb")
        with pytest.raises(WeightsError, match="belongs to orb"):
            with_codebook("sift", tmp_path / "orb")

    def test_of_other_sizes(self, tmp_path):
        book = get("sift").codebook
        Codebook("sift", book.projection, book.centres[:8], book.ones).save(tmp_path / "small")
        with pytest.raises(WeightsError, match="other sizes"):
            with_codebook("sift", tmp_path / "small")

    def test_only_for_local_descriptors(self, tmp_path):
        with pytest.raises(PartwiseError, match="has no codebook"):
            with_codebook("hsv-stripes", tmp_path / "x")
        with pytest.raises(UnknownNameError):
            with_codebook("nothing", tmp_path / "x")


class TestWorkingSize:
    def test_small_pictures_are_doubled_and_large_ones_halved(self):
        size = WorkingSize(short_side=160, max_pixels=600_000)
        assert size.factor(128, 64) == 4
        assert size.factor(256, 384) == 1
        assert size.factor(3000, 4000) == 0.125
        assert size.factor(16, 16) == 16

    def test_the_limit_on_pixels_wins(self):
        size = WorkingSize(short_side=160, max_pixels=600_000)
        for height, width in [(16, 4000), (17, 40000), (100, 3000)]:
            assert height * width * size.factor(height, width) ** 2 <= 600_000

    @pytest.mark.parametrize("factor", [0.5, 1, 2])
    def test_positions_come_back_to_the_callers_pixels(self, factor):
        picture = np.zeros((80, 100, 3), np.uint8)
        picture[20:24, 60:64] = 255  # centred on (61.5, 21.5)
        size = WorkingSize(short_side=int(80 * factor), max_pixels=int(8000 * factor**2))

        def brightest(grey, scaled):
            assert scaled == factor
            return np.argwhere(grey > 200)[:, ::-1].mean(0, keepdims=True), np.zeros((1, 4), np.float32)

        np.testing.assert_allclose(extract(picture, size, brightest).xy, [[61.5, 21.5]], atol=0.3)


def _altered(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    turned = cv2.warpAffine(picture, cv2.getRotationMatrix2D((width / 2, height / 2), 12, 1), (width, height))
    cropped = turned[20 : height - 20, 30 : width - 20]
    return (cropped * 0.6).astype(np.uint8)


class _changed:  # noqa: N801
    """A codebook with its centres moved."""

    def __init__(self, book: Codebook) -> None:
        self.book = book

    def save_in(self, folder, name):
        centres = 255 - self.book.centres if self.book.binary else self.book.centres[::-1] * 0.5
        path = codebook_path(name, folder)
        Codebook(name, self.book.projection, centres, self.book.ones).save(path)
        return path


def test_small_pictures_cost_vgg_fewer_keypoints():
    noise = np.random.default_rng(0).integers(0, 255, (64, 128, 3), dtype=np.uint8)
    assert len(create("vgg-descriptor").keypoints(noise)) == 64  # 8,192 pixels, one for 128
    large = cv2.resize(noise, (512, 256), interpolation=cv2.INTER_NEAREST)
    assert len(create("vgg-descriptor").keypoints(large)) > 200
