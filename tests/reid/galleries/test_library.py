"""The set of galleries: names, listing, removal, renaming, and what goes wrong with disks and files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reid.errors import GalleryError, ImageError, PartwiseError, UnknownNameError
from reid.galleries import GalleryInfo, Library
from reid.galleries.catalogue import Catalogue
from reid.galleries.library import check_name, default_root
from tests.reid.galleries.toys import RECIPE, draw, folder_of, random_embeddings


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "data")


def filled(library: Library, name: str = "g", count: int = 5, **options):
    gallery = library.create(name)
    ids = gallery.add(folder_of(library.root.parent / f"pictures of {name}", count), **options)
    gallery.put_vectors(RECIPE, ids, random_embeddings(count), backend="toy")
    return gallery


@given(st.text(max_size=80))
@example("../evil")
@example("a/../../b")
@example("..")
@example(".hidden")
@example("C:\\x")
@example("con\0")
@example("x" * 65)
@example("\u202egpj.exe")
@settings(deadline=None, max_examples=200)
def test_a_name_is_refused_or_names_a_folder_right_inside(name):
    try:
        kept = check_name(name)
    except GalleryError:
        return
    folder = Path("/data/galleries")
    assert Path(os.path.normpath(folder / kept)).parent == folder
    assert not kept.startswith(".")
    assert check_name(kept) == kept
    assert len(os.fsencode(kept)) <= 200


@pytest.mark.parametrize("name", ["Straße 7", "人物 画廊", "a.b-c_d", "Ünïcode", "🙂"])
def test_names_of_any_script_are_kept(library, name):
    assert library.create(name).name == name
    assert library.names() == [name]
    assert name in library


def test_one_name_has_one_spelling(library):
    library.create("Cafe\u0301")
    assert "Caf\u00e9" in library
    with pytest.raises(GalleryError, match="already"):
        library.create(" Caf\u00e9 ")


def test_an_empty_library_is_listed_without_being_made(library):
    assert library.list() == []
    assert not library.root.exists()
    with pytest.raises(UnknownNameError, match="there is none yet"):
        library.open("g")


def test_listing_tells_what_is_in_each(library):
    filled(library, "b")
    library.create("A")
    assert library.list() == [GalleryInfo("A"), GalleryInfo("b", 5, 4, 3, ("toy",))]
    assert library.list()[1].as_dict()["backends"] == ["toy"]


def test_the_data_folder_is_the_environments_or_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("PARTWISE_DATA", str(tmp_path))
    assert default_root() == tmp_path
    assert Library().root == tmp_path
    monkeypatch.delenv("PARTWISE_DATA")
    assert default_root().name == "partwise"


def test_open_gives_the_same_object_until_the_gallery_is_another(library):
    gallery = library.create("g")
    assert library.open("g") is gallery
    Library(library.root).remove("g")
    Library(library.root).create("g")
    assert library.open("g") is not gallery
    assert library.open("g").uid != gallery.uid


def test_the_text_of_an_unknown_name_lists_those_there_are(library):
    library.create("street")
    library.create("campus")
    with pytest.raises(UnknownNameError, match=r"no gallery 'x'; there are campus, street"):
        library.open("x")


def test_remove_takes_copies_and_leaves_pictures_that_were_referred_to(library, tmp_path):
    picture = draw(tmp_path / "a.png", 1)
    gallery = library.create("g")
    gallery.add([picture])
    gallery.add([picture], copy=True)
    library.remove("g")
    assert "g" not in library
    assert picture.exists()
    assert list(library.folder.iterdir()) == []
    with pytest.raises(UnknownNameError):
        library.remove("g")


def test_a_gallery_removed_or_renamed_under_an_object_says_so(library):
    gallery = filled(library)
    other = Library(library.root)
    other.rename("g", "h")
    for use in (gallery.count, lambda: gallery.set_words(1, "red"), lambda: gallery.store(RECIPE)):
        with pytest.raises(GalleryError, match="gone: it was removed or renamed"):
            use()
    other.create("g")
    with pytest.raises(GalleryError, match="gone: it was removed or renamed"):
        gallery.count()
    assert library.open("g").count() == 0
    assert library.open("h").count() == 5


def test_rename_keeps_all(library):
    gallery = filled(library)
    uid = gallery.uid
    renamed = library.rename("g", " Neu ")
    assert renamed.name == "Neu"
    assert (renamed.uid, renamed.count()) == (uid, 5)
    assert renamed.store(RECIPE).count() == 5
    assert library.names() == ["Neu"]


def test_rename_refuses_a_taken_or_unfit_name(library):
    filled(library)
    library.create("h")
    with pytest.raises(GalleryError, match="already"):
        library.rename("g", "h")
    with pytest.raises(GalleryError, match="holds '/'"):
        library.rename("g", "a/b")
    assert library.open("g").count() == 5
    assert library.rename("g", "g").count() == 5


def test_more_galleries_than_are_kept_open(library, monkeypatch):
    monkeypatch.setattr("reid.galleries.library.MAX_OPEN", 2)
    galleries = [library.create(f"g{n}") for n in range(4)]
    assert [gallery.count() for gallery in galleries] == [0] * 4
    assert library.open("g0") is not galleries[0]
    assert library.open("g3") is galleries[3]


# Adding and removing pictures


def test_add_reads_size_hash_and_labels(library, tmp_path):
    gallery = library.create("g")
    samples = folder_of(tmp_path / "p", 2)
    ids = gallery.add([*samples, str(samples[0].path)])
    assert ids[0] == ids[2]
    item = gallery.item(ids[1])
    assert (item.width, item.height, item.identity, item.camera) == (24, 48, "p1", "c1")
    assert item.path == samples[1].path
    assert item.bytes == samples[1].path.stat().st_size
    assert not item.copied


def test_two_files_with_equal_bytes_are_two_items_and_share_one_copy(library, tmp_path):
    gallery = library.create("g")
    paths = [draw(tmp_path / name, 1) for name in ("a.png", "b.png")]
    ids = gallery.add(paths, copy=True)
    assert len(set(ids)) == 2
    copies = {item.path for item in gallery.items()}
    assert len(copies) == 1
    gallery.remove_items(ids[:1])
    assert copies.pop().exists()
    gallery.remove_items(ids[1:])
    assert not [path for path in (gallery.folder / "pictures").rglob("*") if path.is_file()]


def test_one_unreadable_picture_adds_nothing_unless_it_may_be_left_out(library, tmp_path):
    gallery = library.create("g")
    good, bad = draw(tmp_path / "a.png", 1), tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"bad\.png"):
        gallery.add([good, bad])
    assert gallery.count() == 0
    told = []
    gallery.add([bad, good], on_error=lambda path, why: told.append((path, why)))
    assert gallery.count() == 1
    assert told[0][0] == bad
    assert "no picture" in told[0][1]


def test_picture_gives_the_whole_or_the_region(library, tmp_path):
    gallery = library.create("g")
    (id,) = gallery.add([draw(tmp_path / "a.png", 1)])
    item = gallery.item(id)
    whole = gallery.picture(id)
    assert whole.shape == (48, 24, 3)
    region = gallery.picture(replace(item, box=(-3, 2.5, 10.2, 20)))
    assert np.array_equal(region, whole[2:20, 0:11])
    with pytest.raises(GalleryError, match="outside"):
        gallery.picture(replace(item, box=(30, 0, 40, 10)))


def test_a_missing_picture_is_one_sentence_and_the_item_stays(library, tmp_path):
    gallery = library.create("g")
    path = draw(tmp_path / "a.png", 1)
    (id,) = gallery.add([path])
    path.unlink()
    with pytest.raises(GalleryError, match=r"a\.png of gallery 'g' is no longer at"):
        gallery.picture(id)
    assert gallery.count() == 1


# Disks and damage


@pytest.fixture
def read_only():
    """A data folder that the test may not write to."""
    folder = Path(tempfile.mkdtemp())
    library = Library(folder)
    filled(library).close()
    made = [Path(top) for top, _, _ in os.walk(folder)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        path.chmod(0o444)
    for path in made:
        path.chmod(0o555)
    root = os.geteuid() == 0
    if root:  # whom no permission stops
        os.seteuid(65534)
    try:
        yield Library(folder)
    finally:
        if root:
            os.seteuid(0)
        for path in made:
            path.chmod(0o755)
        shutil.rmtree(folder)


def test_a_read_only_folder_can_be_searched_and_says_that_it_cannot_be_written(read_only):
    gallery = read_only.open("g")
    assert gallery.count() == 5
    assert gallery.store(RECIPE).count() == 5
    assert gallery.search_words("x") == []
    for write in (lambda: gallery.set_words(1, "red"), lambda: gallery.remove_items([1])):
        with pytest.raises(GalleryError, match="read-only"):
            write()
    with pytest.raises(GalleryError, match="cannot be made"):
        read_only.create("h")
    with pytest.raises(GalleryError, match="cannot be removed"):
        read_only.remove("g")
    assert gallery.count() == 5


def test_a_full_disk_keeps_what_was_stored(library, monkeypatch):
    gallery = filled(library)
    gallery.close()
    connect = sqlite3.connect

    def small(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA max_page_count = 1")  # never below what it holds: no page can be added
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    ids = [item.id for item in gallery.items()]
    with pytest.raises(GalleryError, match="disk is full"):
        gallery.put_vectors("f" * 16, ids, random_embeddings(5, dim=5000))
    monkeypatch.setattr(sqlite3, "connect", connect)
    gallery.close()
    assert len(gallery.vectors(RECIPE)[0]) == 5
    assert gallery.recipes() == {RECIPE: "toy"}


def test_a_full_disk_stops_a_copy_with_one_sentence(library, tmp_path, monkeypatch):
    gallery = library.create("g")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(GalleryError, match=r"cannot be copied .* No space left on device"):
        gallery.add([draw(tmp_path / "a.png", 1)], copy=True)
    assert gallery.count() == 0
    assert not [path for path in (gallery.folder / "pictures").rglob("*") if path.is_file()]


def test_a_newer_schema_is_left_alone(library):
    gallery = filled(library)
    gallery.close()
    with sqlite3.connect(gallery.folder / Catalogue.FILE) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(GalleryError, match="newer version"):
        Library(library.root).open("g")


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"\0" * 84, b"garbage" * 1000])
def test_a_file_that_is_no_database_is_told_in_open_and_in_the_list(library, content):
    filled(library, "good")
    folder = library.create("bad").folder
    library.open("bad").close()
    for side in ("", "-wal", "-shm"):
        (folder / f"{Catalogue.FILE}{side}").unlink(missing_ok=True)
    (folder / Catalogue.FILE).write_bytes(content)
    fresh = Library(library.root)
    with pytest.raises(GalleryError, match=r"'bad' is damaged.*remove the gallery"):
        fresh.open("bad")
    bad, good = fresh.list()
    assert "damaged" in (bad.problem or "")
    assert (bad.items, good.items) == (0, 5)
    fresh.remove("bad")
    assert fresh.names() == ["good"]


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_database_answers_or_says_so(library, seed):
    gallery = filled(library, count=30)
    for id in range(1, 31):
        gallery.set_words(id, f"word{id} red")
    gallery.close()
    file = gallery.folder / Catalogue.FILE
    data = bytearray(file.read_bytes())
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        del data[len(data) // (2 + seed % 5) :]
    else:
        for place in rng.integers(100, len(data), 40):
            data[place : place + 16] = rng.bytes(16)
    file.write_bytes(data[: len(data)])
    said = []
    for use in (
        lambda g: g.items(),
        lambda g: g.search_words("red word3"),
        lambda g: g.vectors(RECIPE),
        lambda g: g.store(RECIPE),
        lambda g: g.info(),
        lambda g: g.set_words(3, "blue"),
        lambda g: g.put_vectors(RECIPE, [1, 2], random_embeddings(2)),
        lambda g: g.remove_items([5]),
    ):
        try:
            use(Library(library.root).open("g"))
        except PartwiseError as error:
            said.append(str(error))
    assert said
    assert all("'g'" in text for text in said)
