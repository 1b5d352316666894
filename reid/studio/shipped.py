"""The galleries that ship: folders with a manifest, read-only, in a library of their own."""

from __future__ import annotations

import threading
from pathlib import Path

from reid.datasets import Sample, read_folder
from reid.errors import UnknownNameError
from reid.galleries import Gallery, Library

SHIPPED = Path(__file__).resolve().parents[2] / "gallery"


class Shipped:
    """Every folder of `folder` that has a manifest.csv, as a gallery; pictures whose split is "query" are its examples.

    Args:
        folder: where the galleries lie; None for none.
        root: the data folder of their catalogues, apart from the user's, so that the two are never mixed.
    """

    def __init__(self, folder: Path | None, root: Path) -> None:
        found = [] if folder is None else sorted(file.parent for file in folder.glob("*/manifest.csv"))
        self._folders = {each.name: each for each in found}
        self._library = Library(root)
        self._examples: dict[str, list[Sample]] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        return list(self._folders)

    def open(self, name: str) -> Gallery:
        """The gallery, brought in line with its folder when it is first opened.

        Raises:
            UnknownNameError: none of that name ships.
        """
        if name not in self._folders:
            raise UnknownNameError(f"No gallery {name!r} ships; there are {', '.join(self.names) or 'none'}.")
        with self._lock:
            if name not in self._examples:
                self._stock(name)
            return self._library.open(name)

    def examples(self, name: str) -> list[Sample]:
        """Pictures to ask the gallery with, which are not in it."""
        self.open(name)
        return self._examples[name]

    def _stock(self, name: str) -> None:
        samples = read_folder(self._folders[name], "flat")
        kept = [sample for sample in samples if sample.split != "query"]
        gallery = self._library.open(name) if name in self._library else self._library.create(name)
        ids = set(gallery.add(kept))
        gallery.remove_items(item.id for item in gallery.items() if item.id not in ids)
        self._examples[name] = [sample for sample in samples if sample.split == "query"]
