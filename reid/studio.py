"""The app's one object: its galleries, its backends and its limits. The interface talks to this and to nothing below.

Nothing heavy happens on import or construction: a backend loads when it is first asked for, and `start` indexes the
shipped galleries in the background.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from reid import backends, uploads
from reid.backends import Backend, Card
from reid.backends.keypoints import Matches
from reid.backends.registry import PREFERRED
from reid.datasets import Sample, read_folder
from reid.errors import GalleryError, PartwiseError, UnknownNameError
from reid.galleries import Gallery, GalleryInfo, Item, Library
from reid.images import load_image
from reid.pipeline import decode_batches
from reid.search import Hit, index, search
from reid.search.geometry import verify

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).resolve().parent.parent / "gallery"

KEPT_SIDE = 1600

# Pictures that are taller than this (height by width) at the median are taken for people.
_UPRIGHT = 1.4

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask for.

    Attributes:
        top: most hits a search returns.
        upload_files: most pictures one upload may bring.
        private: True where strangers share the machine: every visitor then gets galleries of their own, which live as
            long as the visit.
    """

    top: int = 60
    upload_files: int = 5_000
    private: bool = False


@dataclass(frozen=True)
class Found:
    """What one search gave.

    Attributes:
        query: (H, W, 3) uint8 RGB, brought to `KEPT_SIDE` pixels where it was larger.
        gallery: name of the gallery.
        card: the backend's card.
        hits: best first.
        searched: how many pictures passed the filters and were compared.
        ms: time the search took, embedding the query included.
    """

    query: np.ndarray
    gallery: str
    card: Card
    hits: list[Hit]
    searched: int
    ms: float


@dataclass(frozen=True)
class Comparison:
    """A query beside one of its hits.

    Attributes:
        query, picture: (H, W, 3) uint8 RGB.
        matches: keypoint matches that agree on one geometry; None where the backend has no keypoints.
    """

    query: np.ndarray
    picture: np.ndarray
    hit: Hit
    card: Card
    matches: Matches | None = None


@dataclass
class Added:
    """What became of an upload.

    Attributes:
        gallery: its name.
        added: how many pictures are new in it.
        skipped: a sentence for each file that was left out.
    """

    gallery: str
    added: int = 0
    skipped: list[str] = field(default_factory=list)


class Studio:
    """Galleries, backends and limits of one running app.

    The galleries that ship are read-only and lie in a library of their own, so that none of the user's is ever mixed
    with them; a gallery of the user's that has the same name is shown in place of the shipped one.

    Args:
        root: the data folder; by default `$PARTWISE_DATA` or the user's data folder.
        shipped: every folder in it that has a manifest.csv is a shipped gallery; pictures whose split is "query" are
            its examples.
        limits: what one visitor may ask for.
    """

    def __init__(
        self, root: Path | None = None, *, shipped: Path | None = SHIPPED, limits: Limits | None = None
    ) -> None:
        self.limits = limits or Limits()
        self._library = Library(root)
        self._shelf = Library(self._library.root / "shipped")
        self._shipped = (
            {} if shipped is None else {f.parent.name: f.parent for f in sorted(shipped.glob("*/manifest.csv"))}
        )
        self._examples: dict[str, list[Sample]] = {}
        self._locks: dict[str, threading.RLock] = defaultdict(threading.RLock)
        self._scratch = tempfile.TemporaryDirectory(prefix="partwise-")
        self._visitors: dict[str, Studio] = {}
        self._unready: dict[str, str] = {}  # backends that could not be loaded, and why

    def start(self) -> threading.Thread:
        """Index the shipped galleries in the background, each with the backend it is first searched with."""
        thread = threading.Thread(target=self._index_shipped, name="partwise-shipped", daemon=True)
        thread.start()
        return thread

    # Visitors

    def of(self, visitor: str | None) -> Studio:
        """The studio of one visit: this one, or where visits are private, one with galleries of its own."""
        if not self.limits.private or visitor is None:
            return self
        with self._locks["visitors"]:
            if visitor not in self._visitors:
                self._visitors[visitor] = _Visit(self)
            return self._visitors[visitor]

    def leave(self, visitor: str | None) -> None:
        """End a visit; galleries that were private to it go."""
        with self._locks["visitors"]:
            mine = self._visitors.pop(visitor or "", None)
        if mine is not None:
            mine._scratch.cleanup()

    # Backends

    def embedders(self, *, only_free: bool = False) -> list[Card]:
        """The cards of the backends that can search; `only_free` leaves out those with research-only terms."""
        return [c for c in backends.cards() if "embed" in c.does and not (only_free and c.research_only)]

    def preferred(self, gallery: str | None, *, only_free: bool = False) -> str | None:
        """The backend to begin with: what the gallery was made with, else the best there is.

        For galleries that ship, and where there is none yet, that is the best on real photos, and for scenes the one
        whose matches can be seen. One that could not be loaded is passed over.
        """
        names = [c.name for c in self.embedders(only_free=only_free) if c.name not in self._unready]
        order = PREFERRED if self._shows_people(gallery) else ("sift", *PREFERRED)
        if gallery and not self.is_shipped(gallery):
            order = (*self._open(gallery).info().backends, *order)
        return next((name for name in order if name in names), names[0] if names else None)

    def is_indexed(self, gallery: str, backend: str) -> bool:
        """Whether the gallery has vectors of the backend already."""
        return backend in self._open(gallery).info().backends

    def reranks(self, card: Card | None) -> list[str]:
        """How the best hits of a backend can be put in another order; "none" is the first."""
        ways = ["none"]
        if card and card.parts:
            ways.append("parts")
        if card and card.family == "local descriptor":
            ways.append("geometry")
        return ways

    # Galleries

    def galleries(self) -> list[GalleryInfo]:
        """The user's galleries, then those that ship."""
        own = self._library.list()
        taken = {info.name for info in own}
        return own + [self._open(name).info() for name in self._shipped if name not in taken]

    def is_shipped(self, name: str) -> bool:
        return name in self._shipped and name not in self._library

    def examples(self, name: str | None, count: int = 12) -> Sequence[Sample | Item]:
        """Pictures to ask a gallery with: those it ships for that, or else a few of its own."""
        if name is None:
            return []
        gallery = self._open(name)
        if self.is_shipped(name):
            return self._examples[name][:count]
        total = gallery.count()
        step = max(1, total // count)
        return [item for start in range(0, total, step) for item in gallery.items(limit=1, offset=start)][:count]

    def cameras(self, name: str | None) -> list[str]:
        return self._open(name).cameras() if name else []

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

    def create(
        self, name: str, files: Sequence[Path], *, layout: str = "auto", backend: str, progress: Progress | None = None
    ) -> Added:
        """Make a gallery of uploaded pictures and zips; the zip of an exported gallery brings that gallery back.

        Args:
            name: what to call it; may be blank for an exported gallery, which then keeps its name.
            files: pictures, zips of pictures, CSV tables of words, or one exported gallery.
            layout: how the folders in a zip are to be read, one of `reid.datasets.LAYOUTS`.
            backend: what to index it with.
            progress: called with the share done, 0..1, and what is being done.

        Raises:
            GalleryError: the name is taken or not fit, or no file can be used (then nothing is left behind).
            DatasetError: a zip is damaged or refused.
        """
        if not files:
            raise GalleryError("Choose the pictures first, or a zip of them.")
        self._check_free(name)
        if len(files) == 1 and uploads.is_exported(files[0]):
            gallery = self._library.import_zip(files[0], name.strip() or None)
            return Added(gallery.name, gallery.count())
        gallery = self._library.create(name)
        try:
            added = self._fill(gallery, files, layout, backend, progress)
            if not gallery.count():
                raise GalleryError("No file could be used. " + " ".join(added.skipped[:5]))
        except BaseException:
            self._library.remove(gallery.name)
            raise
        return added

    def add(self, name: str, files: Sequence[Path], *, layout: str = "auto", progress: Progress | None = None) -> Added:
        """Add uploaded pictures to a gallery and index them with every backend it is indexed by.

        Raises:
            GalleryError: the gallery ships with the app.
            DatasetError: a zip is damaged or refused.
        """
        gallery = self._own(name)
        first, *others = gallery.info().backends or [self.preferred(name) or ""]
        added = self._fill(gallery, files, layout, first, progress)
        for backend in others:
            self.ensure(name, backend, progress)
        return added

    def rename(self, old: str, new: str) -> str:
        """Give a gallery another name, and return it as it is kept."""
        self._own(old)
        self._check_free(new)
        return self._library.rename(old, new).name

    def remove(self, name: str) -> None:
        """Remove a gallery with the pictures that were copied into it."""
        self._own(name)
        self._library.remove(name)

    def export(self, name: str) -> Path:
        """The gallery as a zip file, in a folder that lives as long as the app."""
        library = self._shelf if self.is_shipped(name) else self._library
        self._open(name)
        return library.export_zip(name, Path(self._scratch.name) / f"{name}.zip")

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

    # Search

    def ensure(self, name: str, backend: str, progress: Progress | None = None) -> None:
        """Embed what a gallery holds and the backend has not embedded yet."""
        gallery, loaded = self._open(name), self._load(backend, progress)
        recipe = loaded.recipe_hash()
        with self._locks[f"index {gallery.uid}"]:
            missing = gallery.items(gallery.missing(recipe))
            done = 0
            for batch in decode_batches(missing, 32, on_error=lambda *_: None, load=gallery.picture):
                gallery.put_vectors(
                    recipe, [i.id for i in batch.samples], loaded.embed(batch.pictures), backend=backend
                )
                done += len(batch)
                if progress is not None:
                    progress(done / len(missing), f"{backend} reads {name}: {done:,} of {len(missing):,}")

    def search(
        self,
        picture: Path | np.ndarray,
        gallery: str | None,
        backend: str | None,
        *,
        top: int = 12,
        words: str = "",
        cameras: Sequence[str] = (),
        rerank: str = "none",
        progress: Progress | None = None,
    ) -> Found:
        """Rank a gallery by how much its pictures are like one picture; indexes first what is not indexed yet.

        Raises:
            ImageError: the picture cannot be used.
            PartwiseError: no such gallery or backend, or its weights cannot be had.
        """
        if not gallery:
            raise GalleryError("There is no gallery to search; make one in the Galleries tab.")
        if not backend:
            raise UnknownNameError("No backend is chosen.")
        query = load_image(picture, name=picture.name) if isinstance(picture, Path) else picture
        self.ensure(gallery, backend, progress)
        loaded = self._load(backend)
        found = search(
            self._open(gallery),
            loaded,
            query,
            top=min(top, self.limits.top),
            cameras=list(cameras) or None,
            words=words.strip() or None,
            rerank=rerank,
        )
        return Found(_kept(query), gallery, loaded.card, found.hits, found.searched, found.ms)

    def compare(self, found: Found, index: int) -> Comparison:
        """The query beside hit number `index` (from 0), with what the backend can say of the two.

        Raises:
            PartwiseError: the gallery or the picture is gone meanwhile.
        """
        hit = found.hits[index]
        picture = self._open(found.gallery).picture(hit.item)
        backend = self._load(found.card.name)
        matches = None
        if hasattr(backend, "keypoints"):
            matches = verify(backend.keypoints(found.query), backend.keypoints(picture))
        return Comparison(found.query, picture, hit, found.card, matches)

    # Inside

    def _names(self) -> list[str]:
        own = self._library.names()
        return own + [name for name in self._shipped if name not in own]

    def _check_free(self, name: str) -> None:
        if name.strip() in self._shipped:
            raise GalleryError(f"There is a gallery {name.strip()!r} already; choose another name.")

    def _own(self, name: str) -> Gallery:
        if self.is_shipped(name):
            raise GalleryError(f"The gallery {name!r} ships with Partwise and cannot be changed; make one of your own.")
        return self._open(name)

    def _open(self, name: str) -> Gallery:
        if name in self._library:
            return self._library.open(name)
        if name not in self._shipped:
            raise UnknownNameError(f"There is no gallery {name!r}; there are {', '.join(self._names()) or 'none yet'}.")
        with self._locks[f"stock {name}"]:
            if name not in self._examples:
                self._stock(name)
            return self._shelf.open(name)

    def _stock(self, name: str) -> None:
        """Bring the catalogue of a shipped gallery in line with its folder."""
        samples = read_folder(self._shipped[name])
        kept = [s for s in samples if s.split != "query"]
        gallery = self._shelf.open(name) if name in self._shelf else self._shelf.create(name)
        ids = set(gallery.add(kept))
        gallery.remove_items(item.id for item in gallery.items() if item.id not in ids)
        self._examples[name] = [s for s in samples if s.split == "query"]

    def _index_shipped(self) -> None:
        for name in filter(self.is_shipped, self._shipped):
            while backend := self.preferred(name):
                try:
                    self.ensure(name, backend)
                except PartwiseError as error:
                    log.warning("%s does not index the gallery %s: %s", backend, name, error)
                    if backend in self._unready:
                        continue  # with the next best
                break

    def _load(self, name: str, progress: Progress | None = None) -> Backend:
        if progress is not None:
            progress(0, f"{name} gets ready")
        try:
            return backends.get(name)
        except (PartwiseError, ImportError) as error:
            self._unready[name] = str(error)
            raise PartwiseError(f"{name} is not ready: {error}") from error

    def _fill(
        self, gallery: Gallery, files: Sequence[Path], layout: str, backend: str, progress: Progress | None
    ) -> Added:
        added = Added(gallery.name)
        loaded = self._load(backend, progress)
        with uploads.staged(files, layout, self.limits.upload_files) as upload:
            report = index(
                gallery,
                upload.samples,
                loaded,
                words=upload.words,
                copy=True,
                batch_size=16,
                progress=lambda done, total: (
                    progress and progress(done / max(total, 1), f"{done:,} of {total:,} pictures")
                ),
            )
            added.added = report.added
            added.skipped = upload.skipped + [upload.relative(why) for _, why in report.failures]
        return added

    def _shows_people(self, name: str | None) -> bool:
        items = self._open(name).items(limit=50) if name else []
        return bool(items) and statistics.median(i.height / i.width for i in items) > _UPRIGHT


def _kept(query: np.ndarray) -> np.ndarray:
    """What is kept of a query: enough to look at and to match keypoints, not 120 MB a visitor."""
    scale = KEPT_SIDE / max(query.shape[:2])
    return query if scale >= 1 else cv2.resize(query, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


class _Visit(Studio):
    """One visitor's studio: the host's shipped galleries, and a library that goes when the visitor does."""

    def __init__(self, host: Studio) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="partwise-visit-")
        super().__init__(Path(scratch.name), shipped=None, limits=host.limits)
        self._scratch.cleanup()
        self._scratch = scratch
        self._unready = host._unready
        self._shelf, self._shipped, self._examples, self._locks = (
            host._shelf,
            host._shipped,
            host._examples,
            host._locks,
        )

    def of(self, visitor: str | None) -> Studio:
        return self
