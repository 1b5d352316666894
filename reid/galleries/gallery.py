"""A gallery: a catalogue with a folder for copied pictures and for the caches made from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reid.embedding import Embeddings
from reid.errors import GalleryError, ImageError
from reid.galleries import files
from reid.galleries.catalogue import Catalogue
from reid.galleries.milvus import MilvusKeeper, milvus_uri
from reid.galleries.records import Item, NewItem
from reid.galleries.vectors import FaissFile, Keeper, VectorStore, shelf
from reid.images import image_size, load_image


class Labelled(Protocol):
    """A picture file and what is known of it; `reid.datasets.Sample` is one."""

    @property
    def path(self) -> Path: ...
    @property
    def name(self) -> str: ...
    @property
    def identity(self) -> str | None: ...
    @property
    def camera(self) -> str | None: ...
    @property
    def words(self) -> str: ...


@dataclass(frozen=True)
class GalleryInfo:
    """A gallery in a listing.

    Attributes:
        name: its name.
        items: how many pictures and regions.
        identities, cameras: how many of each are known.
        backends: names of those that have vectors in it.
        problem: None, or one sentence that says why it cannot be opened (the figures are then 0).
    """

    name: str
    items: int = 0
    identities: int = 0
    cameras: int = 0
    backends: tuple[str, ...] = ()
    problem: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "backends": list(self.backends)}


class Gallery(Catalogue):
    """Pictures with their words and vectors, under one name. One object serves any number of threads.

    Args:
        folder: the gallery's folder; its name is the gallery's.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, f"Gallery {folder.name!r}")

    @property
    def name(self) -> str:
        return self.folder.name

    def __repr__(self) -> str:
        return f"Gallery({self.name!r})"

    def info(self) -> GalleryInfo:
        """The gallery's line in a listing."""
        with self.snapshot():
            backends = tuple(dict.fromkeys(self.recipes().values()))
            return GalleryInfo(self.name, self.count(), len(self.identities()), len(self.cameras()), backends)

    def add(
        self,
        samples: Iterable[Labelled | str | os.PathLike[str]],
        *,
        copy: bool = False,
        on_error: Callable[[Path, str], None] | None = None,
    ) -> list[int]:
        """Enter pictures without embedding them (`reid.search.index` does both), and return their ids.

        Args:
            samples: pictures with labels, or bare paths (named by their file name).
            copy: True copies the files into the gallery, False refers to them where they lie.
            on_error: called with the path of each picture that cannot be read and why; without it the first is raised.

        Raises:
            ImageError: a picture cannot be read and there is no `on_error`.
            GalleryError: the gallery cannot be written.
        """
        entered: list[int] = []
        with self.transaction():
            for sample in samples:
                labelled = Bare(Path(sample)) if isinstance(sample, str | os.PathLike) else sample
                try:
                    data, mark = files.read(labelled.path)
                    size = image_size(data, name=os.fspath(labelled.path))
                except ImageError as error:
                    if on_error is None:
                        raise
                    on_error(Path(labelled.path), str(error))
                    continue
                item = new_item(labelled, data, mark, size)
                entered += [put.id for put in self.put_items([self.keep(item, data) if copy else item])]
        return entered

    def keep(self, item: NewItem, data: bytes) -> NewItem:
        """The item with its file copied into the gallery. Call it in the transaction that enters the item."""
        path = files.keep(self.folder, data, item.sha256, item.path)
        return replace(item, path=path, copied=True)

    def remove_items(self, ids: Iterable[int]) -> int:
        """Remove items with their words and vectors, and copied files that no item needs; how many items there were.

        Pictures that are only referred to stay where they are.
        """
        with self.transaction() as db:
            chosen = [int(i) for i in ids]
            copies = {item.path for item in self.items(chosen) if item.copied}
            removed = super().remove_items(chosen)
            kept = (
                {self.folder / path for (path,) in db.execute("SELECT path FROM items WHERE copied = 1")}
                if copies
                else set()
            )
            for path in copies - kept:
                path.unlink(missing_ok=True)
        return removed

    def whole_picture(self, item: Item) -> np.ndarray:
        """The picture or video frame (H, W, 3) uint8 RGB that an item lies in, its box or not.

        Raises:
            GalleryError: the file is not there any more.
            ImageError: it cannot be read.
        """
        if not item.path.exists():
            raise GalleryError(
                f"The picture {item.name} of gallery {self.name!r} is no longer at {item.path}: put it back, "
                "or remove it from the gallery."
            )
        if item.frame is None:
            return load_image(item.path)
        from reid.video import load_frame  # OpenCV, which a gallery of pictures need not wait for

        return load_frame(item.path, item.frame)

    def picture(self, item: Item | int) -> np.ndarray:
        """The item's picture or video frame (H, W, 3) uint8 RGB; the region alone where the item is one.

        Raises:
            GalleryError: the file is not there any more.
            ImageError: it cannot be read as a picture.
        """
        item = self.item(item) if isinstance(item, int) else item
        picture = self.whole_picture(item)
        if item.box is None:
            return picture
        x0, y0 = (max(int(v), 0) for v in item.box[:2])
        x1, y1 = (int(np.ceil(v)) for v in item.box[2:])
        region = picture[y0:y1, x0:x1]
        if region.size == 0:
            raise GalleryError(f"The box {item.box} of {item.name} in gallery {self.name!r} lies outside its picture.")
        return np.ascontiguousarray(region)

    def store(self, recipe: str) -> VectorStore:
        """The up-to-date store of a recipe's global vectors, shared by all threads. Not inside a transaction."""
        self._check_outside()
        return shelf.take(self.uid, recipe).store(self, recipe, self._keeper(recipe))

    def part_vectors(self, recipe: str) -> tuple[np.ndarray, Embeddings]:
        """Item ids (N,) and all embeddings of a recipe, parts included, kept in memory. Not inside a transaction."""
        self._check_outside()
        return shelf.take(self.uid, recipe).parts(self, recipe)

    def remove_vectors(self, recipe: str) -> None:
        """Forget a recipe with its vectors."""
        super().remove_vectors(recipe)
        self._keeper(recipe).drop()

    def close(self) -> None:
        """Let go of files and memory; the next use takes them up again."""
        super().close()
        shelf.drop(self.uid)

    def drop_caches(self) -> None:
        """Forget what was kept outside the gallery's folder, before the folder itself is removed."""
        if milvus_uri():
            for recipe in self.recipes():
                self._keeper(recipe).drop()

    def _keeper(self, recipe: str) -> Keeper:
        cache, uri = self.folder / "cache", milvus_uri()
        if uri is None:
            return FaissFile(cache / f"{recipe}.faiss")
        return MilvusKeeper(uri, cache / f"{recipe}.milvus", self.uid, recipe)

    def _check_outside(self) -> None:
        # What is seen inside may be rolled back or out of date, and would spoil what all threads share.
        if self.in_transaction:
            raise RuntimeError("a shared store cannot be made inside a transaction or snapshot")


@dataclass(frozen=True)
class Bare:
    """A picture of which nothing is known but the path."""

    path: Path
    identity: str | None = None
    camera: str | None = None
    words: str = ""

    @property
    def name(self) -> str:
        return self.path.name


def new_item(sample: Labelled, data: bytes, mark: str, size: Sequence[int]) -> NewItem:
    """The entry of a file that was read: `files.read` gave `data` and `mark`, `size` is (width, height).

    Raises:
        ImageError: the file's name is no text.
    """
    path = files.canonical(sample.path)
    try:
        f"{path}{sample.name}".encode()
    except UnicodeEncodeError:
        raise ImageError(f"{path!r} has a name that is not valid UTF-8; rename it.") from None
    return NewItem(
        name=sample.name,
        path=path,
        sha256=files.sha256(data),
        bytes=len(data),
        stamp=mark,
        width=int(size[0]),
        height=int(size[1]),
        identity=sample.identity,
        camera=sample.camera,
        words=sample.words,
    )
