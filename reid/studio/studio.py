"""The studio itself. Nothing heavy happens on import or construction: a backend loads when it is first asked for, and
`start` indexes the shipped galleries in the background.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from reid import backends
from reid.backends import Backend, Card
from reid.backends.descriptors import codebook_path, for_gallery
from reid.backends.registry import PREFERRED
from reid.errors import GalleryError, PartwiseError, UnknownNameError
from reid.explain.part_bars import part_bars
from reid.explain.scaling import to_height
from reid.galleries import Gallery
from reid.images import load_image
from reid.search import REVEALED, embed_missing, index, search
from reid.search.compose import Like, compose
from reid.search.geometry import verify
from reid.studio import frames, uploads
from reid.studio.frames import Frame
from reid.studio.records import Added, Body, Comparison, Found, Limits, Progress
from reid.studio.shelves import Shelves
from reid.studio.shipped import SHIPPED

log = logging.getLogger(__name__)

KEPT_SIDE = 1600
# Pictures that a query is composed of are shown at this height, side by side.
COMPOSED_HEIGHT = 480

# Pictures that are taller than this (height by width) at the median are taken for people.
_UPRIGHT = 1.4


class Studio(Shelves):
    """Galleries, backends and limits of one running app.

    Args:
        root: the data folder; by default `$PARTWISE_DATA` or the user's data folder.
        shipped: where the galleries that ship lie, see `reid.studio.shipped`; None for none.
        limits: what one visitor may ask for.
    """

    def __init__(
        self, root: Path | None = None, *, shipped: Path | None = SHIPPED, limits: Limits | None = None
    ) -> None:
        super().__init__(root, shipped)
        self.limits = limits or Limits()
        self._locks: dict[str, threading.RLock] = defaultdict(threading.RLock)
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

    # Uploads

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

    # Search

    def ensure(self, name: str, backend: str, progress: Progress | None = None) -> None:
        """Embed what a gallery holds and the backend has not embedded yet."""
        gallery = self._open(name)
        loaded = self._load(backend, gallery, progress)

        def tell(done: int, total: int) -> None:
            if progress is not None:
                progress(done / total, f"{backend} reads {name}: {done:,} of {total:,}")

        with self._locks[f"index {gallery.uid}"]:
            embed_missing(gallery, loaded, progress=tell)

    def search(
        self,
        picture: Path | np.ndarray,
        gallery: str | None,
        backend: str | None,
        *,
        top: int = 12,
        words: str = "",
        cameras: Sequence[str] = (),
        exclude_camera: str | None = None,
        rerank: str = "none",
        part_weights: Mapping[str, float] | None = None,
        box: Sequence[float] | None = None,
        progress: Progress | None = None,
    ) -> Found:
        """Rank a gallery by how much its pictures are like one picture; indexes first what is not indexed yet.

        Args:
            picture: a file, or RGB uint8 (H, W, 3).
            box: XYXY in its pixels: the part of it that is searched for; by default the whole.
            gallery, backend: by name.
            top: how many hits, within the limits.
            words, cameras, exclude_camera, rerank: see `reid.search.search`; blank words and no cameras ask for all.
            part_weights: part name -> weight; where all are 1 (or none is given), the whole decides.
            progress: told of loading and indexing.

        Raises:
            ImageError: the picture cannot be used.
            PartwiseError: no such gallery or backend, or its weights cannot be had.
        """
        query = load_image(picture, name=picture.name) if isinstance(picture, Path) else picture
        query = query if box is None else frames.cut_out(query, box)
        searched, loaded = self._ready(gallery, backend, progress)
        weights = dict(part_weights or {})
        if all(weight == 1 for weight in weights.values()):
            weights = {}
        found = search(
            searched,
            loaded,
            query,
            top=min(top, self.limits.top),
            cameras=list(cameras) or None,
            exclude_camera=exclude_camera,
            words=words.strip() or None,
            rerank=rerank,
            part_weights=weights or None,
        )
        note = None if found.query is None else loaded.note(query, found.query)
        return Found(
            _kept(query if found.revealed is None else found.revealed),
            searched.name,
            loaded.card,
            found.hits,
            found.searched,
            found.ms,
            weights or None,
            note if found.revealed is None else note or REVEALED,
        )

    def look(self, picture: Path) -> Frame | None:
        """What a whole frame shows, for a visitor to choose from; None where no finder ships or is ready.

        Raises:
            ImageError: the picture cannot be used.
        """
        for card in backends.cards():
            # The quick one: those that look at regions one by one would keep a visitor waiting.
            if card.name == "rfcn":
                try:
                    finder = backends.get(card.name)
                except (PartwiseError, ImportError) as error:
                    self._unready[card.name] = str(error)
                    return None
                return frames.look(finder, load_image(picture, name=picture.name))
        return None

    def compose(
        self,
        likes: Sequence[tuple[Sequence[str], Path]],
        gallery: str | None,
        backend: str | None,
        *,
        top: int = 12,
        progress: Progress | None = None,
    ) -> Found:
        """Rank a gallery by parts of several pictures, see `reid.search.compose`.

        Args:
            likes: names of parts, and the picture that they shall be like; those without parts are passed over.
            gallery, backend, top, progress: as for `search`.

        Raises:
            ImageError: a picture cannot be used.
            PartwiseError: nothing is asked for, or the backend cannot do it.
        """
        asked = [Like(tuple(parts), load_image(path, name=path.name), path.name) for parts, path in likes if parts]
        searched, loaded = self._ready(gallery, backend, progress)
        found = compose(searched, loaded, asked, top=min(top, self.limits.top))
        parts = {name for like in asked for name in like.parts}
        return Found(
            _kept(np.hstack([to_height(like.picture, COMPOSED_HEIGHT) for like in asked])),
            searched.name,
            loaded.card,
            found.hits,
            found.searched,
            found.ms,
            {name: float(name in parts) for name in loaded.card.parts},
            composed=True,
        )

    def compare(self, found: Found, index: int) -> Comparison:
        """The query beside hit number `index` (from 0), with what the backend can say of the two.

        Raises:
            PartwiseError: the gallery or the picture is gone meanwhile.
        """
        hit = found.hits[index]
        gallery = self._open(found.gallery)
        picture = gallery.picture(hit.item)
        backend = self._load(found.card.name, gallery)
        matches = None
        if hasattr(backend, "keypoints"):
            matches = verify(backend.keypoints(found.query), backend.keypoints(picture))
        return Comparison(
            found.query,
            picture,
            hit,
            found.card,
            matches,
            None if found.composed else _body(backend, found.query),
            _body(backend, picture),
            part_bars(hit.parts, [other.parts for other in found.hits if other is not hit], found.weights),
            None if hit.item.box is None else gallery.whole_picture(hit.item),
        )

    # Inside

    def _ready(self, gallery: str | None, backend: str | None, progress: Progress | None) -> tuple[Gallery, Backend]:
        """The gallery, indexed by the backend, and the backend, loaded."""
        if not gallery:
            raise GalleryError("There is no gallery to search; make one in the Galleries tab.")
        if not backend:
            raise UnknownNameError("No backend is chosen.")
        self.ensure(gallery, backend, progress)
        opened = self._open(gallery)
        return opened, self._load(backend, opened)

    def _index_shipped(self) -> None:
        for name in filter(self.is_shipped, self._shipped.names):
            while backend := self.preferred(name):
                try:
                    self.ensure(name, backend)
                except PartwiseError as error:
                    log.warning("%s does not index the gallery %s: %s", backend, name, error)
                    if backend in self._unready:
                        continue  # with the next best
                break

    def _load(self, name: str, gallery: Gallery, progress: Progress | None = None) -> Backend:
        """The backend, with the gallery's own codebook where it has one."""
        if progress is not None:
            progress(0, f"{name} gets ready")
        try:
            return for_gallery(name, gallery.folder)
        except (PartwiseError, ImportError) as error:
            if not codebook_path(name, gallery.folder).is_file():  # else it is this gallery's fault alone
                self._unready[name] = str(error)
            raise PartwiseError(f"{name} is not ready: {error}") from error

    def _fill(
        self, gallery: Gallery, files: Sequence[Path], layout: str, backend: str, progress: Progress | None
    ) -> Added:
        added = Added(gallery.name)
        loaded = self._load(backend, gallery, progress)
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
        if not name:
            return True  # what most will bring
        items = self._open(name).items(limit=50)
        return bool(items) and statistics.median(i.height / i.width for i in items) > _UPRIGHT


def _body(backend: Backend, picture: np.ndarray) -> Body | None:
    """Skeleton and parsing, as far as the backend finds them."""
    does = backend.card.does
    if "pose" not in does and "parse" not in does:
        return None
    return Body(
        backend.pose(picture) if "pose" in does else None,
        backend.parse(picture) if "parse" in does else None,
    )


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
        self._shipped = host._shipped
        self._locks = host._locks

    def of(self, visitor: str | None) -> Studio:
        return self
