"""Search against brute force, its filters, margins and parts, and what it refuses."""

from __future__ import annotations

import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reid.backends.keypoints import Keypoints
from reid.embedding import Embedding
from reid.errors import GalleryError, PartwiseError, UnknownNameError
from reid.galleries import Library
from reid.galleries.records import NewItem
from reid.images import load_image, save_image
from reid.search import Hit, index, search
from reid.search import query as query_module
from reid.search.refined import search_expanded
from tests.reid.galleries.toys import Sample, Toy, folder_of, random_embeddings

BACKEND = Toy()
RECIPE = BACKEND.recipe_hash()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def gallery(folder, tmp_path_factory):
    gallery = Library(tmp_path_factory.mktemp("data")).create("g")
    samples = folder_of(folder, 40)
    words = {sample.name: "red upper" for sample in samples[::4]} | {samples[1].name: "reddish bag"}
    index(gallery, samples, BACKEND, words=words)
    return gallery


@pytest.fixture(scope="module")
def picture(folder):
    return load_image(folder / "007.png")


def numbered(gallery, name, vectors: list[list[float]], labels: list[tuple[str | None, str | None]]):
    """A new gallery of items with these global vectors (two parts: the halves) and labels."""
    gallery = Library(gallery.folder.parent.parent).create(name)
    new = [NewItem(f"{n}", f"/p/{n}", "0" * 64, 1, "", 20, 30, *label) for n, label in enumerate(labels)]
    embeddings = random_embeddings(len(labels), dim=2, part_dim=1)
    embeddings = replace(embeddings, global_=np.array(vectors, np.float32))
    gallery.put_vectors(RECIPE, [put.id for put in gallery.put_items(new)], embeddings, backend="toy")
    return gallery


def angles(*degrees: float) -> list[list[float]]:
    return [[np.cos(np.radians(d)), np.sin(np.radians(d))] for d in degrees]


@pytest.fixture
def asked():
    return Embedding.of(np.array([1.0, 0.0]), np.ones((2, 1)))


def names(hits) -> list[str]:
    return [hit.item.name for hit in hits.hits]


def test_a_picture_finds_itself_first(gallery, picture):
    hits = search(gallery, BACKEND, picture, top=3)
    assert [hit.rank for hit in hits.hits] == [1, 2, 3]
    assert hits.hits[0].item.name == "007.png"
    assert hits.hits[0].similarity == pytest.approx(1, abs=1e-5)
    assert hits.searched == 40
    assert hits.ms > 0


def test_an_embedding_asks_like_its_picture(gallery, picture):
    by_picture = search(gallery, BACKEND, picture)
    by_embedding = search(gallery, BACKEND, BACKEND.embed([picture])[0])
    assert by_picture.hits == by_embedding.hits


@given(
    st.sets(st.sampled_from(["c0", "c1", "c2"]), min_size=1) | st.none(),
    st.sampled_from([None, "c0", "c2", "elsewhere"]),
    st.sampled_from([None, "red", "UPPER red", "bag", "blue", " "]),
    st.integers(1, 60),
    st.integers(0, 39),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_filters_and_order_agree_with_brute_force(gallery, cameras, exclude, words, top, asked_for):
    ids, embeddings = gallery.vectors(RECIPE)
    query = embeddings[asked_for]
    items = {item.id: item for item in gallery.items()}

    def passes(item) -> bool:
        starts = all(any(w.startswith(q) for w in item.words.split()) for q in (words or "").lower().split())
        return (cameras is None or item.camera in cameras) and item.camera != exclude and starts

    expected = [
        (float(s), int(i))
        for s, i in zip(embeddings.global_ @ query.global_, ids, strict=True)
        if passes(items[int(i)])
    ]
    hits = search(
        gallery,
        BACKEND,
        query,
        top=top,
        cameras=None if cameras is None else sorted(cameras),
        exclude_camera=exclude,
        words=words,
    )
    assert hits.searched == len(expected)
    assert len(hits.hits) == min(top, len(expected))
    assert np.allclose(
        [h.similarity for h in hits.hits], sorted((s for s, _ in expected), reverse=True)[:top], atol=1e-5
    )
    assert {h.item.id for h in hits.hits} <= {i for _, i in expected}
    assert len({h.item.id for h in hits.hits}) == len(hits.hits)


# Margins


def test_margin_is_to_the_next_identity_below(gallery, asked):
    labels = [
        ("a", None),
        ("a", None),
        ("b", None),
        ("a", None),
        ("c", None),
        (None, None),
        ("-1", None),
        ("0000", None),
    ]
    g = numbered(gallery, "margins", angles(0, 10, 20, 30, 40, 50, 5, 15), labels)
    cos = np.cos(np.radians([0, 10, 20, 30, 40, 50, 5, 15]))
    margin = {hit.item.name: hit.margin for hit in search(g, BACKEND, asked).hits}
    for name in "013":
        assert margin[name] == pytest.approx(cos[0] - cos[2], abs=1e-5)
    assert margin["2"] == pytest.approx(cos[2] - cos[4], abs=1e-5)
    assert margin["4"] is None  # no identity follows
    assert margin["5"] is margin["6"] is margin["7"] is None  # unknown, junk, distractor


def test_margin_looks_beyond_the_hits_however_far(gallery, asked, monkeypatch):
    monkeypatch.setattr(query_module, "SHORTLIST", 3)
    degrees = [float(n) for n in range(40)]
    g = numbered(gallery, "far", angles(*degrees), [("a", None)] * 39 + [("b", None)])
    (hit,) = search(g, BACKEND, asked, top=1).hits
    assert hit.margin == pytest.approx(1 - np.cos(np.radians(39)), abs=1e-5)


def test_margin_heeds_the_filters(gallery, asked):
    g = numbered(gallery, "filtered", angles(0, 10, 20), [("a", "c1"), ("b", "c2"), ("c", "c1")])
    hit = search(g, BACKEND, asked, cameras=["c1"]).hits[0]
    assert hit.margin == pytest.approx(1 - np.cos(np.radians(20)), abs=1e-5)


def test_one_identity_has_no_margin(gallery, asked):
    g = numbered(gallery, "alone", angles(0, 10), [("a", None)] * 2)
    assert [hit.margin for hit in search(g, BACKEND, asked).hits] == [None, None]


# Parts


def test_hits_tell_every_part(gallery, picture):
    hits = search(gallery, BACKEND, picture, top=4)
    query = BACKEND.embed([picture])[0]
    for hit in hits.hits:
        item = gallery.vectors(RECIPE, [hit.item.id])[1][0]
        assert list(hit.parts) == ["upper", "lower"]
        for n, part in enumerate(hit.parts.values()):
            assert part.similarity == pytest.approx(float(query.parts[n] @ item.parts[n]), abs=1e-5)
            assert part.visibility == 1
    assert hits.hits[0].parts["upper"].similarity == pytest.approx(1, abs=1e-5)


def test_a_part_of_weight_zero_leaves_the_match(gallery, folder, tmp_path):
    """Upper half of one picture, lower half of another: each weight finds its own."""
    one, other = load_image(folder / "003.png"), load_image(folder / "011.png")
    mixed = np.concatenate([one[:24], other[24:]])
    assert names(search(gallery, BACKEND, mixed, top=1, part_weights={"lower": 0})) == ["003.png"]
    assert names(search(gallery, BACKEND, mixed, top=1, part_weights={"upper": 0})) == ["011.png"]
    changed = np.concatenate([one[:24], 255 - other[24:]])
    same = [search(gallery, BACKEND, p, top=40, part_weights={"lower": 0.0}) for p in (mixed, changed)]
    assert names(same[0]) == names(same[1])
    assert [h.similarity for h in same[0].hits] == pytest.approx([h.similarity for h in same[1].hits], abs=1e-5)


def test_part_weights_combine_cosines_by_weight_and_visibility(gallery):
    g = Library(gallery.folder.parent.parent).create("weights")
    put = g.put_items([NewItem(f"{n}", f"/p/{n}", "0" * 64, 1, "", 20, 30, camera=f"c{n % 2}") for n in range(30)])
    embeddings = random_embeddings(30, 3)
    g.put_vectors(RECIPE, [one.id for one in put], embeddings, backend="toy")
    query = random_embeddings(1, 4)[0]
    visible = np.minimum(query.visibility, embeddings.visibility)
    cosines = np.einsum("pd,npd->np", query.parts, embeddings.parts)
    strangers = (visible * cosines).sum(0) / visible.sum(0)
    expected = (visible * cosines + (1 - visible) * strangers) @ [0.8, 0.2]
    hits = search(g, BACKEND, query, top=30, part_weights={"upper": 2, "lower": 0.5})
    assert [hit.item.id for hit in hits.hits] == [put[n].id for n in np.argsort(-expected)]
    assert [hit.similarity for hit in hits.hits] == pytest.approx(np.sort(expected)[::-1].tolist(), abs=1e-5)
    some = search(g, BACKEND, query, top=30, part_weights={"upper": 2, "lower": 0.5}, cameras=["c1"])
    assert names(some) == [name for name in names(hits) if int(name) % 2]
    assert some.searched == 15


def test_rerank_by_parts_orders_the_shortlist(gallery, picture, monkeypatch):
    from reid.search.parts import part_similarity

    monkeypatch.setattr(query_module, "SHORTLIST", 8)
    plain = search(gallery, BACKEND, picture, top=8)
    ids, embeddings = gallery.vectors(RECIPE, [hit.item.id for hit in plain.hits])
    similarity = dict(zip(ids.tolist(), part_similarity(BACKEND.embed([picture])[0], embeddings).tolist(), strict=True))
    hits = search(gallery, BACKEND, picture, top=5, rerank="parts")
    assert [h.item.id for h in hits.hits] == sorted(similarity, key=lambda i: -similarity[i])[:5]
    assert [h.similarity for h in hits.hits] == pytest.approx(sorted(similarity.values(), reverse=True)[:5], abs=1e-6)
    assert hits.searched == 40
    assert len(search(gallery, BACKEND, picture, top=30, rerank="parts").hits) == 30


class Revealing(Toy):
    """Takes whatever is green for something in the way."""

    def reveal(self, pictures):
        return [np.where((p == (0, 255, 0)).all(2, keepdims=True), np.uint8(128), p) for p in pictures]


def test_a_match_by_parts_looks_past_what_hides_the_query(gallery, picture):
    hidden, backend = picture.copy(), Revealing()
    hidden[:, :10] = (0, 255, 0)
    revealed = BACKEND.embed(backend.reveal([hidden]))[0]
    for options in ({"rerank": "parts"}, {"part_weights": {"upper": 0.5}}):
        np.testing.assert_array_equal(search(gallery, backend, hidden, **options).query.global_, revealed.global_)
        expanded = search_expanded(gallery, backend, hidden, neighbours=0, **options)
        np.testing.assert_array_equal(expanded.query.parts, revealed.parts)
        np.testing.assert_array_equal(search(gallery, backend, hidden, **options).revealed, backend.reveal([hidden])[0])
    as_it_is = search(gallery, backend, hidden)
    assert as_it_is.revealed is None
    np.testing.assert_array_equal(as_it_is.query.global_, BACKEND.embed([hidden])[0].global_)


# Geometry


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Twelve drawn scenes, each unlike the others."""
    folder = tmp_path_factory.mktemp("scenes")
    samples = []
    for n in range(12):
        rng = np.random.default_rng(n)
        picture = np.full((200, 260, 3), 120, np.uint8)
        for _ in range(60):
            y, x = rng.integers(0, 180), rng.integers(0, 240)
            picture[y : y + rng.integers(6, 30), x : x + rng.integers(6, 30)] = rng.integers(0, 256, 3)
        save_image(folder / f"{n:02}.png", picture)
        samples.append(Sample(folder / f"{n:02}.png", f"{n:02}.png"))
    return samples


class Orb(Toy):
    """Finds keypoints too."""

    def keypoints(self, picture: np.ndarray) -> Keypoints:
        points, descriptors = cv2.ORB_create(500).detectAndCompute(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), None)
        xy = np.array([point.pt for point in points], np.float32).reshape(-1, 2)
        return Keypoints(xy, descriptors, picture.shape[1::-1])


def test_geometry_puts_the_same_scene_first_and_shows_why(scenes, tmp_path):
    backend = Orb()
    gallery = Library(tmp_path).create("scenes")
    index(gallery, scenes, backend)
    view = np.ascontiguousarray(load_image(scenes[5].path)[20:190, 30:240])
    hits = search(gallery, backend, view, rerank="geometry", top=12)
    first = hits.hits[0]
    assert first.item.name == "05.png"
    assert first.matches.inliers >= 10
    moved = first.matches.item_xy - first.matches.query_xy
    assert np.median(np.abs(moved - [30, 20])) < 2
    assert all(hit.matches.inliers < first.matches.inliers for hit in hits.hits[1:])
    scenes_gone = gallery.item(first.item.id).path
    kept = scenes_gone.read_bytes()
    scenes_gone.unlink()
    try:
        without = search(gallery, backend, view, rerank="geometry", top=12)
    finally:
        scenes_gone.write_bytes(kept)
    assert len(without.hits) == 12
    assert next(hit for hit in without.hits if hit.item.name == "05.png").matches is None


# What is refused, and what changes under way


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"top": 0}, PartwiseError, "1 hit or more"),
        ({"rerank": "magic"}, UnknownNameError, "there are none, parts, geometry"),
        ({"rerank": "geometry"}, PartwiseError, "no keypoints"),
        ({"part_weights": {"hat": 1}}, UnknownNameError, "no part 'hat'; its parts are upper, lower"),
        ({"part_weights": {"upper": -1}}, PartwiseError, "from 0 up"),
        ({"part_weights": {"upper": float("nan")}}, PartwiseError, "from 0 up"),
        ({"part_weights": {"upper": 0, "lower": 0}}, PartwiseError, "nothing to compare"),
        ({"cameras": ["c9"]}, UnknownNameError, "no camera 'c9'; there are c0, c1, c2"),
    ],
)
def test_what_cannot_be_done_is_told_with_what_can(gallery, picture, options, error, match):
    with pytest.raises(error, match=match):
        search(gallery, BACKEND, picture, **options)


def test_a_backend_without_parts_weighs_none(gallery, picture):
    plain = Toy()
    plain.card = replace(Toy.card, name="plain", parts=())
    for options in ({"rerank": "parts"}, {"part_weights": {"upper": 1}}):
        with pytest.raises(PartwiseError, match="plain has no parts"):
            search(gallery, plain, picture, **options)


def test_a_gallery_that_was_not_indexed_says_by_what_it_was(gallery, picture, tmp_path):
    other = Toy()
    other.card = replace(Toy.card, name="other")
    with pytest.raises(GalleryError, match=r"not indexed by other \(by toy\)"):
        search(gallery, other, picture)
    with pytest.raises(GalleryError, match="other weights or settings"):
        search(gallery, Toy(2), picture)
    with pytest.raises(GalleryError, match="is empty"):
        search(Library(tmp_path).create("none"), BACKEND, picture)
    with pytest.raises(GalleryError, match="is empty"):
        search(Library(tmp_path).open("none"), BACKEND, picture, part_weights={"upper": 1})


def test_an_embedding_of_another_backend_is_refused(gallery):
    with pytest.raises(PartwiseError, match="has 5 numbers"):
        search(gallery, BACKEND, Embedding.of(np.ones(5)))


def test_new_pictures_are_found_and_removed_ones_are_not(folder, tmp_path, picture):
    gallery = Library(tmp_path).create("g")
    samples = folder_of(folder, 12)
    index(gallery, samples[:7], BACKEND)
    assert names(search(gallery, BACKEND, picture, top=1)) != ["007.png"]
    index(gallery, samples, BACKEND)
    assert names(search(gallery, BACKEND, picture, top=1)) == ["007.png"]
    Library(tmp_path).open("g").remove_items([search(gallery, BACKEND, picture, top=1).hits[0].item.id])
    assert "007.png" not in names(search(gallery, BACKEND, picture, top=12))


def test_searching_while_pictures_come_and_go(folder, tmp_path, picture):
    gallery = Library(tmp_path).create("g")
    samples = folder_of(folder, 20)
    index(gallery, samples, BACKEND)
    failures: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                for options in ({}, {"part_weights": {"upper": 2}}, {"rerank": "parts"}, {"cameras": ["c1"]}):
                    hits = search(gallery, BACKEND, picture, top=30, **options)
                    assert [hit.rank for hit in hits.hits] == list(range(1, len(hits.hits) + 1))
            except BaseException as error:
                failures.append(error)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for n in range(15):
        gallery.remove_items([item.id for item in gallery.items(limit=5, offset=n)])
        index(gallery, samples, BACKEND)
    stop.set()
    for asker in askers:
        asker.join()
    assert failures == []


def test_json_has_what_the_command_line_promises(gallery, picture):
    import json

    document = json.loads(json.dumps(search(gallery, BACKEND, picture, top=2).as_dict(), allow_nan=False))
    assert set(document) == {"hits", "ms"}
    first = document["hits"][0]
    assert set(first) == {"rank", "name", "identity", "camera", "similarity", "margin", "parts"}
    assert set(first["parts"]["upper"]) == {"similarity", "visibility"}
    region = replace(gallery.items(limit=1)[0], box=(1.0, 2.0, 3.0, 4.0), frame=5, time=0.2)
    assert Hit(1, region, 1.0, None, {}).as_dict()["box"] == (1.0, 2.0, 3.0, 4.0)


def test_no_similarity_exceeds_one(gallery, picture, monkeypatch):
    """In single precision a picture may be more like itself than by 1."""
    from reid.galleries import FaissStore

    found = FaissStore.search
    monkeypatch.setattr(FaissStore, "search", lambda *a, **k: (found(*a, **k)[0], found(*a, **k)[1] + np.float32(2)))
    assert {hit.similarity for hit in search(gallery, BACKEND, picture).hits} == {1.0}
