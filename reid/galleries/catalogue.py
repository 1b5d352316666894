"""The catalogue: items, words and vectors of one gallery in SQLite, the truth that everything else is made from."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from reid.galleries.item_table import ItemTable
from reid.galleries.vector_table import VectorTable
from reid.galleries.word_table import WordTable


class Catalogue(ItemTable, WordTable, VectorTable):
    """Items, words and vectors of one gallery. Safe to share between threads; processes see each other's changes.

    Args:
        folder: the gallery's folder, where `catalogue.sqlite` is.
        title: what errors call it.
    """

    def transaction(self) -> AbstractContextManager[Any]:
        """`with gallery.transaction():` keeps all the changes made inside, or none."""
        return self._database.writing()

    def snapshot(self) -> AbstractContextManager[Any]:
        """`with gallery.snapshot():` all reads inside see one state, whatever others write meanwhile."""
        return self._database.reading()

    @property
    def in_transaction(self) -> bool:
        """True for a thread that is inside `transaction` or `snapshot`."""
        return self._database.busy

    def close(self) -> None:
        """Let go of the files; the next use opens them again."""
        self._database.close()
