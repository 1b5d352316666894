"""A data set's protocol run with a backend: embed, search, and the figures that come of it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reid import backends
from reid.backends import Backend
from reid.datasets import CAMVID_CLASSES, PROTOCOLS, Protocol, Sample, read_camvid, read_protocol
from reid.embedding import Embeddings
from reid.errors import DatasetError, ImageError, PartwiseError, UnknownNameError
from reid.images import load_image, load_labels
from reid.metrics import confusion_matrix, cosine_blocks, mean_iou, rank_metrics, relevance_metrics
from reid.pipeline import decode_batches

LAYOUTS = (*PROTOCOLS, "camvid")
RERANKS = ("none", "parts", "geometry")

# Of so many of the nearest the order is looked at again; geometry takes ten milliseconds a pair and more.
SHORTLIST = {"parts": 100, "geometry": 20}
BATCH_SIZE = 64
# Pictures whose keypoints are kept for the next query: half a gigabyte at most.
KEPT_KEYPOINTS = 1024

OnError = Callable[[Path, str], None]
Progress = Callable[[int, int], None]
# Puts one query's shortlist, nearest first, into another order: (query number, item numbers) -> item numbers.
Reorder = Callable[[int, np.ndarray], np.ndarray]


def evaluate(
    root: str | os.PathLike[str],
    layout: str,
    backend_name: str,
    rerank: str = "none",
    progress: Progress | None = None,
    on_error: OnError | None = None,
) -> dict[str, Any]:
    """Run the protocol of a data set with a backend.

    Args:
        root: the data set's folder.
        layout: one of `LAYOUTS`; see `reid.datasets.read_protocol`, and camvid: the test split is parsed.
        backend_name: which backend.
        rerank: "none"; "parts": the shortlist ordered by `reid.search.parts.part_similarity`; "geometry": by keypoints
            that agree on one geometry.
        progress: called with (done, total).
        on_error: called with each file that is left out and why.

    Returns:
        Percentages 0..100 and counts.
        market1501, cuhk03, rendered: rank1, rank5, rank10, mAP, mINP, queries (those with a match, which alone count),
            gallery, ms_per_image (decoding and embedding).
        folders, corel: P10, mAP, queries.
        camvid: mIoU, pixel_accuracy, classes (name -> IoU, None where a class occurs nowhere), ms_per_image.

    Raises:
        UnknownNameError: no such layout, backend or re-ranking.
        DatasetError: the folder does not hold what the layout promises, or no readable picture.
        PartwiseError: the backend cannot do what is asked.
    """
    if layout not in LAYOUTS:
        raise UnknownNameError(
            f"There is no evaluation for the layout {layout!r}; there is one for {', '.join(LAYOUTS)}."
        )
    if rerank not in RERANKS:
        raise UnknownNameError(f"There is no re-ranking {rerank!r}; there are {', '.join(RERANKS)}.")
    card = backends.card(backend_name)
    ability = "parse" if layout == "camvid" else "embed"
    if ability not in card.does:
        able = [other.name for other in backends.cards() if ability in other.does]
        raise PartwiseError(f"{card.name} does not {ability}; backends that do: {', '.join(able) or 'none yet'}.")
    if layout == "camvid":
        if rerank != "none":
            raise PartwiseError("A parsed scene has no ranking; leave the re-ranking out.")
        return _parsing(root, backends.get(backend_name), progress, on_error)
    if rerank == "parts" and not card.parts:
        raise PartwiseError(f"{card.name} has no parts to re-rank by.")
    backend = backends.get(backend_name)
    if rerank == "geometry" and not hasattr(backend, "keypoints"):
        raise PartwiseError(f"{card.name} has no keypoints to check geometry with; take sift, surf or orb.")
    return _retrieval(read_protocol(root, layout, on_error), backend, rerank, progress, on_error)


def embed_samples(
    samples: Iterable[Sample],
    backend: Backend,
    *,
    with_parts: bool = True,
    reveal: bool = False,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], None] | None = None,
    on_error: OnError | None = None,
) -> tuple[list[Sample], Embeddings]:
    """Embed the pictures that can be read, decoding ahead in threads.

    Args:
        samples: what to embed.
        backend: loaded.
        with_parts: False keeps the global vectors only.
        reveal: take away what hides each picture's subject first, as queries by parts do.
        batch_size: pictures a batch.
        progress: called with how many pictures are through.
        on_error: called with each picture that cannot be read and why; it is left out.

    Returns:
        The samples that were read and their embeddings, one to one.

    Raises:
        DatasetError: none could be read.
    """
    failed = 0

    def fail(sample: Sample, error: ImageError) -> None:
        nonlocal failed
        failed += 1
        if on_error is not None:
            on_error(sample.path, str(error))

    read: list[Sample] = []
    parts: list[Embeddings] = []
    for batch in decode_batches(samples, batch_size, on_error=fail):
        embeddings = backend.embed(backend.reveal(batch.pictures) if reveal else batch.pictures)
        parts.append(embeddings if with_parts else Embeddings.of(embeddings.global_))
        read += batch.samples
        if progress is not None:
            progress(len(read) + failed)
    if not read:
        raise DatasetError("None of the pictures to embed can be read.")
    return read, Embeddings(
        np.concatenate([one.global_ for one in parts]),
        np.concatenate([one.parts for one in parts]),
        np.concatenate([one.visibility for one in parts]),
    )


def _retrieval(
    protocol: Protocol,
    backend: Backend,
    rerank: str,
    progress: Progress | None,
    on_error: OnError | None,
) -> dict[str, Any]:
    relevance = protocol.kind == "relevance"
    embedded = len(protocol.gallery) + (0 if relevance else len(protocol.query))
    steps = embedded + (len(protocol.query) if rerank == "geometry" else 0)

    by_parts = rerank == "parts"

    def embed(samples: list[Sample], before: int, reveal: bool = False) -> tuple[list[Sample], Embeddings]:
        tell = None if progress is None else lambda done: progress(before + done, steps)
        return embed_samples(samples, backend, with_parts=by_parts, reveal=reveal, progress=tell, on_error=on_error)

    started = time.perf_counter()
    gallery, gallery_vectors = embed(protocol.gallery, 0)
    query, query_vectors = gallery, gallery_vectors
    if not relevance:
        query, query_vectors = embed(protocol.query, len(protocol.gallery), reveal=by_parts)
    ms_per_image = (time.perf_counter() - started) * 1000 / embedded

    blocks = cosine_blocks(query_vectors.global_, gallery_vectors.global_)
    if by_parts:
        blocks = reordered(blocks, _by_parts(query_vectors, gallery_vectors), SHORTLIST[rerank])
    elif rerank == "geometry":
        reorder = by_geometry(query, gallery, backend)
        if progress is not None:
            reorder = _told(reorder, lambda i: progress(embedded + i, steps))
        blocks = reordered(blocks, reorder, SHORTLIST[rerank])
    if relevance:
        found = relevance_metrics(blocks, [str(s.identity) for s in gallery])
        return {"P10": 100 * found.precision, "mAP": 100 * found.mAP, "queries": found.valid_queries}
    ranked = rank_metrics(
        blocks,
        [str(s.identity) for s in query],
        [str(s.camera) for s in query],
        [str(s.identity) for s in gallery],
        [str(s.camera) for s in gallery],
    )
    return {
        "rank1": 100 * ranked.rank(1),
        "rank5": 100 * ranked.rank(5),
        "rank10": 100 * ranked.rank(10),
        "mAP": 100 * ranked.mAP,
        "mINP": 100 * ranked.mINP,
        "queries": ranked.valid_queries,
        "gallery": len(gallery),
        "ms_per_image": ms_per_image,
    }


def reordered(blocks: Iterable[np.ndarray], reorder: Reorder, shortlist: int) -> Iterator[np.ndarray]:
    """Distances that rank each row's shortlist as `reorder` says, before all the rest."""
    i = 0
    for block in blocks:
        for row in block:
            count = min(shortlist, len(row))
            near = np.argpartition(row, count - 1)[:count]
            near = near[np.lexsort((near, row[near]))]
            row[reorder(i, near)] = row.min() - count + np.arange(count)
            i += 1
        yield block


def _by_parts(query: Embeddings, gallery: Embeddings) -> Reorder:
    from reid.search.parts import part_similarity

    def reorder(i: int, near: np.ndarray) -> np.ndarray:
        items = Embeddings(gallery.global_[near], gallery.parts[near], gallery.visibility[near])
        return near[np.argsort(-part_similarity(query[i], items), kind="stable")]

    return reorder


def by_geometry(query: list[Sample], gallery: list[Sample], backend: Any) -> Reorder:
    """Shortlists in the order of the keypoints that agree on one geometry; `backend` is a local descriptor."""
    from reid.search.geometry import KeypointCache, check_shortlist

    cache = KeypointCache(KEPT_KEYPOINTS)

    def reorder(i: int, near: np.ndarray) -> np.ndarray:
        paths = [gallery[j].path for j in near]
        pictures = [(str(path), partial(load_image, path)) for path in paths]
        order, _ = check_shortlist(backend, load_image(query[i].path), pictures, cache=cache)
        return near[order]

    return reorder


def _told(reorder: Reorder, tell: Callable[[int], None]) -> Reorder:
    def reorder_and_tell(i: int, near: np.ndarray) -> np.ndarray:
        tell(i + 1)
        return reorder(i, near)

    return reorder_and_tell


def _parsing(
    root: str | os.PathLike[str], backend: Backend, progress: Progress | None, on_error: OnError | None
) -> dict[str, Any]:
    frames = read_camvid(root, "test", on_error)
    confusion = np.zeros((len(CAMVID_CLASSES), len(CAMVID_CLASSES) + 1), np.int64)
    done, seconds = 0, 0.0

    def fail(frame: Any, error: ImageError) -> None:
        nonlocal done
        done += 1
        if on_error is not None:
            on_error(frame.path, str(error))

    started = time.perf_counter()
    parsed = 0
    for batch in decode_batches(frames, 4, on_error=fail):
        for frame, picture in zip(batch.samples, batch.pictures, strict=True):
            parse = backend.parse(picture)
            index = {name: i for i, name in enumerate(CAMVID_CLASSES)}
            to_camvid = np.array([index.get(name.lower(), -1) for name in parse.names])
            seconds += time.perf_counter() - started
            truth = load_labels(frame.labels)
            if truth.shape != parse.labels.shape:
                raise DatasetError(f"{frame.labels} is {truth.shape}, but its frame is {parse.labels.shape}.")
            confusion += confusion_matrix(truth, to_camvid[parse.labels], len(CAMVID_CLASSES))
            done, parsed = done + 1, parsed + 1
            if progress is not None:
                progress(done, len(frames))
            started = time.perf_counter()
    if not parsed:
        raise DatasetError(f"{root}: none of the frames can be read.")
    mean, each, accuracy = mean_iou(confusion)
    return {
        "mIoU": 100 * mean,
        "pixel_accuracy": 100 * accuracy,
        "classes": {
            name: None if math.isnan(value) else 100 * float(value)
            for name, value in zip(CAMVID_CLASSES, each, strict=True)
        },
        "ms_per_image": 1000 * seconds / parsed,
    }
