"""The words of a gallery's items, searched in full text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reid.errors import UnknownNameError
from reid.galleries.database import WORD_SOURCES
from reid.galleries.table import Table


class WordTable(Table):
    """Words by item and by where they came from."""

    def set_words(self, id: int, text: str, source: str = "user") -> None:
        """Replace the words of one source ("user", "file" or "parse") of an item.

        Raises:
            UnknownNameError: no such item.
        """
        if source not in WORD_SOURCES:
            raise ValueError(f"words come from one of {WORD_SOURCES}, not {source!r}")
        with self._database.writing() as db:
            if db.execute("SELECT 1 FROM items WHERE id = ?", (id,)).fetchone() is None:
                raise UnknownNameError(f"{self._database.title} holds no item {id}.")
            put_words(db, id, source, text)

    def words(self, id: int) -> dict[str, str]:
        """The words of an item by source; a source without words is left out."""
        with self._database.reading() as db:
            row = db.execute(f"SELECT {', '.join(WORD_SOURCES)} FROM words WHERE rowid = ?", (id,)).fetchone()
        return {source: text for source, text in zip(WORD_SOURCES, row or (), strict=False) if text}

    def search_words(self, query: str, limit: int | None = None) -> list[int]:
        """Ids of the items that have all words of the query, or words that begin with them; best first (BM25).

        Any text is a valid query; accents and case do not matter. A query without a word finds nothing.
        """
        phrases = " ".join(f'"{word}"*' for word in _clean(query).replace('"', " ").split())
        if not phrases:
            return []
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?",
                (phrases, -1 if limit is None else limit),
            )
            return [row[0] for row in rows]


def put_words(db: Any, id: int, source: str, text: str) -> None:
    """Replace the words of one source inside a transaction; empty ones go."""
    row = db.execute(f"SELECT {', '.join(WORD_SOURCES)} FROM words WHERE rowid = ?", (id,)).fetchone()
    texts: Mapping[str, str] = dict(zip(WORD_SOURCES, row or ("",) * len(WORD_SOURCES), strict=True))
    new = {**texts, source: _clean(text)}
    if new == texts:
        return
    if not any(new.values()):
        db.execute("DELETE FROM words WHERE rowid = ?", (id,))
    elif row is None:
        db.execute(
            f"INSERT INTO words (rowid, {', '.join(new)}) VALUES (?{', ?' * len(new)})",
            (id, *new.values()),
        )
    else:
        db.execute(f"UPDATE words SET {source} = ? WHERE rowid = ?", (new[source], id))


def _clean(text: str) -> str:
    """Text as SQLite takes it: no NUL, no lone surrogates, single blanks."""
    return " ".join(text.replace("\0", " ").encode("utf-8", "replace").decode().split())
