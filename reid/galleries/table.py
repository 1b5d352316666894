"""What the tables of a catalogue share: the database, and an error for what is damaged in it."""

from __future__ import annotations

from pathlib import Path

from reid.errors import GalleryError
from reid.galleries.database import Database


class Table:
    """Some tables of one gallery's database, under methods that say what they mean.

    Args:
        folder: the gallery's folder, where `catalogue.sqlite` is.
        title: what errors call it.
    """

    FILE = "catalogue.sqlite"

    def __init__(self, folder: Path, title: str) -> None:
        self.folder = folder
        self._database = Database(folder / self.FILE, title)

    @property
    def uid(self) -> str:
        """A name of this gallery that outlives renaming."""
        return self._database.uid

    def _damaged(self, what: str) -> GalleryError:
        return GalleryError(
            f"{self._database.title} is damaged: {what}. Put back a copy of {self.folder / self.FILE}, "
            "or remove the gallery and index its pictures again."
        )
