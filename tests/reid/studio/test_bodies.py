"""The studio with a backend that parses people: keywords, bodies, weights, composed queries and notes."""

from __future__ import annotations

import numpy as np
import pytest

from reid.errors import PartwiseError
from reid.galleries import Library
from reid.images import save_image
from reid.search.keywords import keywords
from reid.studio import Studio
from tests.reid.search.mannequins import STREET, Tailor, mannequin

RED, BLUE, GREEN = (200, 20, 30), (30, 60, 200), (30, 130, 50)
LOOKS = {"a": (RED, BLUE), "b": (BLUE, RED), "c": (GREEN, BLUE), "d": (RED, RED)}


class Warns(Tailor):
    def note(self, picture, embedding):
        return "Nobody here." if not self.parse(picture).labels.any() else None


@pytest.fixture
def studio(tmp_path, monkeypatch):
    studio = Studio(tmp_path / "data", shipped=None)
    backend = Warns()
    monkeypatch.setattr("reid.studio.studio.for_gallery", lambda name, folder: backend)
    files = []
    for name, (upper, lower) in LOOKS.items():
        files.append(tmp_path / f"{name}.png")
        save_image(files[-1], mannequin({"upper clothes": upper, "lower clothes": lower})[0])
    Library(tmp_path / "data").create("street").add(files)
    return studio


def look(upper, lower, seed: int = 1) -> np.ndarray:
    return mannequin({"upper clothes": upper, "lower clothes": lower}, seed=seed)[0]


def names(found) -> list[str]:
    return [hit.item.name[0] for hit in found.hits]


def test_first_search_keeps_keywords(studio):
    found = studio.search(look(GREEN, BLUE), "street", "tailor")
    assert names(found)[0] == "c"
    said = studio.words("street", found.hits[0].item.id)["parse"]
    assert said == keywords(*mannequin({"upper clothes": GREEN, "lower clothes": BLUE}))
    assert "green upper" in said
    assert set(names(studio.search(look(GREEN, BLUE), "street", "tailor", words="red-upper"))) == {"a", "d"}


def test_a_comparison_tells_bodies_and_bars(studio):
    found = studio.search(look(RED, BLUE), "street", "tailor")
    comparison = studio.compare(found, 0)
    assert comparison.query_body.parse.labels.any()
    assert comparison.body.parse.labels.any()
    assert comparison.body.skeleton is None  # it does not pose
    assert [bar.name for bar in comparison.bars] == ["upper", "lower"]
    assert all(bar.lead is not None for bar in comparison.bars)


def test_weights_reach_the_search_and_the_bars(studio):
    found = studio.search(look(RED, GREEN), "street", "tailor", part_weights={"upper": 1, "lower": 0})
    assert set(names(found)[:2]) == {"a", "d"}
    assert [bar.weight for bar in studio.compare(found, 0).bars] == [1, 0]
    as_it_comes = studio.search(look(RED, GREEN), "street", "tailor", part_weights={"upper": 1, "lower": 1})
    assert as_it_comes.weights is None


def test_a_query_is_composed_of_pictures(studio, tmp_path):
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    save_image(one, look(RED, GREEN))
    save_image(other, look(GREEN, BLUE))
    found = studio.compose([(["upper"], one), ([], one), (["lower"], other)], "street", "tailor")
    assert names(found)[0] == "a"
    assert found.composed
    assert found.query.shape[1] > found.query.shape[0] * 0.9  # the two side by side
    comparison = studio.compare(found, 0)
    assert comparison.query_body is None
    assert comparison.body is not None
    with pytest.raises(PartwiseError, match="Nothing is asked for"):
        studio.compose([([], one)], "street", "tailor")


def test_a_note_travels_with_what_was_found(studio):
    assert studio.search(look(RED, BLUE), "street", "tailor").note is None
    empty = np.full((128, 64, 3), STREET, np.uint8)
    assert studio.search(empty, "street", "tailor").note == "Nobody here."
