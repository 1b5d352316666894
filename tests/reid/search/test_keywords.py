"""Keywords of drawn people, and from indexing to a search by them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.gpn.anatomy import LABELS
from reid.backends import Parse
from reid.galleries import Library
from reid.images import save_image
from reid.search import index, search
from reid.search.keywords import describes_people, embed_with_words, keywords, put_embedded
from tests.reid.galleries.toys import Sample, Toy
from tests.reid.search.mannequins import (
    BACKPACK,
    BARE_LEGS,
    HANDBAG,
    HAT,
    LONG_HAIR,
    PALETTE,
    STREET,
    Tailor,
    mannequin,
)

RED, BLUE, WHITE, GREEN = (200, 20, 30), (30, 60, 200), (240, 240, 238), (30, 130, 50)
CLOTHES = {"upper clothes": RED, "lower clothes": BLUE, "shoe": WHITE}


def said(*more, **colours) -> list[str]:
    return keywords(*mannequin({**CLOTHES, **colours}, *more)).split(", ")


def test_garments_are_named_with_their_colours():
    assert said() == ["red upper", "blue lower", "white shoes", "short black hair"]


def test_bags_are_told_by_where_they_hang():
    assert "green backpack" in said(BACKPACK, bag=GREEN)
    assert "green handbag" in said(HANDBAG, bag=GREEN)
    assert "bag" in said(BACKPACK)
    assert "bag" in said(HANDBAG)
    assert "bag" not in said()


def test_hat_hair_and_bare_legs():
    assert {"red hat", "hat"} <= set(said(HAT, hat=RED))
    assert "hat" not in said()
    assert "long black hair" in said(LONG_HAIR)
    assert "short blond hair" in said(hair=(200, 170, 90))
    assert "short hair" in said(hair=(30, 60, 200))  # blue is the light's doing, more likely than the hair's
    assert "bare legs" in said(BARE_LEGS)
    assert "bare legs" not in said()


def test_light_of_another_camera_changes_no_word():
    picture, parse = mannequin(CLOTHES, BACKPACK)
    for gain in (0.75, 1.0, 1.15):
        other = np.clip(picture * gain, 0, 255).astype(np.uint8)
        assert keywords(other, parse) == keywords(picture, parse)


def test_large_pictures_say_what_small_ones_do():
    picture, parse = mannequin(CLOTHES, BACKPACK)
    large = cv2.resize(picture, (640, 1280), interpolation=cv2.INTER_NEAREST)
    labels = cv2.resize(parse.labels, (640, 1280), interpolation=cv2.INTER_NEAREST)
    assert keywords(large, Parse(labels, LABELS, PALETTE)) == keywords(picture, parse)


def test_nobody_is_not_described():
    picture, parse = mannequin(CLOTHES)
    assert keywords(picture, Parse(np.zeros_like(parse.labels), LABELS, PALETTE)) == ""
    specks = np.zeros_like(parse.labels)
    specks[:4, :4] = LABELS.index("upper clothes")
    assert keywords(picture, Parse(specks, LABELS, PALETTE)) == ""
    with pytest.raises(ValueError, match="differ in size"):
        keywords(picture[:-1], parse)


# In galleries


@pytest.fixture
def gallery(tmp_path):
    gallery = Library(tmp_path / "data").create("street")
    looks = {"a": (RED, BLUE), "b": (BLUE, RED), "c": (GREEN, BLUE)}
    samples = [
        written(tmp_path / f"{name}.png", mannequin({"upper clothes": up, "lower clothes": low})[0])
        for name, (up, low) in looks.items()
    ]
    samples.append(written(tmp_path / "empty.png", np.full((128, 64, 3), STREET, np.uint8)))
    index(gallery, samples, Tailor())
    return gallery


def written(path: Path, picture: np.ndarray) -> Sample:
    save_image(path, picture)
    return Sample(path, path.name, words="number one" if path.stem == "a" else "")


def test_indexing_keeps_what_the_parsing_sees(gallery):
    words = {item.name: gallery.words(item.id) for item in gallery.items()}
    assert words["a.png"] == {"file": "number one", "parse": "red upper, blue lower, black shoes, short black hair"}
    assert words["empty.png"] == {}


def test_pictures_are_found_by_what_is_worn(gallery):
    query = mannequin({"upper clothes": RED, "lower clothes": BLUE})[0]

    def names(words: str) -> list[str]:
        return [hit.item.name for hit in search(gallery, Tailor(), query, words=words).hits]

    assert names("green upper") == ["c.png"]
    assert set(names("red upper")) == {"a.png", "b.png"}  # both words, wherever they are
    assert names("red-upper") == ["a.png"]  # the phrase
    assert names("blue-lower number") == ["a.png"]


def test_other_backends_bring_no_words(tmp_path):
    picture = mannequin(CLOTHES)[0]
    assert describes_people(Tailor())
    assert not describes_people(Toy())
    assert embed_with_words(Toy(), [picture])[1] is None
    gallery = Library(tmp_path / "data").create("plain")
    index(gallery, [written(tmp_path / "b.png", picture)], Toy())
    assert gallery.words(gallery.items()[0].id) == {}


def test_an_item_removed_meanwhile_needs_no_words(gallery):
    kept, gone = gallery.items()[:2]
    gallery.remove_items([gone.id])
    embeddings, words = embed_with_words(Tailor(), [mannequin({"upper clothes": GREEN})[0]] * 2)
    put_embedded(gallery, Tailor(), [kept.id, gone.id], embeddings, words)
    assert gallery.words(kept.id)["parse"].startswith("green upper")
    assert gallery.words(gone.id) == {}
