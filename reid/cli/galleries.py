"""Galleries: `index`, `galleries`, `gallery`, `codebook`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from reid.cli.common import (
    Commands,
    Parser,
    add_json,
    check_able,
    open_gallery,
    positive,
    print_json,
    progress_bar,
    warn_file,
)
from reid.cli.finding import index_detected, labels
from reid.datasets import LAYOUTS


def add(commands: Commands) -> None:
    sub = commands.add("index", _index, "Make or extend a gallery from a folder of pictures, or from footage.")
    sub.add_argument("folder", type=Path, metavar="FOLDER|VIDEO")
    sub.add_argument("--gallery", required=True, metavar="NAME")
    sub.add_argument("--backend", action="append", metavar="B", help="may be given several times")
    sub.add_argument("--layout", choices=LAYOUTS, default="auto")
    sub.add_argument("--words", type=Path, metavar="FILE.csv", help="columns name,words")
    sub.add_argument("--detect", action="store_true", help="find people in frames and footage, and index each of them")
    sub.add_argument("--finder", default="rfcn", metavar="B", help="with --detect: the backend that finds")
    sub.add_argument(
        "--find",
        type=labels,
        default=("person",),
        metavar="LABEL[,LABEL]",
        help="with --detect: what to keep, of person, car and bicycle (person)",
    )
    sub.add_argument("--every", type=positive, metavar="N", help="with --detect: look at every Nth frame of a video")

    commands.add("galleries", _galleries, "List the galleries.")

    sub = commands.add("gallery", _gallery, "Remove, rename, export or import a gallery.")
    actions = sub.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    for action, more in (("remove", ()), ("rename", ("new",)), ("export", ("file",)), ("import", ("file",))):
        act = actions.add_parser(action)
        add_json(act, default=argparse.SUPPRESS)  # it may stand before or behind the action
        act.add_argument("name", metavar="NAME")
        for argument in more:
            act.add_argument(argument, metavar="FILE.zip" if argument == "file" else "NEW")

    text = "Train a local descriptor's codebook on a gallery's pictures."
    sub = commands.add("codebook", _codebook, text, as_json=False)
    sub.add_argument("--gallery", required=True, metavar="NAME")
    sub.add_argument("--backend", required=True, metavar="B")


def _index(options: argparse.Namespace) -> None:
    if options.detect:
        index_detected(options)
        return
    from reid import backends
    from reid.backends.descriptors import for_gallery
    from reid.datasets import read_folder, read_words_csv
    from reid.galleries import Library
    from reid.search.indexing import index

    samples = read_folder(options.folder, options.layout, on_skip=warn_file)
    words = read_words_csv(options.words) if options.words else {}
    names = options.backend or [backends.default()]
    for name in names:
        check_able(name, "embed")
        backends.get(name)  # a name that is not known or ready leaves no empty gallery behind
    library = Library()
    gallery = library.open(options.gallery) if options.gallery in library else library.create(options.gallery)
    loaded = [for_gallery(name, gallery.folder) for name in names]
    reports = {}
    for backend in loaded:
        with progress_bar(f"{backend.card.name}") as progress:
            report = index(gallery, samples, backend, words=words, progress=progress, on_error=warn_file)
        reports[backend.card.name] = {
            "added": report.added,
            "changed": report.changed,
            "embedded": report.embedded,
            "unchanged": report.unchanged,
            "failed": report.failed,
        }
    result = {"gallery": gallery.name, "pictures": gallery.count(), "backends": reports}
    if options.json:
        print_json(result)
    else:
        print(f"{result['gallery']}: {result['pictures']} pictures, embedded by {', '.join(reports)}")


def _galleries(options: argparse.Namespace) -> None:
    from reid.galleries import Library

    rows = [info.as_dict() for info in Library().list()]
    if options.json:
        print_json(rows)
        return
    for row in rows:
        print(f"{row['name']:<24} {row['items']:>8} pictures  {', '.join(row['backends'])}")
    if not rows:
        print("No gallery yet; make one with: python -m reid index FOLDER --gallery NAME")


def _gallery(options: argparse.Namespace) -> None:
    from reid.galleries import Library

    library = Library()
    if options.action == "remove":
        library.remove(options.name)
    elif options.action == "rename":
        library.rename(options.name, options.new)
    elif options.action == "export":
        library.export_zip(options.name, Path(options.file))
    else:
        library.import_zip(Path(options.file), options.name)
    if options.json:
        print_json({"action": options.action, "name": options.name})


def _codebook(options: argparse.Namespace) -> None:
    from reid.backends.descriptors import codebook_path
    from reid.images import load_image
    from reid.training.codebook import train_codebook

    gallery = open_gallery(options.gallery)
    pictures = (load_image(item.path) for item in gallery.items())
    path = train_codebook(options.backend, pictures, codebook_path(options.backend, gallery.folder))
    print(f"{path}; index the gallery with {options.backend} again to use it.", file=sys.stderr)
