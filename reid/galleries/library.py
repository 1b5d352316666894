"""The library: all galleries of one data folder, by name."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import unicodedata
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reid.errors import GalleryError, PartwiseError, UnknownNameError
from reid.galleries import transfer
from reid.galleries.catalogue import Catalogue
from reid.galleries.database import Database
from reid.galleries.gallery import Gallery, GalleryInfo
from reid.places import data_folder as default_root

MAX_OPEN = 32

_FORBIDDEN = '/\\:*?"<>|'
_MAX_CHARACTERS = 64
_MAX_BYTES = 200  # file systems take 255, and a little is needed beside it


def check_name(name: str) -> str:
    """The name as it is kept (Unicode NFC, no blanks around it).

    Raises:
        GalleryError: it cannot name a gallery.
    """
    clean = unicodedata.normalize("NFC", name).strip()
    if not clean:
        raise GalleryError("A gallery needs a name.")
    if len(clean) > _MAX_CHARACTERS or len(clean.encode("utf-8", "replace")) > _MAX_BYTES:
        raise GalleryError(f"The gallery name {clean[:20]!r}... is too long: at most {_MAX_CHARACTERS} characters.")
    bad = sorted({c for c in clean if c in _FORBIDDEN or unicodedata.category(c).startswith("C")})
    if bad:
        raise GalleryError(
            f"The gallery name {clean!r} holds {', '.join(map(repr, bad))}; take letters, digits, - and _."
        )
    if clean[0] == "." or clean[-1] == ".":
        raise GalleryError(f"The gallery name {clean!r} must not begin or end with a dot.")
    return clean


class Library:
    """The galleries of one data folder, one folder each.

    Args:
        root: the data folder; by default `$PARTWISE_DATA` or the user's data folder. It is made when first written to.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()
        self.folder = self.root / "galleries"
        self._open: OrderedDict[str, tuple[int, Gallery]] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and (self.folder / check_name(name) / Catalogue.FILE).exists()
        except (GalleryError, OSError):
            return False

    def names(self) -> list[str]:
        """The names of all galleries, sorted."""
        try:
            folders = [entry.name for entry in os.scandir(self.folder) if not entry.name.startswith(".")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise GalleryError(f"The galleries in {self.folder} cannot be listed: {error.strerror}.") from error
        return sorted((n for n in folders if (self.folder / n / Catalogue.FILE).exists()), key=str.casefold)

    def list(self) -> list[GalleryInfo]:
        """All galleries, sorted by name; one that cannot be opened is listed with its problem."""
        infos = []
        for name in self.names():
            try:
                infos.append(self._info(name))
            except PartwiseError as error:
                infos.append(GalleryInfo(name, problem=str(error)))
        return infos

    def open(self, name: str) -> Gallery:
        """The gallery of that name; the same object while the gallery is the same.

        Raises:
            UnknownNameError: there is none; the text lists those that are.
            GalleryError: it is damaged or was made by a newer version.
        """
        folder = self._existing(name)
        with self._lock:
            known = self._opened(folder)
            gallery = known or Gallery(folder)
            self._open[folder.name] = _inode(folder), gallery
            self._open.move_to_end(folder.name)
            # Each holds a few open files; one that is let go of opens them again when it is used.
            while len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)[1][1].close()
            return gallery

    def create(self, name: str) -> Gallery:
        """A new, empty gallery.

        Raises:
            GalleryError: the name is taken or not fit, or the data folder cannot be written.
        """
        with self._new(name) as folder:
            Database.create(folder / Catalogue.FILE, f"Gallery {name!r}")
        return self.open(name)

    def remove(self, name: str) -> None:
        """Remove a gallery with its copied pictures; pictures it refers to stay where they are.

        Raises:
            UnknownNameError: there is none.
            GalleryError: it cannot be removed.
        """
        folder = self._existing(name)
        # One that is damaged goes as well, and with it only a file or a collection that nobody asks for again.
        with contextlib.suppress(PartwiseError):
            self.open(name).drop_caches()
        self._forget(folder.name)
        gone = self.folder / f".gone-{uuid.uuid4().hex}"
        try:
            folder.rename(gone)  # at once, so that a half-removed gallery is never seen
        except OSError as error:
            raise GalleryError(f"Gallery {folder.name!r} cannot be removed: {error.strerror}.") from error
        for left in self.folder.glob(".gone-*"):
            shutil.rmtree(left, ignore_errors=True)

    def rename(self, old: str, new: str) -> Gallery:
        """Give a gallery another name.

        Raises:
            UnknownNameError: there is no gallery of the old name.
            GalleryError: the new name is taken or not fit.
        """
        folder, target = self._existing(old), self.folder / check_name(new)
        if target == folder:
            return self.open(old)
        # On file systems that take A and a for one, a change of case alone is no clash.
        if target.exists() and not target.samefile(folder):
            raise GalleryError(f"There is a gallery {target.name!r} already; choose another name.")
        self._forget(folder.name)
        try:
            folder.rename(target)
        except OSError as error:
            raise GalleryError(f"Gallery {folder.name!r} cannot be renamed: {error.strerror}.") from error
        return self.open(target.name)

    def export_zip(self, name: str, file: str | os.PathLike[str]) -> Path:
        """Write a gallery with its pictures, words and vectors into a zip file.

        Raises:
            GalleryError: a picture is missing or changed, or the file cannot be written.
        """
        return transfer.export_zip(self.open(name), Path(file))

    def import_zip(self, file: str | os.PathLike[str], name: str | None = None) -> Gallery:
        """Make a gallery of a zip file that `export_zip` wrote, under its own or another name.

        Raises:
            GalleryError: the file is no such zip, is damaged or too large, or the name is taken; nothing is left.
        """
        name = check_name(transfer.name_in(Path(file)) if name is None else name)
        with self._new(name) as folder:
            Database.create(folder / Catalogue.FILE, f"Gallery {name!r}")
            gallery = Gallery(folder)
            try:
                transfer.import_zip(gallery, Path(file))
            finally:
                gallery.close()
        return self.open(name)

    def _info(self, name: str) -> GalleryInfo:
        """Its line in a listing; a gallery that is not open is not kept open for that."""
        folder = self._existing(name)
        with self._lock:
            known = self._opened(folder)
        if known is not None:
            return known.info()
        gallery = Gallery(folder)
        try:
            return gallery.info()
        finally:
            gallery.close()

    def _opened(self, folder: Path) -> Gallery | None:
        inode, gallery = self._open.get(folder.name, (None, None))
        return gallery if inode == _inode(folder) else None

    def _existing(self, name: str) -> Path:
        if name not in self:
            names = ", ".join(self.names())
            raise UnknownNameError(
                f"There is no gallery {name!r}; {f'there are {names}' if names else 'there is none yet'}."
            )
        return self.folder / check_name(name)

    @contextmanager
    def _new(self, name: str) -> Iterator[Path]:
        """A folder that becomes the gallery's when all went well, and vanishes when not."""
        target = self.folder / check_name(name)
        if target.exists():
            raise GalleryError(f"There is a gallery {target.name!r} already; choose another name.")
        folder = self.folder / f".new-{uuid.uuid4().hex}"
        try:
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                raise GalleryError(
                    f"Gallery {target.name!r} cannot be made in {self.folder}: {error.strerror}. "
                    "Make it writable, or set PARTWISE_DATA to a folder that is."
                ) from error
            yield folder
            try:
                folder.rename(target)  # fails where another process took the name meanwhile: its folder is not empty
            except OSError as error:
                if target.exists():
                    raise GalleryError(f"There is a gallery {target.name!r} already; choose another name.") from error
                raise GalleryError(f"Gallery {target.name!r} cannot be made: {error.strerror}.") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _forget(self, name: str) -> None:
        with self._lock:
            known = self._open.pop(name, None)
        if known is not None:
            known[1].close()


def _inode(folder: Path) -> int:
    try:
        return (folder / Catalogue.FILE).stat().st_ino
    except OSError as error:
        raise GalleryError(f"Gallery {folder.name!r} cannot be opened: {error.strerror}.") from error
