"""The catalogue against a plain model, and its words, regions and vectors one by one."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reid.embedding import Embedding
from reid.errors import GalleryError, UnknownNameError
from reid.galleries import Library
from reid.galleries.records import NewItem
from tests.reid.galleries.toys import RECIPE, random_embeddings

NAMES = ["a.jpg", "b/a.jpg", "ü ñ.png", "c"]
RECIPES = ["1" * 16, "2" * 16]
WORDS = ["red", "upper", "Rot", "backpack", "rote"]


def new(name: str = "a.jpg", path: str | None = None, data: str = "0", **fields) -> NewItem:
    return NewItem(name, path or f"/pictures/{name}", data.rjust(64, "0"), 7, f"stamp {data}", 20, 30, **fields)


@pytest.fixture
def gallery(tmp_path):
    return Library(tmp_path).create("g")


class Catalogue(RuleBasedStateMachine):
    """Adds, changes, removes, reads; a dict of items, words and vectors must agree at every step."""

    @initialize()
    def start(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.library = Library(self.directory.name)
        self.gallery = self.library.create("start")
        self.name = "start"
        self.items: dict[int, dict] = {}
        self.seed = 0

    @rule(name=st.sampled_from(NAMES), data=st.sampled_from("xy"), camera=st.sampled_from([None, "c1", "c2"]))
    def refer(self, name, data, camera) -> None:
        (put,) = self.gallery.put_items([new(name, data=data, camera=camera, identity=data)])
        there = [i for i, item in self.items.items() if item["name"] == name and not item["copied"]]
        assert put.added == (not there)
        if there:
            assert put.id == there[0]
            item = self.items[put.id]
            assert put.changed == (item["data"] != data)
            if put.changed:
                item["vectors"] = {}
                item["words"].pop("parse", None)
            item |= {"data": data, "identity": data, "camera": camera or item["camera"]}
        else:
            assert put.id > max(self.items, default=0)
            self.items[put.id] = dict(
                name=name, copied=False, data=data, camera=camera, identity=data, words={}, vectors={}
            )

    @rule(name=st.sampled_from(NAMES[:2]), data=st.sampled_from("xyz"))
    def copy(self, name, data) -> None:
        (put,) = self.gallery.put_items([new(name, path=f"pictures/{data}", data=data, copied=True)])
        same = [i for i, item in self.items.items() if item["copied"] and (item["name"], item["data"]) == (name, data)]
        assert put.added == (not same)
        if same:
            assert put.id == same[0]
        else:
            self.items[put.id] = dict(
                name=name, copied=True, data=data, camera=None, identity=None, words={}, vectors={}
            )

    @precondition(lambda self: self.items)
    @rule(data=st.data(), text=st.lists(st.sampled_from(WORDS), max_size=3), source=st.sampled_from(["user", "parse"]))
    def write_words(self, data, text, source) -> None:
        id = data.draw(st.sampled_from(sorted(self.items)))
        self.gallery.set_words(id, "  ".join(text), source)
        self.items[id]["words"][source] = " ".join(text)

    @precondition(lambda self: self.items)
    @rule(data=st.data(), recipe=st.sampled_from(RECIPES))
    def embed(self, data, recipe) -> None:
        ids = data.draw(st.lists(st.sampled_from(sorted(self.items)), unique=True))
        self.seed += 1
        embeddings = random_embeddings(len(ids), self.seed)
        self.gallery.put_vectors(recipe, ids, embeddings, backend="toy")
        for id, embedding in zip(ids, embeddings, strict=True):
            self.items[id]["vectors"][recipe] = embedding

    @rule(recipe=st.sampled_from(RECIPES))
    def forget_recipe(self, recipe) -> None:
        self.gallery.remove_vectors(recipe)
        for item in self.items.values():
            item["vectors"].pop(recipe, None)

    @precondition(lambda self: self.items)
    @rule(data=st.data())
    def remove(self, data) -> None:
        ids = data.draw(st.lists(st.sampled_from(sorted(self.items)), unique=True, max_size=2))
        assert self.gallery.remove_items([*ids, 10**6]) == len(ids)
        for id in ids:
            del self.items[id]

    @rule()
    def fail_half_way(self) -> None:
        with suppress(ZeroDivisionError), self.gallery.transaction():
            self.gallery.put_items([new("never.jpg")])
            self.gallery.remove_items(list(self.items))
            raise ZeroDivisionError

    @rule(new_name=st.sampled_from(["start", "end", "Ännö 2"]))
    def rename(self, new_name) -> None:
        self.gallery = self.library.rename(self.name, new_name)
        self.name = new_name

    @rule()
    def reopen(self) -> None:
        self.gallery.close()
        self.gallery = Library(self.directory.name).open(self.name)

    @invariant()
    def agrees(self) -> None:
        found = {item.id: item for item in self.gallery.items()}
        assert self.gallery.count() == len(found)
        assert list(found) == sorted(self.items)
        for id, item in self.items.items():
            there = found[id]
            assert (there.name, there.copied, there.camera, there.identity) == (
                item["name"],
                item["copied"],
                item["camera"],
                item["identity"],
            )
            assert there.sha256 == item["data"].rjust(64, "0")
            assert self.gallery.words(id) == {source: text for source, text in item["words"].items() if text}
        for camera in ("c1", "c2"):
            expected = [i for i in sorted(self.items) if self.items[i]["camera"] == camera]
            assert self.gallery.ids_where([camera]).tolist() == expected

    @invariant()
    def words_are_found(self) -> None:
        for word in ("red", "ROT", "upper rot", "x"):
            wanted = word.lower().split()
            expected = {
                id
                for id, item in self.items.items()
                if all(
                    any(w.startswith(part) for text in item["words"].values() for w in text.lower().split())
                    for part in wanted
                )
            }
            assert set(self.gallery.search_words(word)) == expected

    @invariant()
    def vectors_are_exact(self) -> None:
        for recipe in RECIPES:
            expected = {id: item["vectors"][recipe] for id, item in self.items.items() if recipe in item["vectors"]}
            ids, embeddings = self.gallery.vectors(recipe)
            assert ids.tolist() == sorted(expected) == self.gallery.vector_ids(recipe).tolist()
            for id, embedding in zip(ids.tolist(), embeddings, strict=True):
                assert_same(embedding, expected[id])
            assert self.gallery.missing(recipe) == [i for i in sorted(self.items) if i not in expected]
            store = self.gallery.store(recipe)
            assert sorted(store.ids().tolist()) == sorted(expected)
            if expected:
                query = random_embeddings(1, 99).global_[0]
                found, similarities = store.search(query, len(expected))
                truth = {id: float(embedding.global_ @ query) for id, embedding in expected.items()}
                assert np.allclose(similarities, sorted(truth.values(), reverse=True), atol=1e-5)
                assert np.allclose([truth[i] for i in found.tolist()], similarities, atol=1e-5)

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            self.gallery.close()
            self.directory.cleanup()


Catalogue.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCatalogue = Catalogue.TestCase


def assert_same(one: Embedding, other: Embedding) -> None:
    for field in ("global_", "parts", "visibility"):
        assert np.array_equal(getattr(one, field), getattr(other, field))


@given(st.text(max_size=40))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_query_and_words_once_set_are_found_again(gallery, text):
    id = gallery.put_items([new()])[0].id
    gallery.set_words(id, text)
    assert set(gallery.search_words(text)) <= {id}
    kept = gallery.words(id).get("user", "")
    plain = [word for word in kept.split() if word.isascii() and word.isalnum()]
    assert not plain or gallery.search_words(" ".join(plain)) == [id]


@pytest.mark.parametrize(
    "query",
    ['"', "red AND", "NOT", "NEAR(", "user:red", "(", "*", "^red", "red*", "a\0b", "\ud800", "{x}: red", "--", "';"],
)
def test_query_syntax_means_nothing(gallery, query):
    gallery.put_items([new(words="blue lower")])
    assert gallery.search_words(query) == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("red upper", True),
        ("upper red", True),
        ("RED Upp", True),
        ("mutze", True),
        ("t-shirt", True),
        ("shirt", True),
        ("red lower", False),
        ("pper", False),
        ("", False),
        ("  ", False),
    ],
)
def test_all_words_in_any_order_begun_is_enough_accents_and_case_do_not_matter(gallery, query, found):
    id = gallery.put_items([new(words="red upper t-shirt")])[0].id
    gallery.set_words(id, "Mütze")
    assert gallery.search_words(query) == ([id] if found else [])


def test_the_better_match_comes_first_and_limit_cuts(gallery):
    long, short = (
        put.id for put in gallery.put_items([new("a", words="bag " + "x y z " * 20), new("b", words="bag bag")])
    )
    assert gallery.search_words("bag") == [short, long]
    assert gallery.search_words("bag", limit=1) == [short]


def test_a_file_without_words_keeps_those_that_came_before(gallery):
    id = gallery.put_items([new(words="red")])[0].id
    gallery.put_items([new()])
    assert gallery.item(id).words == "red"


def test_words_of_an_item_that_is_not_there(gallery):
    with pytest.raises(UnknownNameError, match="no item 7"):
        gallery.set_words(7, "red")
    with pytest.raises(UnknownNameError, match="no item 7"):
        gallery.item(7)


def test_regions_and_frames_of_one_file_are_items_of_their_own(gallery):
    whole = new("v.mp4")
    regions = [
        new("v.mp4", box=(1, 2, 30.5, 40), frame=3, time=0.12),
        new("v.mp4", box=(1, 2, 30.5, 41), frame=3, time=0.12),
        new("v.mp4", box=(1, 2, 30.5, 40), frame=4, time=0.16),
    ]
    ids = [put.id for put in gallery.put_items([whole, *regions])]
    again = gallery.put_items([whole, *regions])
    assert len(set(ids)) == 4
    assert [put.id for put in again] == ids
    assert not any(put.added or put.changed for put in again)
    item = gallery.item(ids[1])
    assert (item.box, item.frame, item.time) == ((1, 2, 30.5, 40), 3, 0.12)
    assert gallery.item(ids[0]).box is None


def test_items_by_label_page_and_order(gallery):
    ids = [
        put.id
        for put in gallery.put_items([new(f"{n}.jpg", camera=f"c{n % 2}", identity=f"p{n % 3}") for n in range(6)])
    ]
    assert [item.id for item in gallery.items(ids=ids[::-1])] == ids[::-1]
    assert [item.id for item in gallery.items(ids=[*ids, 99], camera="c1", limit=1, offset=1)] == [ids[3]]
    assert [item.id for item in gallery.items(identity="p1")] == [ids[1], ids[4]]
    assert [item.id for item in gallery.items(limit=2, offset=3)] == ids[3:5]
    assert gallery.cameras() == ["c0", "c1"]
    assert gallery.identities() == ["p0", "p1", "p2"]
    assert gallery.ids_where(None, "c0").tolist() == ids[1::2]


def test_an_item_of_no_camera_is_not_on_the_excluded_one(gallery):
    (put,) = gallery.put_items([new()])
    assert gallery.ids_where(None, "c1").tolist() == [put.id]
    assert gallery.ids_where([]).tolist() == []


def test_vectors_of_some_items_and_without_parts(gallery):
    ids = [put.id for put in gallery.put_items([new(f"{n}.jpg") for n in range(4)])]
    embeddings = random_embeddings(4)
    gallery.put_vectors(RECIPE, ids, embeddings, backend="toy")
    some, found = gallery.vectors(RECIPE, [ids[2], ids[0]])
    assert some.tolist() == [ids[0], ids[2]]
    assert np.array_equal(found.parts, embeddings.parts[[0, 2]])
    _, plain = gallery.vectors(RECIPE, parts=False)
    assert np.array_equal(plain.global_, embeddings.global_)
    assert plain.parts.shape == (4, 0, 0)
    assert gallery.recipes() == {RECIPE: "toy"}
    assert len(gallery.vectors("unknown")[0]) == 0


def test_vectors_of_another_shape_never_mix(gallery):
    ids = [put.id for put in gallery.put_items([new("a"), new("b")])]
    gallery.put_vectors(RECIPE, ids[:1], random_embeddings(1, dim=8))
    with pytest.raises(GalleryError, match="recipe leaves out something"):
        gallery.put_vectors(RECIPE, ids[1:], random_embeddings(1, dim=9))
    assert gallery.vector_ids(RECIPE).tolist() == ids[:1]


def test_vectors_of_an_item_that_was_removed_meanwhile_are_passed_over(gallery):
    (put,) = gallery.put_items([new()])
    gallery.put_vectors(RECIPE, [put.id, 99], random_embeddings(2))
    assert gallery.vector_ids(RECIPE).tolist() == [put.id]


def test_state_moves_with_every_change_of_vectors_and_with_nothing_else(gallery):
    ids = [put.id for put in gallery.put_items([new("a"), new("b")])]
    states = [gallery.vector_state(RECIPE)]
    for change in (
        lambda: gallery.put_vectors(RECIPE, ids, random_embeddings(2)),
        lambda: gallery.put_vectors(RECIPE, ids[:1], random_embeddings(1)),
        lambda: gallery.remove_items(ids[1:]),
        lambda: gallery.remove_items(ids[:1]),
        lambda: gallery.put_vectors(RECIPE, [gallery.put_items([new("c")])[0].id], random_embeddings(1)),
    ):
        change()
        states.append(gallery.vector_state(RECIPE))
    assert states[0] == states[4]  # nothing there, then nothing left
    assert len(set(states)) == len(states) - 1
    gallery.put_items([new("d", words="red")])
    assert gallery.vector_state(RECIPE) == states[-1]


def test_a_write_inside_a_snapshot_is_refused(gallery):
    with pytest.raises(RuntimeError, match="read transaction"), gallery.snapshot():
        gallery.put_items([new()])
    assert gallery.count() == 0


def test_paths(gallery):
    referred, copied = gallery.put_items([new(path="/there/a.jpg"), new(path="pictures/a.jpg", copied=True)])
    assert gallery.item(referred.id).path == Path("/there/a.jpg")
    assert gallery.item(copied.id).path == gallery.folder / "pictures/a.jpg"
