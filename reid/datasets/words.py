"""Words about pictures, from a table."""

from __future__ import annotations

import os
from pathlib import Path

from reid.datasets.folders import read_table


def read_words_csv(path: str | os.PathLike[str]) -> dict[str, str]:
    """Words by picture name, from a CSV file with the columns `name` and `words` (others are ignored).

    A name that occurs several times has its words joined; rows without a name or words are passed over.

    Raises:
        DatasetError: the file cannot be read or lacks a column.
    """
    words: dict[str, str] = {}
    for row in read_table(Path(path), ("name", "words")):
        name, text = row["name"].replace("\\", "/"), row["words"]
        if name and text:
            words[name] = f"{words[name]} {text}" if name in words else text
    return words
