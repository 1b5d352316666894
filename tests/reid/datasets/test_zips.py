"""Archives from anybody: pictures come out, nothing else, and only where they should."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from reid.datasets import read_zip
from reid.errors import DatasetError


@pytest.fixture
def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(buffer, "PNG")
    return buffer.getvalue()


def pack(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def test_pictures_and_tables_come_out(tmp_path: Path, picture):
    path = pack(
        tmp_path / "a.zip",
        {
            "ann/1.png": picture,
            "words.csv": b"name,words\n",
            "run.sh": b"rm",
            "__MACOSX/._1.png": b"x",
            ".git/a.png": b"x",
        },
    )
    skipped: list[str] = []
    written = read_zip(path, tmp_path / "out", on_skip=lambda name, reason: skipped.append(f"{name}: {reason}"))
    assert written == [tmp_path / "out" / "ann" / "1.png", tmp_path / "out" / "words.csv"]
    assert written[0].read_bytes() == picture
    assert skipped == ["run.sh: no picture"]
    assert sorted(p.name for p in (tmp_path / "out").rglob("*") if p.is_file()) == ["1.png", "words.csv"]


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png"])
def test_entries_that_point_outside_refuse_the_whole(tmp_path: Path, picture, name):
    path = pack(tmp_path / "a.zip", {"good.png": picture, name: picture})
    with pytest.raises(DatasetError, match="points outside"):
        read_zip(path, tmp_path / "deep" / "out")
    assert [p.name for p in tmp_path.rglob("*")] == ["a.zip"]


def test_links_are_left_out(tmp_path: Path, picture):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good.png", picture)
    assert [p.name for p in read_zip(tmp_path / "a.zip", tmp_path / "out")] == ["good.png"]


def test_limits(tmp_path: Path, picture):
    bomb = pack(tmp_path / "bomb.zip", {"a.png": b"\0" * 3_000_000, "b.png": b"\0" * 3_000_000, "c.png": picture})
    assert bomb.stat().st_size < 20_000
    skipped: list[str] = []
    written = read_zip(
        bomb, tmp_path / "out", max_file_bytes=1_000_000, on_skip=lambda name, reason: skipped.append(reason)
    )
    assert [p.name for p in written] == ["c.png"]
    assert skipped == ["too big: 3.0 MB, at most 1 MB are taken"] * 2
    with pytest.raises(DatasetError, match=r"unpack to 0\.0 GB"):
        read_zip(bomb, tmp_path / "second", max_total_bytes=5_000_000)
    with pytest.raises(DatasetError, match="holds 3 entries; at most 2"):
        read_zip(bomb, tmp_path / "second", max_files=2)
    assert not (tmp_path / "second").exists()


def test_a_size_that_lies_stops_there(tmp_path: Path):
    path = pack(tmp_path / "a.zip", {"a.png": b"\0" * 3_000_000})
    data = path.read_bytes().replace(struct.pack("<I", 3_000_000), struct.pack("<I", 1000))
    path.write_bytes(data)
    skipped: list[str] = []
    assert read_zip(path, tmp_path / "out", on_skip=lambda name, reason: skipped.append(reason)) == []
    assert skipped == ["damaged in the archive"]
    assert not (tmp_path / "out" / "a.png").exists()


def test_existing_files_stay(tmp_path: Path, picture):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    (tmp_path / "out" / "b").write_bytes(b"in the way")
    path = pack(tmp_path / "a.zip", {"a.png": picture, "b/c.png": picture, "d.png": picture})
    skipped: list[str] = []
    written = read_zip(path, tmp_path / "out", on_skip=lambda name, reason: skipped.append(name))
    assert [p.name for p in written] == ["d.png"]
    assert skipped == ["a.png", "b/c.png"]
    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"


def test_damage(tmp_path: Path, picture):
    path = tmp_path / "a.zip"
    path.write_bytes(b"no archive")
    with pytest.raises(DatasetError, match="no zip archive"):
        read_zip(path, tmp_path / "out")
    pack(path, {"a.png": picture, "b.png": picture})
    data = bytearray(path.read_bytes())
    data[data.index(b"a.png") + 20] ^= 0xFF
    path.write_bytes(data)
    assert [p.name for p in read_zip(path, tmp_path / "out")] == ["b.png"]
    path.write_bytes(bytes(data)[:-30])
    with pytest.raises(DatasetError, match="no zip archive, or cut off"):
        read_zip(path, tmp_path / "out2")
    with pytest.raises(DatasetError, match="cannot be unpacked"):
        read_zip(tmp_path / "none.zip", tmp_path / "out3")


def test_encrypted_archives_say_so(tmp_path: Path, picture):
    path = pack(tmp_path / "a.zip", {"a.png": picture})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="encrypted"):
        read_zip(path, tmp_path / "out")
