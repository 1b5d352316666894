"""Tables of words as people save them."""

from pathlib import Path

import pytest

from reid.datasets import read_words_csv
from reid.errors import DatasetError


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_words_by_name(tmp_path: Path):
    path = write(
        tmp_path / "w.csv", 'Name,Words,other\na.jpg,"red coat, bag",1\nsub\\b.jpg,café,2\n,lost,3\nc.jpg,,4\n'
    )
    assert read_words_csv(path) == {"a.jpg": "red coat, bag", "sub/b.jpg": "café"}


def test_what_a_spreadsheet_saves(tmp_path: Path):
    path = write(tmp_path / "w.csv", "name;words\r\na.jpg;red\r\na.jpg;coat\r\n", "utf-8-sig")
    assert read_words_csv(path) == {"a.jpg": "red coat"}


@pytest.mark.parametrize(
    ("text", "encoding", "cause"),
    [
        ("a.jpg,red\n", "utf-8", "needs a first line with name, words; it has a.jpg, red"),
        ("", "utf-8", "it has nothing"),
        ("name,words\na.jpg,café\n", "latin-1", "not UTF-8"),
    ],
)
def test_bad_tables_are_named(tmp_path: Path, text, encoding, cause):
    path = write(tmp_path / "w.csv", text, encoding)
    with pytest.raises(DatasetError, match=cause) as caught:
        read_words_csv(path)
    assert str(path) in str(caught.value)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_words_csv(tmp_path / "none.csv")
