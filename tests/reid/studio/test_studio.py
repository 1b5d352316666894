"""The studio with a real backend: shipped galleries, uploads, searches and private visits."""

from __future__ import annotations

import csv
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from reid import backends
from reid.backends import Card
from reid.backends.descriptors import codebook_path
from reid.errors import GalleryError, ImageError, PartwiseError, UnknownNameError, WeightsError
from reid.images import save_image
from reid.studio import Limits, Studio

BACKEND = "hsv-stripes"
COLOURS = {"0001": (200, 40, 30), "0002": (30, 90, 210), "0003": (40, 160, 60)}


def draw(colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (128, 64)) -> np.ndarray:
    """A picture of one colour with a little noise: the same person before another camera."""
    noise = np.random.default_rng(seed).integers(-12, 12, (*size, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def ship(folder: Path) -> Path:
    """A shipped gallery "people": three identities before two cameras, and a query of each."""
    folder = folder / "people"
    folder.mkdir(parents=True)
    with (folder / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "identity", "camera", "split", "words"])
        for identity, colour in COLOURS.items():
            for camera, split in (("c1", "gallery"), ("c2", "gallery"), ("c3", "query")):
                name = f"{identity}_{camera}.jpg"
                save_image(folder / name, draw(colour, int(identity) * 10 + int(camera[1])))
                rows.writerow([name, identity, camera, split, f"number {identity}"])
    return folder


@pytest.fixture
def shipped(tmp_path) -> Path:
    return ship(tmp_path / "shipped").parent


@pytest.fixture
def studio(tmp_path, shipped) -> Studio:
    return Studio(tmp_path / "data", shipped=shipped)


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    folder = tmp_path / "uploads"
    folder.mkdir()
    paths = [folder / f"{name}.png" for name in ("red coat", "blue coat")]
    for path, colour in zip(paths, COLOURS.values(), strict=False):
        save_image(path, draw(colour, 5))
    return paths


def test_import_loads_no_network():
    code = "import sys, reid.studio; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Shipped galleries


def test_a_folder_with_a_manifest_is_a_gallery(studio):
    (info,) = studio.galleries()
    assert (info.name, info.items, info.identities, info.cameras) == ("people", 6, 3, 2)
    assert [example.name for example in studio.examples("people")] == ["0001_c3.jpg", "0002_c3.jpg", "0003_c3.jpg"]
    assert studio.cameras("people") == ["c1", "c2"]
    assert studio.preferred("people") in [card.name for card in studio.embedders()]


def test_start_indexes_what_ships(studio, monkeypatch):
    monkeypatch.setattr(studio, "preferred", lambda name, only_free=False: BACKEND)
    studio.start().join(60)
    assert studio.galleries()[0].backends == (BACKEND,)


def test_a_shipped_gallery_cannot_be_changed(studio, pictures):
    item = studio.browse("people")[0][0]
    for change in (
        lambda: studio.rename("people", "mine"),
        lambda: studio.remove("people"),
        lambda: studio.add("people", pictures),
        lambda: studio.set_words("people", item.id, "new"),
        lambda: studio.remove_item("people", item.id),
        lambda: studio.create("people", pictures, backend=BACKEND),
    ):
        with pytest.raises(GalleryError, match="people"):
            change()
    assert studio.galleries()[0].items == 6


def test_a_changed_folder_is_followed(studio, tmp_path, shipped):
    studio.ensure("people", BACKEND)
    (shipped / "people" / "0002_c1.jpg").unlink()
    save_image(shipped / "people" / "0009_c1.jpg", draw((240, 240, 0), 1))
    again = Studio(tmp_path / "data", shipped=shipped)
    names = [item.name for item in again.browse("people")[0]]
    assert "0002_c1.jpg" not in names
    assert "0009_c1.jpg" in names
    assert len(names) == 6


def test_a_gallery_of_the_same_name_is_shown_instead(studio, tmp_path, pictures):
    from reid.galleries import Library

    Library(tmp_path / "data").create("people").add(pictures, copy=True)
    assert not studio.is_shipped("people")
    assert [info.items for info in studio.galleries()] == [2]


# Search


def test_search_finds_the_identity_and_embeds_nothing_twice(studio, monkeypatch):
    example = studio.examples("people")[1]
    told = []
    found = studio.search(example.path, "people", BACKEND, top=4, progress=lambda share, what: told.append(share))
    assert studio.is_indexed("people", BACKEND)
    assert [hit.item.identity for hit in found.hits[:2]] == ["0002", "0002"]
    assert [hit.rank for hit in found.hits] == [1, 2, 3, 4]
    assert found.searched == 6
    assert told[-1] == 1
    told.clear()
    studio.search(example.path, "people", BACKEND, progress=lambda share, what: told.append(share))
    assert told == [0]  # only that the backend gets ready


def test_search_is_narrowed_by_words_and_cameras(studio):
    query = draw(COLOURS["0001"], 1)
    found = studio.search(query, "people", BACKEND, words="number 0003", cameras=["c2"])
    assert [hit.item.name for hit in found.hits] == ["0003_c2.jpg"]
    assert studio.search(query, "people", BACKEND, words="nothing of the kind").hits == []


def test_search_gives_no_more_than_the_limit(tmp_path, shipped):
    studio = Studio(tmp_path / "data", shipped=shipped, limits=Limits(top=2))
    assert len(studio.search(draw((9, 9, 9), 1), "people", BACKEND, top=50).hits) == 2


def test_bad_searches_say_why(studio, tmp_path):
    broken = tmp_path / "holiday.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 cut off")
    with pytest.raises(ImageError, match=r"holiday\.jpg"):
        studio.search(broken, "people", BACKEND)
    with pytest.raises(UnknownNameError, match="people"):
        studio.search(draw((1, 2, 3), 1), "nowhere", BACKEND)
    with pytest.raises(GalleryError, match="Galleries tab"):
        studio.search(draw((1, 2, 3), 1), None, BACKEND)


def test_compare_shows_the_pair(studio):
    query = draw(COLOURS["0003"], 1)
    found = studio.search(query, "people", BACKEND)
    comparison = studio.compare(found, 1)
    assert comparison.query is query
    assert comparison.hit.rank == 2
    assert comparison.picture.shape == (128, 64, 3)
    assert comparison.matches is None  # colour histograms have no keypoints


def test_a_huge_query_is_not_kept_whole(studio):
    query = np.repeat(np.repeat(draw(COLOURS["0001"], 1), 30, 0), 30, 1)
    found = studio.search(query, "people", BACKEND)
    assert found.query.shape == (1600, 800, 3)
    assert found.hits[0].item.identity == "0001"


def test_compare_after_the_picture_went(studio, pictures):
    studio.create("door", pictures, backend=BACKEND)
    found = studio.search(pictures[0], "door", BACKEND)
    studio.remove("door")
    with pytest.raises(PartwiseError, match="door"):
        studio.compare(found, 0)


# The user's galleries


def test_create_keeps_the_good_and_names_the_bad(studio, pictures, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no picture")
    text = tmp_path / "notes.txt"
    text.write_text("not a picture")
    added = studio.create("front door", [*pictures, broken, text], backend=BACKEND)
    assert added.added == 2
    assert len(added.skipped) == 2
    assert any("broken.jpg" in why for why in added.skipped)
    assert any("notes.txt" in why for why in added.skipped)
    assert not any("/tmp" in why for why in added.skipped)  # the user knows names, not where they are staged
    assert [item.name for item in studio.browse("front door")[0]] == ["blue coat.png", "red coat.png"]
    for path in pictures:
        path.unlink()  # uploads go, the gallery keeps its copies
    assert studio.search(draw(COLOURS["0001"], 3), "front door", BACKEND).hits[0].item.name == "red coat.png"


def test_create_from_a_zip_reads_its_layout(studio, tmp_path):
    file = tmp_path / "people.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for identity, colour in COLOURS.items():
            save_image(tmp_path / "one.jpg", draw(colour, 1))
            archive.write(tmp_path / "one.jpg", f"{identity}/a.jpg")
        archive.writestr("readme.txt", "hello")
    added = studio.create("zipped", [file], backend=BACKEND)
    assert added.added == 3
    assert added.skipped == ["readme.txt: no picture."]
    assert {item.identity for item in studio.browse("zipped")[0]} == set(COLOURS)


def test_loose_files_with_the_same_name_are_all_kept(studio, tmp_path):
    files = []
    for folder, colour in (("a", (9, 9, 200)), ("b", (200, 9, 9))):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "photo.png")
        save_image(files[-1], draw(colour, 1))
    assert studio.create("twins", files, backend=BACKEND).added == 2


def test_words_come_with_a_table(studio, pictures, tmp_path):
    table = tmp_path / "words.csv"
    table.write_text("name,words\nred coat.png,scarlet duffel\n")
    added = studio.create("worded", [*pictures, table], backend=BACKEND)
    assert added.skipped == []
    assert [item.name for item in studio.browse("worded", words="scarlet")[0]] == ["red coat.png"]


@pytest.mark.parametrize("content", [b"no picture", b""])
def test_nothing_usable_leaves_no_gallery(studio, tmp_path, content):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(content)
    with pytest.raises(GalleryError, match=r"bad\.jpg"):
        studio.create("empty", [bad], backend=BACKEND)
    assert [info.name for info in studio.galleries()] == ["people"]
    with pytest.raises(GalleryError, match="Choose"):
        studio.create("empty", [], backend=BACKEND)


def test_a_taken_name_keeps_the_gallery_that_has_it(studio, pictures):
    studio.create("door", pictures, backend=BACKEND)
    with pytest.raises(GalleryError, match="door"):
        studio.create("door", pictures[:1], backend=BACKEND)
    assert studio.browse("door")[1] == 2


def test_uploads_are_limited(tmp_path, shipped, pictures):
    studio = Studio(tmp_path / "data", shipped=shipped, limits=Limits(upload_files=1))
    added = studio.create("few", pictures, backend=BACKEND)
    assert added.added == 1
    assert "first 1 of 2" in added.skipped[0]


def test_add_indexes_the_new_pictures(studio, pictures):
    studio.create("door", pictures[:1], backend=BACKEND)
    assert studio.preferred("door") == BACKEND  # what it was made with
    added = studio.add("door", pictures)
    assert added.added == 1  # the other is there already
    assert studio.search(pictures[1], "door", BACKEND).searched == 2


def test_words_rename_and_removal(studio, pictures):
    studio.create("door", pictures, backend=BACKEND)
    item = studio.browse("door")[0][0]
    studio.set_words("door", item.id, "umbrella")
    assert studio.words("door", item.id) == {"user": "umbrella"}
    assert studio.browse("door", words="umbr")[1] == 1
    assert studio.rename("door", " back door ") == "back door"
    assert studio.remove_item("back door", item.id) == item.name
    assert studio.browse("back door")[1] == 1
    studio.remove("back door")
    assert [info.name for info in studio.galleries()] == ["people"]


def test_an_exported_gallery_comes_back(studio, pictures):
    studio.create("door", pictures, backend=BACKEND)
    item = studio.browse("door")[0][0]
    studio.set_words("door", item.id, "umbrella")
    file = studio.export("door")
    studio.remove("door")
    added = studio.create("", [file], backend=BACKEND)
    assert (added.gallery, added.added) == ("door", 2)
    assert studio.browse("door", words="umbrella")[1] == 1


def test_a_shipped_gallery_is_exported_too(studio):
    with zipfile.ZipFile(studio.export("people")) as archive:
        assert len([name for name in archive.namelist() if name.startswith("pictures/")]) == 6


# Visits


def test_private_visits_do_not_see_each_other(tmp_path, shipped, pictures):
    host = Studio(tmp_path / "data", shipped=shipped, limits=Limits(private=True))
    anna, bert = host.of("anna"), host.of("bert")
    assert host.of("anna") is anna
    anna.create("mine", pictures, backend=BACKEND)
    assert [info.name for info in anna.galleries()] == ["mine", "people"]
    assert [info.name for info in bert.galleries()] == ["people"]
    kept = next(path for path in [anna.browse("mine")[0][0].path] if path.exists())
    host.leave("anna")
    assert not kept.exists()
    assert [info.name for info in host.of("anna").galleries()] == ["people"]


def test_without_privacy_everybody_shares_one_studio(studio):
    assert studio.of("anna") is studio
    assert studio.of(None) is studio


# Backends


def test_research_only_backends_can_be_left_out(studio, monkeypatch):
    cards = [
        Card("gpn", "graph pose network", "person", ("embed",), "", dim=4, research_only=True, parts=("head",)),
        Card("sift", "local descriptor", "any", ("embed",), "", dim=4),
        Card("rfcn", "region network", "any", ("find",), ""),
    ]
    monkeypatch.setattr(backends, "cards", lambda: cards)
    assert [card.name for card in studio.embedders()] == ["gpn", "sift"]
    assert [card.name for card in studio.embedders(only_free=True)] == ["sift"]
    assert studio.preferred("people") == "gpn"  # upright pictures are taken for people
    assert studio.preferred("people", only_free=True) == "sift"
    assert studio.preferred(None) == "gpn"
    assert [studio.reranks(card) for card in cards[:2]] == [["none", "parts"], ["none", "geometry"]]


def test_a_backend_that_cannot_be_loaded_is_passed_over(studio, monkeypatch):
    def get(name):
        if name == "lite0":
            raise WeightsError("lite0.safetensors is missing.")
        return real(name)

    real = backends.get
    monkeypatch.setattr("reid.backends.descriptors.get", get)
    monkeypatch.setattr("reid.studio.studio.PREFERRED", ("lite0", BACKEND))
    assert studio.preferred("people") == "lite0"
    with pytest.raises(PartwiseError, match=r"lite0 is not ready: lite0\.safetensors is missing"):
        studio.search(draw((1, 2, 3), 1), "people", "lite0")
    assert studio.preferred("people") == BACKEND
    studio.start().join(60)
    assert studio.galleries()[0].backends == (BACKEND,)


def test_a_gallerys_own_codebook_is_used(studio, tmp_path):
    from reid.galleries import Library
    from reid.training.codebook import train_codebook

    rng = np.random.default_rng(0)
    files = [tmp_path / f"{n}.png" for n in range(6)]
    noisy = [np.kron(rng.integers(0, 255, (32, 32)), np.ones((8, 8)))[..., None].repeat(3, 2) for _ in files]
    for file, picture in zip(files, noisy, strict=True):
        save_image(file, picture.astype(np.uint8))
    studio.create("own", files, backend="orb")
    gallery = Library(tmp_path / "data").open("own")
    (shipped_recipe,) = gallery.recipes()
    train_codebook("orb", (p.astype(np.uint8) for p in noisy), codebook_path("orb", gallery.folder))

    assert studio.search(files[1], "own", "orb").hits[0].item.name == "1.png"
    (own_recipe,) = gallery.recipes()  # the vectors of the shipped one served nobody any more
    assert own_recipe != shipped_recipe

    codebook_path("orb", gallery.folder).write_bytes(b"torn")
    with pytest.raises(PartwiseError, match=r"orb is not ready: .*no codebook"):
        studio.search(files[1], "own", "orb")
    assert studio.preferred("own") == "orb"  # it is the gallery's fault, not the backend's
    assert studio.search(files[1], "people", "orb").searched == 6
