"""Galleries through a zip file: exact there and back, and nothing bad gets in."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from reid.embedding import Embeddings
from reid.errors import GalleryError
from reid.galleries import Library, files, transfer
from tests.reid.galleries.toys import RECIPE, draw, folder_of, random_embeddings


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "data")


@pytest.fixture
def gallery(library, tmp_path):
    gallery = library.create("Grün 1")
    samples = folder_of(tmp_path / "p", 6)
    ids = gallery.add(samples[:4]) + gallery.add(samples[2:], copy=True)
    whole = gallery.item(ids[0])
    region = transfer.NewItem(
        *("region.png", str(whole.path), whole.sha256, whole.bytes, "", 24, 48, "p9"),
        words="red hat",
        box=(1, 2.5, 20, 40),
        frame=7,
        time=0.28,
    )
    ids += [put.id for put in gallery.put_items([region])]
    gallery.set_words(ids[1], "grüne Jacke")
    gallery.set_words(ids[1], "bag", "parse")
    gallery.remove_items([ids.pop(4)])  # so that numbers and lines differ
    gallery.put_vectors(RECIPE, ids, random_embeddings(len(ids)), backend="toy")
    gallery.put_vectors("f" * 16, ids[2:4], Embeddings.of(random_embeddings(2, 1).global_), backend="plain")
    return gallery


@pytest.fixture
def file(library, gallery, tmp_path):
    return library.export_zip(gallery.name, tmp_path / "g.zip")


def facts(gallery) -> list[tuple]:
    return [
        (
            *(i.name, i.sha256, i.width, i.height, i.identity, i.camera, i.bytes, i.box, i.frame, i.time),
            gallery.words(i.id),
            i.path.read_bytes(),
        )
        for i in gallery.items()
    ]


def test_there_and_back_is_exact(library, gallery, file, tmp_path):
    copy = Library(tmp_path / "elsewhere").import_zip(file)
    assert copy.name == gallery.name
    assert facts(copy) == facts(gallery)
    assert copy.recipes() == gallery.recipes() == {RECIPE: "toy", "f" * 16: "plain"}
    order, order_after = ([item.id for item in g.items()] for g in (gallery, copy))
    for recipe in gallery.recipes():
        (ids, vectors), (ids_after, vectors_after) = gallery.vectors(recipe), copy.vectors(recipe)
        assert [order.index(i) for i in ids] == [order_after.index(i) for i in ids_after]
        for array in ("global_", "parts", "visibility"):
            assert np.array_equal(getattr(vectors, array), getattr(vectors_after, array))
    assert all(item.copied and item.path.is_relative_to(copy.folder) for item in copy.items())
    assert set(copy.search_words("grune jack")) == {order_after[1]}


def test_a_second_round_changes_no_byte_of_what_matters(library, gallery, file, tmp_path):
    second = library.export_zip(library.import_zip(file, "second").name, tmp_path / "2.zip")
    third = library.export_zip(library.import_zip(second, "third").name, tmp_path / "3.zip")
    with zipfile.ZipFile(second) as one, zipfile.ZipFile(third) as other:
        assert one.namelist() == other.namelist()
        for name in one.namelist():
            assert name == "gallery.json" or one.read(name) == other.read(name)


def test_an_empty_gallery_travels(library, tmp_path):
    library.create("empty")
    file = library.export_zip("empty", tmp_path / "e.zip")
    assert library.import_zip(file, "again").count() == 0


def test_a_taken_name_is_refused_and_another_may_be_given(library, gallery, file):
    with pytest.raises(GalleryError, match="already"):
        library.import_zip(file)
    assert library.import_zip(file, "other").count() == gallery.count()


def test_export_names_a_missing_or_changed_picture_and_leaves_no_file(library, gallery, tmp_path):
    path = gallery.items()[0].path
    kept = path.read_bytes()
    draw(path, 99)
    with pytest.raises(GalleryError, match="has changed since it was indexed"):
        library.export_zip(gallery.name, tmp_path / "x.zip")
    path.unlink()
    with pytest.raises(GalleryError, match=r"2 of 8 pictures are no longer .*000\.png"):
        library.export_zip(gallery.name, tmp_path / "x.zip")
    path.write_bytes(kept)
    assert not list(tmp_path.glob("*.zip*"))
    assert not list(tmp_path.glob(".x.zip*"))


def test_export_to_a_place_that_cannot_be_written(library, gallery, tmp_path):
    with pytest.raises(GalleryError, match="cannot be written"):
        library.export_zip(gallery.name, tmp_path / "no" / "folder" / "x.zip")


def test_a_failed_export_keeps_the_file_that_was_there(library, gallery, tmp_path):
    file = library.export_zip(gallery.name, tmp_path / "g.zip")
    before = file.read_bytes()
    gallery.items()[0].path.unlink()
    with pytest.raises(GalleryError):
        library.export_zip(gallery.name, file)
    assert file.read_bytes() == before


# What is not trusted


def rewrite(file: Path, members: dict[str, bytes | None], compress: int = zipfile.ZIP_STORED) -> Path:
    """The zip with members replaced, added, or (None) left out."""
    out = file.with_name(f"changed {file.name}")
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(out, "w", compress) as target:
        for name in [*source.namelist(), *(name for name in members if name not in source.namelist())]:
            data = members.get(name, source.read(name) if name in source.namelist() else None)
            if data is not None:
                target.writestr(name, data)
    return out


def lines_of(file: Path) -> list[dict]:
    with zipfile.ZipFile(file) as archive:
        return [json.loads(line) for line in archive.read("items.jsonl").splitlines()]


def with_first_line(file: Path, **fields) -> Path:
    lines = lines_of(file)
    lines[0] |= fields
    return rewrite(file, {"items.jsonl": "\n".join(map(json.dumps, lines)).encode()})


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def assert_refused(library: Library, file: Path, match: str) -> None:
    before = {
        path for path in library.root.parent.rglob("*") if "data" not in path.relative_to(library.root.parent).parts
    }
    with pytest.raises(GalleryError, match=match) as caught:
        library.import_zip(file, "new")
    assert "\n" not in str(caught.value)
    assert "new" not in library
    assert not [path for path in library.folder.iterdir() if path.name.startswith(".")]
    after = {
        path for path in library.root.parent.rglob("*") if "data" not in path.relative_to(library.root.parent).parts
    }
    assert after == before


@pytest.mark.parametrize("member", ["../../evil.png", "/etc/evil.png", "pictures/../../../evil.png", "C:\\evil.png"])
def test_no_path_in_the_file_is_used_as_a_path(library, file, member):
    with zipfile.ZipFile(file) as archive:
        picture = archive.read(lines_of(file)[0]["picture"])
    changed = rewrite(with_first_line(file, picture=member, name=member), {member: picture})
    if member.startswith("pictures/"):
        gallery = library.import_zip(changed, "new")  # taken for the picture it is, and kept under its hash
        assert all(item.path.is_relative_to(gallery.folder / "pictures") for item in gallery.items())
        assert all(".." not in item.path.parts for item in gallery.items())
        assert not list(library.root.parent.rglob("evil*"))
    else:
        assert_refused(library, changed, "lies elsewhere")


def test_a_bomb_is_refused_before_it_is_unpacked(library, file, monkeypatch):
    monkeypatch.setattr(transfer, "_ALWAYS", 100_000)
    bomb = rewrite(file, {"items.jsonl": b'{"name": "' + b" " * 3_000_000 + b'"}'}, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 100_000
    assert_refused(library, bomb, "far more than its size")


def test_a_huge_picture_is_refused(library, file, monkeypatch):
    monkeypatch.setattr(transfer, "MAX_BYTES", 1000)
    picture = lines_of(file)[0]["picture"]
    assert_refused(library, rewrite(file, {picture: b"\x89PNG" * 1000}), r"larger than 0\.001 MB")


def test_vectors_that_announce_more_than_there_is_take_no_memory(library, file):
    header = npy(np.zeros((8, 8), np.float32)).replace(b"(8, 8)", b"(8, 8000000000)".ljust(6))
    assert_refused(library, rewrite(file, {f"vectors/{RECIPE}/global.npy": header}), "cannot be imported")


BAD = {
    "a picture that is another": lambda file: (
        rewrite(file, {lines_of(file)[0]["picture"]: draw(file.with_name("x.png"), 55).read_bytes()}),
        "not the one that was exported",
    ),
    "a picture that is not in it": lambda file: (
        rewrite(file, {lines_of(file)[0]["picture"]: None}),
        "part of it is missing",
    ),
    "a text for a picture": lambda file: (
        rewrite(with_first_line(file, sha256=files.sha256(b"text"), picture="pictures/x"), {"pictures/x": b"text"}),
        "no picture: it holds text",
    ),
    "a name that is no text": lambda file: (with_first_line(file, name=7), "not well-formed"),
    "no sha256": lambda file: (with_first_line(file, sha256=None), "not well-formed"),
    "a box of words": lambda file: (with_first_line(file, box=["a"]), "not well-formed"),
    "words that are a list": lambda file: (with_first_line(file, words=[1]), "not well-formed"),
    "lines that are no JSON": lambda file: (rewrite(file, {"items.jsonl": b"{"}), "not well-formed"),
    "lines nested for ever": lambda file: (rewrite(file, {"items.jsonl": b"[" * 100_000}), "not well-formed"),
    "fewer items": lambda file: (rewrite(file, {"items.jsonl": b""}), "announces 8 items and holds 0"),
    "no items": lambda file: (rewrite(file, {"items.jsonl": None}), "part of it is missing"),
    "no head": lambda file: (rewrite(file, {"gallery.json": None}), "no exported gallery"),
    "a head of another kind": lambda file: (rewrite(file, {"gallery.json": b"[]"}), "not well-formed"),
    "a newer format": lambda file: (rewrite(file, {"gallery.json": b'{"format": 9}'}), "newer version"),
    "a pickle": lambda file: (
        rewrite(file, {f"vectors/{RECIPE}/global.npy": npy(np.array([{}] * 8, object))}),
        "not read",
    ),
    "vectors of the wrong kind": lambda file: (
        rewrite(file, {f"vectors/{RECIPE}/global.npy": npy(np.zeros((8, 8)))}),
        "not read",
    ),
    "too few vectors": lambda file: (
        rewrite(file, {f"vectors/{RECIPE}/global.npy": npy(np.zeros((7, 8), np.float32))}),
        "not as many",
    ),
    "vectors that are no numbers": lambda file: (
        rewrite(file, {f"vectors/{RECIPE}/global.npy": npy(np.full((8, 8), np.nan, np.float32))}),
        "unit length",
    ),
    "visibility beyond 1": lambda file: (
        rewrite(file, {f"vectors/{RECIPE}/visibility.npy": npy(np.full((8, 2), 2, np.float32))}),
        "outside 0..1",
    ),
    "vectors of no item": lambda file: (
        rewrite(file, {f"vectors/{RECIPE}/items.npy": npy(np.arange(1, 9))}),
        "not in it",
    ),
    "two vectors of one item": lambda file: (
        rewrite(file, {f"vectors/{RECIPE}/items.npy": npy(np.zeros(8, np.int64))}),
        "not in it",
    ),
    "an array cut off": lambda file: (
        rewrite(file, {f"vectors/{RECIPE}/parts.npy": npy(np.zeros((8, 2, 4), np.float32))[:-40]}),
        "ends early",
    ),
    "a missing array": lambda file: (rewrite(file, {f"vectors/{RECIPE}/parts.npy": None}), "part of it is missing"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_not_well_formed_is_refused_with_one_sentence(library, file, kind):
    assert_refused(library, *BAD[kind](file))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"text", None])
def test_a_file_that_is_no_zip(library, gallery, tmp_path, content):
    file = tmp_path / "x.zip"
    if content is not None:
        file.write_bytes(content)
    assert_refused(library, file, "no zip file" if content is not None else "does not exist")


@pytest.mark.parametrize("seed", range(8))
def test_a_zip_with_flipped_bits_is_whole_or_refused(library, gallery, file, seed):
    data = bytearray(file.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, len(data), 8):
        data[place] ^= 1 << int(rng.integers(8))
    file.write_bytes(data)
    try:
        copy = library.import_zip(file, "new")
    except GalleryError:
        assert "new" not in library
    else:
        assert facts(copy) == facts(gallery)


def test_export_obeys_the_umask(library, gallery, tmp_path):
    old = os.umask(0o027)
    try:
        assert library.export_zip(gallery.name, tmp_path / "m.zip").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(old)


def test_codebooks_go_along_and_nothing_else_does(library, tmp_path):
    gallery = library.create("own words")
    (gallery.folder / "orb.codebook.safetensors").write_bytes(b"learnt here")
    (gallery.folder / "notes.txt").write_text("private")
    file = library.export_zip("own words", tmp_path / "own.zip")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("../sift.codebook.safetensors", b"elsewhere")
        archive.writestr("a/surf.codebook.safetensors", b"deeper")
    assert "notes.txt" not in zipfile.ZipFile(file).namelist()
    back = library.import_zip(file, "back")
    kept = {path.name: path.read_bytes() for path in back.folder.rglob("*.codebook.safetensors")}
    assert kept == {"orb.codebook.safetensors": b"learnt here"}
    assert not list(library.root.rglob("sift.codebook*"))
