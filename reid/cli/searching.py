"""Asking a gallery: `search` by one picture, `compose` by parts of several."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reid.cli.common import Commands, like, open_gallery, part_weight, positive, print_json
from reid.errors import PartwiseError

if TYPE_CHECKING:
    import numpy as np

    from reid.backends import Backend
    from reid.galleries import Gallery
    from reid.search import Hits


def add(commands: Commands) -> None:
    sub = commands.add("search", _search, "Find the pictures of a gallery that are most like one picture.")
    sub.add_argument("image", type=Path, metavar="IMAGE")
    _add_options(sub)
    sub.add_argument("--rerank", choices=("none", "parts", "geometry"), default="none")
    sub.add_argument("--part", action="append", type=part_weight, default=[], metavar="NAME=WEIGHT")
    sub.add_argument("--fuse", choices=("sum", "ranks", "fitted"), default="sum", help="for --backend A+B")
    sub.add_argument("--expand", type=int, default=0, metavar="N", help="average the query with its first N")
    sub.add_argument("--augment", type=int, default=0, metavar="N", help="average the gallery with N neighbours each")
    sub.add_argument("--right", action="append", default=[], metavar="NAME", help="a hit that is right")
    sub.add_argument("--wrong", action="append", default=[], metavar="NAME", help="a hit that is wrong")
    sub.add_argument("--learn", action="store_true", help="let the gallery learn from --right and --wrong, and use it")

    sub = commands.add("compose", _compose, "Find a person put together out of parts of several pictures.")
    sub.add_argument("--like", action="append", type=like, required=True, metavar="PART[,PART]=IMAGE")
    _add_options(sub)


def _add_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--gallery", required=True, metavar="NAME")
    sub.add_argument("--backend", required=True, metavar="B")
    sub.add_argument("--top", type=positive, default=10, metavar="K")
    sub.add_argument("--words", metavar="TEXT", help='only pictures with these words, e.g. "red upper"')
    sub.add_argument("--camera", action="append", metavar="C", help="only these cameras; may be given several times")
    sub.add_argument("--exclude-camera", metavar="C", help="none of this camera: the query's own, say")


def _open(options: argparse.Namespace) -> Gallery:
    """The gallery; who leaves out a camera that it does not have is told so."""
    gallery = open_gallery(options.gallery)
    camera, there = options.exclude_camera, gallery.cameras()
    if camera is not None and camera not in there:
        print(
            f"Gallery {gallery.name!r} has no camera {camera!r}, so nothing is left out; "
            + (f"there are {', '.join(there)}." if there else "no cameras are known in it."),
            file=sys.stderr,
        )
    return gallery


def _search(options: argparse.Namespace) -> None:
    from reid.backends.descriptors import for_gallery
    from reid.images import load_image
    from reid.search import REVEALED, search

    picture = load_image(options.image)
    gallery = _open(options)
    filters = {
        "top": options.top,
        "cameras": options.camera,
        "exclude_camera": options.exclude_camera,
        "words": options.words,
    }
    names = options.backend.split("+")
    judged, expanded = bool(options.right or options.wrong or options.learn), options.expand > 0 or options.augment > 0
    ways = [len(names) > 1, judged, expanded]
    by_parts = options.rerank == "parts" or bool(options.part)
    reordered = by_parts or (options.rerank == "geometry" and not ways[0])
    if sum(ways) > 1 or ((ways[0] or options.augment > 0 or options.learn) and reordered):
        raise PartwiseError(
            "Fusion, expansion, feedback and re-ranking by parts go one at a time; leave the others out."
        )
    members = [for_gallery(name, gallery.folder) for name in names]
    if len(members) > 1:
        from reid.search.refined import fitted_weights, search_fused

        fitted = options.fuse == "fitted"
        weights = fitted_weights(gallery, members) if fitted else None
        method = "sum" if fitted else options.fuse
        hits = search_fused(
            gallery,
            members,
            picture,
            method=method,
            weights=None if weights is None else list(weights),
            rerank=options.rerank,
            **filters,
        )
    else:
        more = {"rerank": options.rerank, "part_weights": dict(options.part) or None}
        if judged:
            hits = _judged_search(options, gallery, members[0], picture, filters | ({} if options.learn else more))
        elif expanded:
            from reid.search.refined import search_expanded

            hits = search_expanded(
                gallery, members[0], picture, neighbours=options.expand, augment=options.augment, **filters, **more
            )
        else:
            hits = search(gallery, members[0], picture, **filters, **more)
        note = members[0].note(picture, hits.query) if hits.query is not None else None
        for sentence in (note, None if hits.revealed is None else REVEALED):
            if sentence:
                print(f"{options.image}: {sentence}", file=sys.stderr)
    _print_hits(hits, options.json)


def _judged_search(
    options: argparse.Namespace, gallery: Gallery, backend: Backend, picture: np.ndarray, more: dict[str, Any]
) -> Hits:
    from reid.search.refined import Judged, items_named, refit, search_judged

    judged = Judged(items_named(gallery, options.right), items_named(gallery, options.wrong))
    if options.learn and (judged.right or judged.wrong):
        refit(gallery, backend, picture, judged)
    return search_judged(gallery, backend, picture, judged, bent=options.learn, **more)


def _compose(options: argparse.Namespace) -> None:
    from reid.backends.descriptors import for_gallery
    from reid.images import load_image
    from reid.search.compose import Like, compose

    likes = [Like(parts, load_image(path), str(path)) for parts, path in options.like]
    gallery = _open(options)
    hits = compose(
        gallery,
        for_gallery(options.backend, gallery.folder),
        likes,
        top=options.top,
        cameras=options.camera,
        exclude_camera=options.exclude_camera,
        words=options.words,
    )
    _print_hits(hits, options.json)


def _print_hits(hits: Hits, as_json: bool) -> None:
    if as_json:
        print_json(hits.as_dict())
        return
    for hit in hits.hits:
        margin = "" if hit.margin is None else f"  margin {hit.margin:+.3f}"
        print(f"{hit.rank:>3}  {hit.similarity:.3f}{margin}  {hit.item.identity or '-':>8}  {hit.item.name}")
