"""Queries are known by their bytes, the search keeps to other cameras, and what is damaged can be thrown away."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from reid.galleries import Library
from reid.galleries.catalogue import Catalogue
from reid.studio import Studio
from tests.reid.studio.test_studio import BACKEND, COLOURS, draw, ship


@pytest.fixture
def studio(tmp_path) -> Studio:
    return Studio(tmp_path / "data", shipped=ship(tmp_path / "shipped").parent)


def test_a_query_is_known_by_its_bytes(studio, tmp_path):
    example, item = studio.examples("people")[0], studio.browse("people")[0][0]
    copy = Path(shutil.copy(example.path, tmp_path / "another name.jpg"))
    assert studio.camera_of(copy, "people") == "c3"  # only examples are of this camera
    assert studio.camera_of(item.path, "people") == item.camera == "c1"
    copy.write_bytes(copy.read_bytes() + b"\0")
    assert studio.camera_of(copy, "people") is None
    assert studio.camera_of(tmp_path / "gone.jpg", "people") is None
    assert studio.camera_of(example.path, None) is None


def test_a_picture_on_two_cameras_is_of_neither(studio, tmp_path):
    gallery = Library(tmp_path / "data").create("twice")
    first, second = (item.path for item in studio.browse("people")[0][:2])
    folder = tmp_path / "twice"
    folder.mkdir()
    for name in ("0001_c1s1_000001_00.jpg", "0001_c2s1_000001_00.jpg"):
        shutil.copy(first, folder / name)
    from reid.datasets import read_folder

    gallery.add(read_folder(folder, "market1501"))
    assert gallery.cameras() == ["c1", "c2"]
    assert studio.camera_of(first, "twice") is None
    assert studio.camera_of(second, "twice") is None


def test_the_querys_own_camera_is_left_out(studio):
    item = studio.browse("people")[0][0]
    everywhere = studio.search(item.path, "people", BACKEND)
    elsewhere = studio.search(item.path, "people", BACKEND, exclude_camera=studio.camera_of(item.path, "people"))
    assert everywhere.hits[0].item.id == item.id
    assert {hit.item.camera for hit in elsewhere.hits} == {"c2"}
    assert elsewhere.hits[0].item.identity == item.identity


def test_a_damaged_gallery_is_listed_and_can_be_removed(studio, tmp_path):
    gallery = Library(tmp_path / "data").create("torn")
    gallery.close()
    (gallery.folder / Catalogue.FILE).write_bytes(b"no database" * 100)
    problem = {info.name: info.problem for info in studio.galleries()}
    assert "damaged" in problem["torn"]
    assert problem["people"] is None
    studio.remove("torn")
    assert [info.name for info in studio.galleries()] == ["people"]


def test_a_picture_that_is_gone_does_not_stop_the_others(studio, tmp_path):
    folder = tmp_path / "few"
    folder.mkdir()
    from reid.images import save_image

    for n, colour in enumerate(COLOURS.values()):
        save_image(folder / f"{n}.png", draw(colour, n))
    Library(tmp_path / "data").create("few").add(sorted(folder.iterdir()))
    (folder / "1.png").unlink()
    found = studio.search(np.asarray(draw(COLOURS["0003"], 9)), "few", BACKEND)
    assert found.searched == 2
    assert found.hits[0].item.name == "2.png"
