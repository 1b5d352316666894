"""Folders are read as their layout says, whatever else lies in them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from reid.datasets import LAYOUTS, PROTOCOLS, detect_layout, read_folder, read_protocol
from reid.errors import DatasetError, UnknownNameError
from reid.images import save_image


def fill(root: Path, *names: str) -> Path:
    """A folder with a small picture under each name."""
    for name in names:
        save_image(root / name, np.zeros((16, 16, 3), np.uint8))
    return root


def told(samples) -> list[tuple[str, str | None, str | None]]:
    return [(s.name, s.identity, s.camera) for s in samples]


@pytest.fixture
def market(tmp_path: Path) -> Path:
    root = fill(
        tmp_path / "market",
        "query/0001_c1s1_001051_00.jpg",
        "query/0002_c3s2_000001_00.jpg",
        "bounding_box_test/-1_c1s1_000401_03.jpg",
        "bounding_box_test/0000_c5s1_000401_03.jpg",
        "bounding_box_test/0001_c2s1_000301_00.jpg",
        "bounding_box_test/0002_c10s1_000301_00.jpg",
    )
    for folder in ("query", "bounding_box_test"):
        (root / folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (root / "readme.txt").write_text("about")
    return root


def test_flat_knows_names_only(tmp_path: Path):
    fill(tmp_path, "b.jpg", "a.png", "sub/c.webp")
    assert told(read_folder(tmp_path, "flat")) == [
        ("a.png", None, None),
        ("b.jpg", None, None),
        ("sub/c.webp", None, None),
    ]
    assert [s.name for s in read_folder(tmp_path, "flat", recursive=False)] == ["a.png", "b.jpg"]
    assert read_folder(tmp_path)[0].path == tmp_path / "a.png"


def test_what_is_no_picture_is_named_and_left_out(tmp_path: Path):
    fill(tmp_path, "a.png")
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / ".DS_Store").write_text("hidden")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "no_suffix").write_bytes((tmp_path / "a.png").read_bytes())
    skipped: dict[str, str] = {}
    samples = read_folder(tmp_path, on_skip=lambda path, reason: skipped.update({path.name: reason}))
    assert [s.name for s in samples] == ["a.png", "no_suffix"]
    assert skipped == {"notes.txt": "no picture", "gone.jpg": "a link to nothing"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_no_text_are_named(tmp_path: Path):
    fill(tmp_path, "a.png")
    os.rename(tmp_path / "a.png", os.fsencode(tmp_path / "caf") + b"\xe9.png")
    fill(tmp_path, "\u732b.png")
    skipped: list[str] = []
    samples = read_folder(tmp_path, on_skip=lambda path, reason: skipped.append(reason))
    assert [s.name for s in samples] == ["\u732b.png"]
    assert skipped == ["its name is not valid UTF-8; rename it"]


def test_links_are_followed_and_loops_cut(tmp_path: Path):
    fill(tmp_path / "real", "deep/a.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "root" / "picture.png").symlink_to(tmp_path / "real" / "deep" / "a.png")
    (tmp_path / "real" / "deep" / "loop").symlink_to(tmp_path / "real")
    skipped: list[str] = []
    samples = read_folder(tmp_path / "root", "flat", on_skip=lambda path, reason: skipped.append(reason))
    assert [s.name for s in samples] == ["link/deep/a.png", "picture.png"]
    assert skipped == ["a link back to a folder that it lies in"]


def test_folders_are_identities(tmp_path: Path):
    fill(tmp_path, "ann/1.png", "ann/more/2.png", "bob/1.png", "loose.png")
    assert told(read_folder(tmp_path, "folders")) == [
        ("ann/1.png", "ann", None),
        ("ann/more/2.png", "ann", None),
        ("bob/1.png", "bob", None),
        ("loose.png", None, None),
    ]


def test_market1501_root_and_one_folder_of_it(market: Path):
    samples = read_folder(market)
    assert told(samples) == [
        ("bounding_box_test/-1_c1s1_000401_03.jpg", "-1", "c1"),
        ("bounding_box_test/0000_c5s1_000401_03.jpg", "0000", "c5"),
        ("bounding_box_test/0001_c2s1_000301_00.jpg", "0001", "c2"),
        ("bounding_box_test/0002_c10s1_000301_00.jpg", "0002", "c10"),
        ("query/0001_c1s1_001051_00.jpg", "0001", "c1"),
        ("query/0002_c3s2_000001_00.jpg", "0002", "c3"),
    ]
    assert [s.split for s in samples] == ["test"] * 4 + ["query"] * 2
    alone = read_folder(market / "query")
    assert told(alone)[0] == ("0001_c1s1_001051_00.jpg", "0001", "c1")
    assert alone[0].split == "query"


def test_other_names_among_market1501_are_nobodys(market: Path):
    fill(market / "query", "holiday.jpg")
    assert told(read_folder(market / "query", "market1501"))[-1] == ("holiday.jpg", None, None)


def test_cuhk03_cameras_and_separate_numbering(tmp_path: Path):
    fill(tmp_path, "train/0007_04.jpg", "train/0007_05.jpg", "val/0007_09.jpg")
    samples = read_folder(tmp_path)
    assert told(samples) == [
        ("train/0007_04.jpg", "train/0007", "A"),
        ("train/0007_05.jpg", "train/0007", "B"),
        ("val/0007_09.jpg", "val/0007", "B"),
    ]
    assert told(read_folder(tmp_path / "val"))[0] == ("0007_09.jpg", "0007", "B")


def test_corel_classes(tmp_path: Path):
    fill(tmp_path, "0.jpg", "99.jpg", "100.jpg", "742.jpg", "cover.jpg")
    known = {s.name: s.identity for s in read_folder(tmp_path, "corel")}
    assert known == {"0.jpg": "0", "99.jpg": "0", "100.jpg": "1", "742.jpg": "7", "cover.jpg": None}


def test_a_manifest_tells_what_the_layout_leaves_open(tmp_path: Path):
    fill(tmp_path, "0001_c1s1_000001_00.jpg", "0001_c2s1_000001_00.jpg", "truth/masks/0001_c1s1_000001_00.png")
    (tmp_path / "manifest.csv").write_text(
        "name,identity,words,view,height\n0001_c1s1_000001_00.jpg,1,red coat,front,180\n", encoding="utf-8"
    )
    assert detect_layout(tmp_path) == "rendered"
    first, second = read_folder(tmp_path)
    assert (first.identity, first.camera, first.words, first.view) == ("0001", "c1", "red coat", "front")
    assert (second.identity, second.words) == ("0001", "")
    (tmp_path / "manifest.csv").write_text("file\nx\n")
    with pytest.raises(DatasetError, match="needs a first line with name"):
        read_folder(tmp_path)


def test_what_a_manifest_says_of_every_picture_is_not_guessed_from_names(tmp_path: Path):
    fill(tmp_path, "0001_01.jpg", "0002_02.jpg")
    (tmp_path / "manifest.csv").write_text("name,identity,camera\n0001_01.jpg,7,c1\n", encoding="utf-8")
    assert [s.camera for s in read_folder(tmp_path)] == ["A", "A"]  # names as CUHK03's, and only one of them is told
    with (tmp_path / "manifest.csv").open("a", encoding="utf-8") as file:
        file.write("0002_02.jpg,8,c2\n")
    assert [(s.identity, s.camera) for s in read_folder(tmp_path)] == [("7", "c1"), ("8", "c2")]


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        ([f"{i}.jpg" for i in range(200)], "corel"),
        ([f"{i}.jpg" for i in range(150)], "flat"),
        ([f"{i}.jpg" for i in range(1, 201)], "flat"),
        (["0001_00.jpg", "0001_05.jpg"], "cuhk03"),
        (["0001_c1s1_000001_00.jpg"], "market1501"),
        (["test/a.png", "testannot/a.png"], "camvid"),
        (["ann/a.png", "bob/a.png"], "folders"),
        (["ann/a.png", "b.png"], "flat"),
        (["a.png"], "flat"),
        ([], "flat"),
    ],
)
def test_layouts_are_recognised(tmp_path: Path, names, layout):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert detect_layout(tmp_path) == layout


def test_errors_say_what_there_is(tmp_path: Path):
    with pytest.raises(DatasetError, match="not there"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="a file, not a folder"):
        read_folder(tmp_path / "file")
    with pytest.raises(UnknownNameError, match="market1501"):
        read_folder(tmp_path, "market")
    with pytest.raises(UnknownNameError, match="corel"):
        read_protocol(tmp_path, "flat")
    with pytest.raises(DatasetError, match="name a layout"):
        read_protocol(tmp_path, "auto")
    assert set(PROTOCOLS) < set(LAYOUTS)


def test_market1501_protocol(market: Path):
    fill(market / "query", "holiday.jpg")
    skipped: list[str] = []
    protocol = read_protocol(market, "market1501", on_skip=lambda path, reason: skipped.append(path.name))
    assert [s.identity for s in protocol.query] == ["0001", "0002"]
    assert [s.identity for s in protocol.gallery] == ["0000", "0001", "0002"]
    assert protocol.kind == "cross-camera"
    assert sorted(skipped) == ["Thumbs.db", "Thumbs.db", "holiday.jpg"]
    (market / "query").rename(market / "queries")
    with pytest.raises(DatasetError, match="it has no query"):
        read_protocol(market, "market1501")


def test_cuhk03_protocol(tmp_path: Path):
    fill(tmp_path / "val", "0001_00.jpg", "0001_04.jpg", "0001_05.jpg", "0002_09.jpg")
    protocol = read_protocol(tmp_path / "val", "cuhk03")
    assert [s.name for s in protocol.query] == ["0001_00.jpg", "0001_04.jpg"]
    assert [s.name for s in protocol.gallery] == ["0001_05.jpg", "0002_09.jpg"]
    fill(tmp_path / "split", "query/0001_00.jpg", "bounding_box_test/0001_05.jpg")
    protocol = read_protocol(tmp_path / "split", "cuhk03")
    assert protocol.query[0].identity == protocol.gallery[0].identity == "0001"


def test_rendered_protocol(tmp_path: Path):
    names = [f"000{i}_c{c}s1_00000{v}_00.jpg" for i in (1, 2) for c in (1, 2) for v in (0, 1)]
    fill(tmp_path, *names)
    protocol = read_protocol(tmp_path, "rendered")
    assert [s.name for s in protocol.query] == names[::2]
    assert [s.name for s in protocol.gallery] == names[1::2]


def test_relevance_protocols(tmp_path: Path):
    fill(tmp_path, "ann/1.png", "bob/1.png", "loose.png")
    protocol = read_protocol(tmp_path, "folders")
    assert [s.identity for s in protocol.query] == ["ann", "bob"]
    assert protocol.gallery == protocol.query
    assert protocol.kind == "relevance"
    with pytest.raises(DatasetError, match="no query picture"):
        read_protocol(tmp_path / "ann", "folders")
