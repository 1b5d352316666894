"""Indexing: pictures are read once, hashed, decoded ahead in threads, embedded in batches, and kept batch by batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from reid.backends import Backend
from reid.errors import GalleryError, ImageError
from reid.galleries import Gallery, Item, files
from reid.galleries.gallery import Labelled, new_item
from reid.galleries.records import Known, NewItem
from reid.images import load_image
from reid.pipeline import decode_batches
from reid.search.keywords import embed_with_words, put_embedded


@dataclass
class IndexReport:
    """What indexing did.

    Attributes:
        added: pictures that are new in the gallery.
        changed: pictures whose file had changed since, embedded anew.
        embedded: pictures embedded in this run, `added` and `changed` among them.
        unchanged: pictures that were there with their vectors already.
        failed: how many pictures could not be read.
        failures: path and reason of each of these.
    """

    added: int = 0
    changed: int = 0
    embedded: int = 0
    unchanged: int = 0
    failures: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return len(self.failures)


class _Work:
    """One sample on its way: the decoding thread fills in the entry, and the bytes if they are to be copied."""

    __slots__ = ("data", "entry", "sample")

    def __init__(self, sample: Labelled) -> None:
        self.sample = sample
        self.entry: NewItem | None = None
        self.data: bytes | None = None

    @property
    def path(self) -> Path:
        return self.sample.path

    @property
    def name(self) -> str:
        return os.fspath(self.sample.path)


def index(
    gallery: Gallery,
    samples: Iterable[Labelled],
    backend: Backend,
    *,
    words: Mapping[str, str] | None = None,
    copy: bool = False,
    batch_size: int = 64,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_error: Callable[[Path, str], None] | None = None,
) -> IndexReport:
    """Bring pictures and their vectors into a gallery.

    Pictures that are there unchanged are passed over, so that a run that was broken off goes on where it stopped, and a
    second run adds nothing. Pictures that are no longer among the samples stay. A backend that parses people brings
    keywords too (`reid.search.keywords`).

    Args:
        gallery: where to.
        samples: pictures with labels, e.g. of `reid.datasets.read_folder`.
        backend: loaded; its `recipe_hash` keys the vectors.
        words: words by sample name (or file name), beside those the samples bring.
        copy: True copies the files into the gallery, False refers to them where they lie.
        batch_size: pictures embedded and committed at a time.
        threads: decoding threads; by default what the machine has to spare.
        progress: called with (done, total).
        on_error: called with the path of each picture that cannot be read, and why.

    Raises:
        GalleryError: the gallery cannot be written; batches committed before are kept.
    """
    samples = [_with_words(sample, words) for sample in samples] if words else list(samples)
    recipe = backend.recipe_hash()
    report = IndexReport()
    done = 0

    def tell(pictures: int) -> None:
        nonlocal done
        done += pictures
        if progress is not None:
            progress(done, len(samples))

    def fail(work: _Work, error: ImageError) -> None:
        report.failures.append((Path(work.path), str(error)))
        if on_error is not None:
            on_error(Path(work.path), str(error))
        tell(1)

    def load(work: _Work) -> np.ndarray:
        data, mark = files.read(work.path)
        picture = load_image(data, name=work.name)
        work.entry = new_item(work.sample, data, mark, (picture.shape[1], picture.shape[0]))
        work.data = data if copy else None
        return picture

    work, report.unchanged = _unfinished(gallery, samples, recipe, copy)
    tell(report.unchanged)
    for batch in decode_batches(work, batch_size, threads, on_error=fail, load=load):
        embeddings, seen = embed_with_words(backend, batch.pictures)
        with gallery.transaction():
            put = gallery.put_items([_kept(gallery, work) for work in batch.samples])
            put_embedded(gallery, backend, [one.id for one in put], embeddings, seen)
        report.added += sum(one.added for one in put)
        report.changed += sum(one.changed for one in put)
        report.embedded += len(batch)
        tell(len(batch))
    _drop_outdated(gallery, backend, recipe)
    return report


def embed_missing(
    gallery: Gallery,
    backend: Backend,
    *,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
    on_error: Callable[[Item, str], None] | None = None,
) -> int:
    """Embed what a gallery holds and the backend has not embedded yet.

    Args:
        gallery: whose pictures.
        backend: loaded; its `recipe_hash` keys the vectors.
        batch_size: pictures embedded and committed at a time.
        progress: called with (done, total).
        on_error: called with each item whose picture cannot be read, and why; it stays without a vector.

    Returns:
        How many pictures were embedded.

    Raises:
        GalleryError: the gallery cannot be written; batches committed before are kept.
    """
    recipe = backend.recipe_hash()
    missing = gallery.items(gallery.missing(recipe))
    if not missing:
        return 0
    embedded = failed = 0

    def load(item: Item) -> np.ndarray:
        try:
            return gallery.picture(item)
        except GalleryError as error:  # the file is gone: no reason to leave the others without vectors
            raise ImageError(str(error)) from error

    def fail(item: Item, error: ImageError) -> None:
        nonlocal failed
        failed += 1
        if on_error is not None:
            on_error(item, str(error))

    for batch in decode_batches(missing, batch_size, on_error=fail, load=load):
        put_embedded(gallery, backend, [item.id for item in batch.samples], *embed_with_words(backend, batch.pictures))
        embedded += len(batch)
        if progress is not None:
            progress(embedded + failed, len(missing))
    _drop_outdated(gallery, backend, recipe)
    return embedded


def _drop_outdated(gallery: Gallery, backend: Backend, recipe: str) -> None:
    """Vectors of the same backend with other weights or settings serve nobody once all pictures have new ones."""
    recipes = gallery.recipes()
    outdated = [old for old, name in recipes.items() if name == backend.card.name and old != recipe]
    if recipe in recipes and outdated and not gallery.missing(recipe):
        for old in outdated:
            gallery.remove_vectors(old)


def _unfinished(gallery: Gallery, samples: list[Labelled], recipe: str, copy: bool) -> tuple[list[_Work], int]:
    """The samples that must be read, and how many need not; of these, labels that changed are brought up to date."""
    with gallery.snapshot():
        known = gallery.known(copied=copy)
        have = set(gallery.vector_ids(recipe).tolist())
    work, fresh, unchanged = [], [], 0
    for sample in samples:
        there = _same(sample, known, copy)
        if there is None or there.id not in have:
            work.append(_Work(sample))
            continue
        unchanged += 1
        now = replace(
            there,
            stamp=files.stamp(sample.path),
            identity=there.identity if sample.identity is None else sample.identity,
            camera=there.camera if sample.camera is None else sample.camera,
            words=sample.words or there.words,
        )
        if now != there:
            fresh.append(now)
    if fresh:
        gallery.refresh_items(fresh)
    return work, unchanged


def _same(sample: Labelled, known: Mapping[str, Known], copy: bool) -> Known | None:
    """The item that holds the very file as it is now, or None."""
    if not known:
        return None
    try:
        if not copy:
            there = known.get(files.canonical(sample.path))
            if there is None or files.stamp(sample.path) == there.stamp:
                return there
            return there if files.sha256(files.read(sample.path)[0]) == there.sha256 else None
        return known.get(files.sha256(files.read(sample.path)[0]) + sample.name)
    except (OSError, ImageError):
        return None  # reading it again will say why


def _kept(gallery: Gallery, work: _Work) -> NewItem:
    assert work.entry is not None
    return work.entry if work.data is None else gallery.keep(work.entry, work.data)


def _with_words(sample: Labelled, words: Mapping[str, str]) -> Labelled:
    text = words.get(sample.name) or words.get(os.path.basename(sample.name))
    return _Worded(sample, text) if text else sample


class _Worded:
    def __init__(self, sample: Labelled, words: str) -> None:
        self.path = sample.path
        self.name = sample.name
        self.identity = sample.identity
        self.camera = sample.camera
        self.words = " ".join(filter(None, (sample.words, words)))
