"""Compose: parts of several pictures make one query."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reid.embedding import Embeddings
from reid.errors import PartwiseError, UnknownNameError
from reid.galleries import Library
from reid.images import load_image
from reid.search import index
from reid.search.compose import Like, compose, composed
from tests.reid.galleries.toys import Toy, folder_of

BACKEND = Toy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def gallery(folder, tmp_path_factory):
    """Forty pictures, and one more with the upper half of number 3 over the lower half of number 11."""
    from reid.images import save_image
    from tests.reid.galleries.toys import Sample

    samples = folder_of(folder, 40)
    one, other = load_image(folder / "003.png"), load_image(folder / "011.png")
    save_image(folder / "mixed.png", np.concatenate([one[:24], other[24:]]))
    samples.append(Sample(folder / "mixed.png", "mixed.png", "p9", "c0"))
    gallery = Library(tmp_path_factory.mktemp("data")).create("g")
    index(gallery, samples, BACKEND)
    return gallery


def like(folder, *parts: str, name: str) -> Like:
    return Like(parts, load_image(folder / f"{name}.png"), f"{name}.png")


def test_parts_of_two_pictures_find_who_has_both(gallery, folder):
    hits = compose(gallery, BACKEND, [like(folder, "upper", name="003"), like(folder, "lower", name="011")], top=3)
    first = hits.hits[0]
    assert first.item.name == "mixed.png"
    assert first.similarity == pytest.approx(1, abs=1e-5)
    assert first.parts["upper"].similarity == pytest.approx(1, abs=1e-5)
    assert first.parts["lower"].similarity == pytest.approx(1, abs=1e-5)


def test_parts_that_are_not_named_do_not_count(gallery, folder):
    hits = compose(gallery, BACKEND, [like(folder, "upper", name="003")], top=2)
    assert {hit.item.name for hit in hits.hits} == {"003.png", "mixed.png"}
    assert [hit.similarity for hit in hits.hits] == pytest.approx([1, 1], abs=1e-5)
    assert hits.hits[0].parts["lower"].visibility == 0


def test_filters_hold(gallery, folder):
    hits = compose(gallery, BACKEND, [like(folder, "upper", name="003")], top=50, cameras=["c0"])
    assert {hit.item.camera for hit in hits.hits} == {"c0"}


@pytest.mark.parametrize(
    ("parts", "error", "match"),
    [
        ([("hat",)], UnknownNameError, "no part 'hat'; its parts are upper, lower"),
        ([("upper",), ("lower", "upper")], PartwiseError, r"upper is asked for twice, like 0\.png and like 1\.png"),
        ([()], PartwiseError, "Nothing is asked for"),
        ([], PartwiseError, "Nothing is asked for"),
    ],
)
def test_what_cannot_be_composed_is_told(gallery, parts, error, match):
    picture = np.zeros((48, 24, 3), np.uint8)
    with pytest.raises(error, match=match):
        compose(gallery, BACKEND, [Like(each, picture, f"{n}.png") for n, each in enumerate(parts)])


def test_a_backend_without_parts_composes_nothing(gallery, folder):
    plain = Toy()
    plain.card = replace(Toy.card, name="plain", parts=())
    with pytest.raises(PartwiseError, match="plain has no parts"):
        compose(gallery, plain, [like(folder, "upper", name="003")])


class Behind(Toy):
    """Sees no lower half: it is behind a car."""

    def embed(self, pictures):
        seen = super().embed(pictures)
        return Embeddings(seen.global_, seen.parts, np.tile(np.float32([1, 0.02]), (len(pictures), 1)))


def test_a_hidden_part_cannot_be_asked_for(folder):
    with pytest.raises(PartwiseError, match=r"003\.png does not show its lower .*0\.02"):
        composed(Behind(), [like(folder, "upper", "lower", name="003")])
    embedding, asked = composed(Behind(), [like(folder, "upper", name="003")])
    assert list(asked) == ["upper"]
    assert embedding.visibility.tolist() == [1, 0]
    assert np.linalg.norm(embedding.global_) == pytest.approx(1, abs=1e-5)
