"""What every backend must do, asked of each in the registry."""

from pathlib import Path

import numpy as np
import pytest

from reid.backends import cards, create, get
from reid.backends.registry import ABILITIES
from reid.backends.weights import WEIGHTS
from reid.embedding import Embeddings
from reid.errors import PartwiseError, UnknownNameError
from reid.images import load_image

CARDS = cards()
EMBEDDERS = [card for card in CARDS if "embed" in card.does]


def textured(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blocks and noise: corners for detectors, colours for histograms."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3)).repeat(8, 0).repeat(8, 1)[:height, :width]
    return np.clip(blocks + rng.normal(0, 5, blocks.shape), 0, 255).astype(np.uint8)


def grey(height: int, width: int) -> np.ndarray:
    return np.ascontiguousarray(textured(height, width)[..., :1].repeat(3, axis=2))


PICTURES = {
    "crop": textured(128, 64),
    "photo": textured(240, 320),
    "odd": textured(97, 61),
    "tall": textured(400, 24),
    "wide": textured(20, 500),
    "smallest": textured(16, 16),
    "grey": grey(128, 64),
    "black": np.zeros((128, 64, 3), np.uint8),
    "white": np.full((128, 64, 3), 255, np.uint8),
    "not contiguous": textured(128, 128)[:, ::2],
}


def loaded(card):
    try:
        return get(card.name)
    except (PartwiseError, ImportError) as error:
        pytest.skip(str(error))


def lengths(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)


def unit_or_zero(vectors: np.ndarray) -> bool:
    found = lengths(vectors)
    return bool(np.all(np.isclose(found, 1, atol=1e-4) | (found == 0)))


@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.name)
class TestCards:
    def test_says_what_it_is(self, card):
        assert card.family
        assert card.subject in {"person", "scene", "any"}
        assert set(card.does) <= set(ABILITIES)
        assert card.summary.endswith(".")
        assert card.licence
        assert len(set(card.parts)) == len(card.parts)
        if "embed" in card.does:
            assert card.preprocessing

    def test_weights_that_ship_have_a_model_card(self, card):
        if card.weights and (WEIGHTS / card.weights).is_file():
            stem = card.weights.removesuffix(".safetensors")
            assert (WEIGHTS / f"{stem}.md").is_file()

    def test_a_new_one_does_no_work(self, card):
        assert create(card.name) is not create(card.name)

    def test_recipe_names_what_changes_vectors(self, card):
        backend = loaded(card)
        assert backend.recipe()["name"] == card.name
        assert backend.recipe_hash() == create(card.name).recipe_hash()
        assert len(backend.recipe_hash()) == 16

    def test_what_it_cannot_do_it_says(self, card):
        backend = create(card.name)
        for ability in set(ABILITIES) - set(card.does):
            argument = [PICTURES["crop"]] if ability == "embed" else PICTURES["crop"]
            with pytest.raises(PartwiseError, match=card.name):
                getattr(backend, ability)(argument)


@pytest.mark.parametrize("card", EMBEDDERS, ids=lambda c: c.name)
class TestEmbedding:
    def test_any_picture_gives_a_finite_vector_of_unit_length_or_zero(self, card):
        found = loaded(card).embed(list(PICTURES.values()))
        assert isinstance(found, Embeddings)
        assert found.global_.shape == (len(PICTURES), card.dim)
        assert found.global_.dtype == np.float32
        assert np.isfinite(found.global_).all()
        assert unit_or_zero(found.global_)
        # A picture full of texture has something to describe.
        assert lengths(found.global_[list(PICTURES).index("photo")]) > 0.99

    def test_parts_are_those_on_the_card(self, card):
        found = loaded(card).embed(list(PICTURES.values()))
        assert found.parts.shape[:2] == (len(PICTURES), len(card.parts))
        assert found.visibility.shape == (len(PICTURES), len(card.parts))
        assert np.isfinite(found.parts).all()
        assert unit_or_zero(found.parts)
        assert ((found.visibility >= 0) & (found.visibility <= 1)).all()

    def test_a_batch_gives_what_single_pictures_give(self, card):
        backend = loaded(card)
        pictures = [PICTURES["crop"], PICTURES["photo"], PICTURES["odd"]]
        batch = backend.embed(pictures)
        for picture, together in zip(pictures, batch, strict=True):
            alone = backend.embed([picture])[0]
            np.testing.assert_allclose(alone.global_, together.global_, atol=1e-4)
            np.testing.assert_allclose(alone.parts, together.parts, atol=1e-4)
            np.testing.assert_allclose(alone.visibility, together.visibility, atol=1e-4)

    def test_the_same_picture_gives_the_same_vector_and_another_gives_another(self, card):
        backend = loaded(card)
        cup = load_image(Path(__file__).parents[3] / "gallery" / "photos" / "0002_c6.jpg")
        first, again, other = backend.embed([PICTURES["photo"], PICTURES["photo"].copy(), cup])
        np.testing.assert_allclose(first.global_, again.global_, atol=1e-5)
        assert first.global_ @ other.global_ < 0.999

    def test_pictures_are_left_as_they_were(self, card):
        picture = PICTURES["crop"].copy()
        loaded(card).embed([picture])
        np.testing.assert_array_equal(picture, PICTURES["crop"])

    def test_no_pictures_give_no_vectors(self, card):
        found = loaded(card).embed([])
        assert found.global_.shape == (0, card.dim)
        assert found.parts.shape[:2] == (0, len(card.parts))


def test_an_unknown_backend_is_told_what_there_is():
    with pytest.raises(UnknownNameError, match="sift"):
        get("no-such-backend")
