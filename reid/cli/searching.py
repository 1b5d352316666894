"""Asking a gallery: `search` by one picture, `compose` by parts of several."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reid.cli.common import Commands, like, open_gallery, part_weight, positive, print_json

if TYPE_CHECKING:
    from reid.search import Hits


def add(commands: Commands) -> None:
    sub = commands.add("search", _search, "Find the pictures of a gallery that are most like one picture.")
    sub.add_argument("image", type=Path, metavar="IMAGE")
    _add_options(sub)
    sub.add_argument("--rerank", choices=("none", "parts", "geometry"), default="none")
    sub.add_argument("--part", action="append", type=part_weight, default=[], metavar="NAME=WEIGHT")

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


def _search(options: argparse.Namespace) -> None:
    from reid.backends.descriptors import for_gallery
    from reid.images import load_image
    from reid.search import search

    picture = load_image(options.image)
    gallery = open_gallery(options.gallery)
    backend = for_gallery(options.backend, gallery.folder)
    hits = search(
        gallery,
        backend,
        picture,
        top=options.top,
        cameras=options.camera,
        exclude_camera=options.exclude_camera,
        words=options.words,
        rerank=options.rerank,
        part_weights=dict(options.part) or None,
    )
    note = backend.note(picture, hits.query) if hits.query is not None else None
    if note:
        print(f"{options.image}: {note}", file=sys.stderr)
    _print_hits(hits, options.json)


def _compose(options: argparse.Namespace) -> None:
    from reid.backends.descriptors import for_gallery
    from reid.images import load_image
    from reid.search.compose import Like, compose

    likes = [Like(parts, load_image(path), str(path)) for parts, path in options.like]
    gallery = open_gallery(options.gallery)
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
