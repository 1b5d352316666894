"""Milvus in FAISS's place, with a real one in a file: exact, kept up to date, dropped, its faults sentences."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from reid.errors import GalleryError
from reid.galleries import Library
from reid.galleries.milvus import MilvusStore, _asking, _client, _expressions
from tests.reid.galleries.toys import RECIPE, enter, random_embeddings


@pytest.fixture
def uri(tmp_path, monkeypatch):
    uri = str(tmp_path / "vectors.db")
    monkeypatch.setenv("PARTWISE_MILVUS", uri)
    yield uri
    _client(uri).close()
    _client.cache_clear()


@pytest.fixture
def library(tmp_path, uri):
    return Library(tmp_path / "data")


def assert_is_the_truth(store, gallery) -> None:
    ids, embeddings = gallery.vectors(RECIPE)
    assert isinstance(store, MilvusStore)
    assert sorted(store.ids().tolist()) == ids.tolist()
    query = random_embeddings(1, 77).global_[0]
    found, similarities = store.search(query, len(ids))
    expected = np.sort(embeddings.global_ @ query)[::-1]
    np.testing.assert_allclose(similarities, expected, atol=1e-5)
    truth = dict(zip(ids.tolist(), (embeddings.global_ @ query).tolist(), strict=True))
    np.testing.assert_allclose([truth[i] for i in found.tolist()], similarities, atol=1e-5)


def test_a_gallery_is_searched_in_milvus_and_nothing_is_left_of_faiss(library):
    gallery = library.create("g")
    enter(gallery, 50)
    store = gallery.store(RECIPE)
    assert_is_the_truth(store, gallery)
    assert store.nbytes == 0
    among = gallery.vector_ids(RECIPE)[::3]
    found, _ = store.search(random_embeddings(1, 5).global_[0], 5, among)
    assert len(found) == 5
    assert set(found.tolist()) <= set(among.tolist())
    assert store.search(random_embeddings(1, 5).global_[0], 5, among[:0])[0].tolist() == []
    assert not list((gallery.folder / "cache").glob("*.faiss"))


def test_it_follows_the_catalogue(library):
    gallery = library.create("g")
    ids = enter(gallery, 30)
    gallery.store(RECIPE)
    gallery.put_vectors(RECIPE, ids[:5], random_embeddings(5, 9))  # replaced
    gallery.remove_items(ids[10:12])
    enter(gallery, 3, seed=2)
    assert_is_the_truth(gallery.store(RECIPE), gallery)


def test_the_next_start_reads_nothing_anew(library, monkeypatch):
    gallery = library.create("g")
    enter(gallery, 20)
    gallery.store(RECIPE)
    gallery.close()
    monkeypatch.setattr(gallery, "vectors", lambda *_, **__: pytest.fail("the catalogue was read"))
    store = gallery.store(RECIPE)
    monkeypatch.undo()
    assert store.count() == 20


@pytest.mark.parametrize("loss", ["the note", "the collection", "some rows"])
def test_what_is_lost_is_made_anew(library, uri, loss):
    gallery = library.create("g")
    ids = enter(gallery, 20)
    gallery.store(RECIPE)
    gallery.close()
    name = f"partwise_{gallery.uid}_{RECIPE}"
    if loss == "the note":
        (gallery.folder / "cache" / f"{RECIPE}.milvus").unlink()
    elif loss == "the collection":
        with _asking(uri) as client:
            client.drop_collection(name)
    else:
        MilvusStore(uri, name).remove(np.array(ids[:4]))
    assert_is_the_truth(gallery.store(RECIPE), gallery)


def test_a_collection_goes_with_its_vectors_and_with_its_gallery(library, uri):
    first, second = library.create("a"), library.create("b")
    for gallery in (first, second):
        enter(gallery, 5)
        gallery.store(RECIPE)
    with _asking(uri) as client:
        assert len(client.list_collections()) == 2
        first.remove_vectors(RECIPE)
        assert client.list_collections() == [f"partwise_{second.uid}_{RECIPE}"]
        library.remove("b")
        assert client.list_collections() == []


def test_an_empty_gallery_needs_no_collection(library):
    gallery = library.create("g")
    assert gallery.store(RECIPE).count() == 0
    enter(gallery, 3)
    assert_is_the_truth(gallery.store(RECIPE), gallery)


def test_many_ids_are_asked_for_in_pieces():
    assert list(_expressions(None)) == [""]
    pieces = list(_expressions(np.arange(45_000)))
    assert len(pieces) == 3
    assert pieces[-1].endswith(",44999]")


def test_no_server_is_one_sentence(library, monkeypatch):
    gallery = library.create("g")
    enter(gallery, 3)
    monkeypatch.setenv("PARTWISE_MILVUS", "http://127.0.0.1:9")
    with pytest.raises(GalleryError, match=r"Milvus at http://127\.0\.0\.1:9 cannot be used: .*the gallery itself"):
        gallery.store(RECIPE)
    monkeypatch.delenv("PARTWISE_MILVUS")
    assert gallery.store(RECIPE).count() == 3


def test_without_the_client_the_sentence_says_what_to_install(library, monkeypatch):
    gallery = library.create("g")
    enter(gallery, 3)
    monkeypatch.setitem(sys.modules, "pymilvus.exceptions", None)
    with pytest.raises(GalleryError, match="pip install"):
        gallery.store(RECIPE)


def test_a_file_that_another_process_holds_is_a_sentence(library, uri):
    holder = (
        "import sys; from pymilvus import MilvusClient; client = MilvusClient(sys.argv[1]); "
        "print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        text=True,
    )
    try:
        assert process.stdout.readline().strip() == "held"
        gallery = library.create("g")
        enter(gallery, 3)
        with pytest.raises(GalleryError, match=r"Milvus at .* cannot be used"):
            gallery.store(RECIPE)
    finally:
        process.communicate("")
