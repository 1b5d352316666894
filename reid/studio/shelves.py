"""The galleries of one app: the user's and those that ship, looked into and changed by name."""

from __future__ import annotations

import filecmp
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reid.datasets import Sample
from reid.errors import GalleryError, ImageError, UnknownNameError
from reid.galleries import Gallery, GalleryInfo, Item, Library, files
from reid.galleries.transfer import export_zip
from reid.studio.shipped import Shipped


class Shelves:
    """The user's galleries and the shipped ones, which are read-only.

    A gallery of the user's that has the same name as a shipped one is shown in its place.

    Args:
        root: the data folder; by default `$PARTWISE_DATA` or the user's data folder.
        shipped: where the galleries that ship lie, see `reid.studio.shipped`; None for none.
    """

    def __init__(self, root: Path | None, shipped: Path | None) -> None:
        self._library = Library(root)
        self._shipped = Shipped(shipped, self._library.root / "shipped")
        self._scratch = tempfile.TemporaryDirectory(prefix="partwise-")

    # Looking

    def galleries(self) -> list[GalleryInfo]:
        """The user's galleries, then those that ship."""
        own = self._library.list()
        taken = {info.name for info in own}
        return own + [self._open(name).info() for name in self._shipped.names if name not in taken]

    def is_shipped(self, name: str) -> bool:
        return name in self._shipped.names and name not in self._library

    def examples(self, name: str | None, count: int = 12) -> Sequence[Sample | Item]:
        """Pictures to ask a gallery with: those it ships for that, or else a few of its own."""
        if name is None:
            return []
        if self.is_shipped(name):
            return self._shipped.examples(name)[:count]
        gallery = self._open(name)
        total = gallery.count()
        step = max(1, total // count)
        return [item for start in range(0, total, step) for item in gallery.items(limit=1, offset=start)][:count]

    def cameras(self, name: str | None) -> list[str]:
        return self._open(name).cameras() if name else []

    def camera_of(self, picture: Path, name: str | None) -> str | None:
        """The camera of a query that is, byte for byte, one of the gallery's pictures or examples; else None."""
        if not name:
            return None
        try:
            digest = files.sha256(files.read(picture)[0])
        except ImageError:
            return None
        cameras = {item.camera for item in self._open(name).items(sha256=digest)}
        if self.is_shipped(name):
            asked = self._shipped.examples(name)
            cameras |= {one.camera for one in asked if filecmp.cmp(picture, one.path, shallow=False)}
        return cameras.pop() if len(cameras) == 1 else None

    def browse(self, name: str, *, words: str = "", start: int = 0, count: int = 48) -> tuple[list[Item], int]:
        """A page of a gallery's items, and how many there are in all; `words` keeps those that have all of them."""
        gallery = self._open(name)
        if not words.strip():
            return gallery.items(limit=count, offset=start), gallery.count()
        ids = gallery.search_words(words)
        return gallery.items(ids[start : start + count]), len(ids)

    def item(self, name: str, id: int) -> Item:
        return self._open(name).item(id)

    def picture(self, name: str, item: Item) -> np.ndarray:
        """An item's picture (H, W, 3) uint8 RGB.

        Raises:
            PartwiseError: the file is gone or cannot be read.
        """
        return self._open(name).picture(item)

    # Changing

    def rename(self, old: str, new: str) -> str:
        """Give a gallery another name, and return it as it is kept."""
        self._own(old)
        self._check_free(new)
        return self._library.rename(old, new).name

    def remove(self, name: str) -> None:
        """Remove a gallery with the pictures that were copied into it."""
        self._check_own(name)  # without opening it: a damaged one can go too
        self._library.remove(name)

    def export(self, name: str) -> Path:
        """The gallery as a zip file, in a folder that lives as long as the app."""
        return export_zip(self._open(name), Path(self._scratch.name) / f"{name}.zip")

    def set_words(self, name: str, id: int, text: str) -> None:
        """Replace the words that users gave a picture."""
        self._own(name).set_words(id, text)

    def words(self, name: str, id: int) -> dict[str, str]:
        """The words of a picture by where they came from: "user", "file" or "parse"."""
        return self._open(name).words(id)

    def remove_item(self, name: str, id: int) -> str:
        """Remove a picture from a gallery and return its name."""
        gallery = self._own(name)
        item = gallery.item(id)
        gallery.remove_items([id])
        return item.name

    # Inside

    def _names(self) -> list[str]:
        own = self._library.names()
        return own + [name for name in self._shipped.names if name not in own]

    def _check_free(self, name: str) -> None:
        if name.strip() in self._shipped.names:
            raise GalleryError(f"There is a gallery {name.strip()!r} already; choose another name.")

    def _check_own(self, name: str) -> None:
        if self.is_shipped(name):
            raise GalleryError(f"The gallery {name!r} ships with Partwise and cannot be changed; make one of your own.")

    def _own(self, name: str) -> Gallery:
        self._check_own(name)
        return self._open(name)

    def _open(self, name: str) -> Gallery:
        if name in self._library:
            return self._library.open(name)
        if name not in self._shipped.names:
            raise UnknownNameError(f"There is no gallery {name!r}; there are {', '.join(self._names()) or 'none yet'}.")
        return self._shipped.open(name)
