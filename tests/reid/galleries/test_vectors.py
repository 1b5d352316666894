"""The store of vectors: exact search, and a cache that is never believed when it should not be."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.embedding import l2_normalise
from reid.galleries import FaissStore, Library
from reid.galleries import vectors as vectors_module
from reid.galleries.vectors import CachedStore, FaissFile, Shelf
from tests.reid.galleries.toys import RECIPE, enter, random_embeddings


@pytest.fixture
def gallery(tmp_path):
    gallery = Library(tmp_path).create("g")
    enter(gallery, 50)
    return gallery


@pytest.fixture
def cache(gallery):
    return gallery.folder / "cache" / f"{RECIPE}.faiss"


def fresh(gallery, cache) -> FaissStore:
    """What a process that starts now would get."""
    return CachedStore().store(gallery, RECIPE, FaissFile(cache))


def assert_is_the_truth(store: FaissStore, gallery) -> None:
    ids, embeddings = gallery.vectors(RECIPE)
    assert sorted(store.ids().tolist()) == ids.tolist()
    query = random_embeddings(1, 77).global_[0]
    found, similarities = store.search(query, len(ids))
    truth = dict(zip(ids.tolist(), (embeddings.global_ @ query).tolist(), strict=True))
    assert np.allclose([truth[i] for i in found.tolist()], similarities, atol=1e-5)
    assert np.all(np.diff(similarities) <= 0)


@given(st.integers(1, 60), st.integers(0, 80), st.integers(0, 1000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_search_is_exact(count, top, seed, filtered):
    rng = np.random.default_rng(seed)
    vectors = l2_normalise(rng.normal(size=(count, 5)))
    ids = rng.choice(10**9, count, replace=False)
    store = FaissStore(5)
    store.add(ids, vectors)
    among = rng.choice(ids, rng.integers(0, count + 1), replace=False) if filtered else None
    query = l2_normalise(rng.normal(size=5))
    found, similarities = store.search(query, top, among)
    chosen = np.ones(count, bool) if among is None else np.isin(ids, among)
    expected = np.sort(vectors[chosen] @ query)[::-1][:top]
    assert np.allclose(similarities, expected, atol=1e-6)
    where = [int(np.flatnonzero(ids == i)[0]) for i in found]
    assert np.allclose(vectors[where] @ query, similarities, atol=1e-6)
    assert len(set(where)) == len(where)


def test_adding_an_id_again_replaces_its_vector():
    store = FaissStore(2)
    store.add(np.array([5, 6]), np.eye(2))
    store.add(np.array([5]), np.array([[0, -1]]))
    assert store.count() == 2
    assert store.search(np.array([0, 1], np.float32), 2)[0].tolist() == [6, 5]
    assert store.remove(np.array([5, 99])) == 1
    assert store.count() == 1


def test_a_store_goes_through_bytes_unchanged():
    store = FaissStore(8)
    store.add(np.arange(20), random_embeddings(20).global_)
    again = FaissStore.from_bytes(store.to_bytes())
    query = random_embeddings(1, 5).global_[0]
    for one, other in zip(store.search(query, 20), again.search(query, 20), strict=True):
        assert np.array_equal(one, other)


def test_the_file_serves_the_next_start_without_reading_the_catalogue(gallery, cache, monkeypatch):
    gallery.store(RECIPE)
    assert cache.exists()
    monkeypatch.setattr(gallery, "vectors", lambda *_, **__: pytest.fail("the catalogue was read"))
    store = fresh(gallery, cache)
    monkeypatch.undo()
    assert_is_the_truth(store, gallery)


@pytest.mark.parametrize(
    "change", ["missing", "emptied", "cut", "flipped", "no number", "another gallery's", "a folder"]
)
def test_a_missing_or_damaged_file_is_made_anew(gallery, cache, change, tmp_path):
    gallery.store(RECIPE)
    data = bytearray(cache.read_bytes())
    if change == "missing":
        cache.unlink()
    elif change == "emptied":
        cache.write_bytes(b"")
    elif change == "cut":
        cache.write_bytes(data[: len(data) // 2])
    elif change == "flipped":
        data[-100] ^= 1
        cache.write_bytes(data)
    elif change == "no number":
        cache.write_bytes(data.replace(b'"count": 50', b'"count": []'))
    elif change == "another gallery's":
        other = Library(tmp_path).create("other")
        enter(other, 50, seed=1)
        other.store(RECIPE)
        cache.write_bytes((other.folder / "cache" / cache.name).read_bytes())
    else:
        cache.unlink()
        cache.mkdir()
    assert_is_the_truth(fresh(gallery, cache), gallery)
    if change != "a folder":
        before = cache.read_bytes()
        assert_is_the_truth(fresh(gallery, cache), gallery)
        assert cache.read_bytes() == before  # it was written once, and served the second time


def test_a_stale_file_is_brought_up_to_date(gallery, cache):
    gallery.store(RECIPE)
    stale = cache.read_bytes()
    ids = [item.id for item in gallery.items()]
    gallery.put_vectors(RECIPE, ids[:5], random_embeddings(5, 9))  # replaced
    gallery.remove_items(ids[10:12])
    enter(gallery, 3, seed=2)
    assert_is_the_truth(gallery.store(RECIPE), gallery)
    cache.write_bytes(stale)
    assert_is_the_truth(fresh(gallery, cache), gallery)


def test_the_store_in_memory_follows_another_process_catalogue(gallery):
    store = gallery.store(RECIPE)
    other = Library(gallery.folder.parent.parent).open("g")
    enter(other, 4, seed=3)
    other.remove_items([1])
    assert gallery.store(RECIPE) is store
    assert_is_the_truth(store, gallery)


def test_a_file_ahead_of_a_catalogue_that_was_put_back_is_not_believed(gallery, cache):
    gallery.close()
    catalogue = gallery.folder / gallery.FILE
    backup = catalogue.read_bytes()
    enter(gallery, 30, seed=4)
    gallery.store(RECIPE)
    gallery.close()
    catalogue.write_bytes(backup)
    assert_is_the_truth(fresh(gallery, cache), gallery)


def test_a_cache_that_cannot_be_written_loses_nothing(gallery, cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vectors_module.os, "replace", full)
    assert_is_the_truth(gallery.store(RECIPE), gallery)
    assert list(cache.parent.iterdir()) == []


def test_a_few_changes_do_not_rewrite_the_file(gallery, cache):
    gallery.store(RECIPE)
    before = cache.read_bytes()
    gallery.remove_items([3])
    gallery.store(RECIPE)
    assert cache.read_bytes() == before
    enter(gallery, 20, seed=5)
    gallery.store(RECIPE)
    assert cache.read_bytes() != before


def test_no_shared_store_is_made_of_what_may_be_rolled_back(gallery):
    with gallery.transaction(), pytest.raises(RuntimeError, match="inside a transaction"):
        gallery.store(RECIPE)
    with gallery.snapshot(), pytest.raises(RuntimeError, match="inside a transaction"):
        gallery.part_vectors(RECIPE)


def test_parts_are_kept_until_the_catalogue_changes(gallery):
    ids, embeddings = gallery.part_vectors(RECIPE)
    assert gallery.part_vectors(RECIPE)[1] is embeddings
    gallery.remove_items([1])
    after, changed = gallery.part_vectors(RECIPE)
    assert after.tolist() == ids.tolist()[1:]
    assert np.array_equal(changed.parts, embeddings.parts[1:])


def test_threads_search_while_one_writes(gallery):
    failures = []
    stop = threading.Event()

    def read() -> None:
        query = random_embeddings(1, 6).global_[0]
        while not stop.is_set():
            try:
                found, similarities = gallery.store(RECIPE).search(query, 5)
                assert len(found) == 5
                assert np.all(np.abs(similarities) <= 1.0001)
            except BaseException as error:
                failures.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for seed in range(10, 30):
        enter(gallery, 5, seed)
        gallery.remove_items([seed - 9])
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert_is_the_truth(gallery.store(RECIPE), gallery)


def test_the_shelf_lets_go_of_the_least_recently_used(gallery, cache):
    shelf = Shelf(max_bytes=3000)
    for recipe in "abc":
        store = shelf.take(gallery.uid, recipe)
        store.store(gallery, RECIPE, FaissFile(cache))  # 50 x (8 x 4 + 8) bytes = 2,000
    assert store.bytes() == 2000
    kept = shelf.take(gallery.uid, "c")
    assert kept is store
    assert shelf.take(gallery.uid, "a").bytes() == 0
    shelf.drop(gallery.uid)
    assert shelf.take(gallery.uid, "c") is not store
