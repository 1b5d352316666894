"""The command line: `python -m reid COMMAND ...`.

`--json` prints one JSON document on standard output; progress goes to standard error. Exit 0 on success, 2 on bad usage
or bad input with one line that says what and why. Each command imports what it needs when it runs, so that `--help` and
listing stay instant.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from reid import __version__
from reid.datasets import LAYOUTS, PROTOCOLS
from reid.errors import PartwiseError

if TYPE_CHECKING:
    from reid.galleries import Gallery


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except PartwiseError as error:
        print(f"partwise: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("partwise: stopped; what was finished is kept.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="partwise", description="Part-aware image retrieval for people and scenes.")
    parser.add_argument("--version", action="version", version=f"partwise {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    def command(name: str, run: Callable[[Any], None], text: str, *, as_json: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=run)
        if as_json:
            sub.add_argument("--json", action="store_true", help="print one JSON document on standard output")
        return sub

    sub = command("backends", _backends, "List the backends: what each does, its dimension, parts, weights and terms.")
    sub.add_argument("--markdown", action="store_true", help="print the table that the guide shows")

    sub = command("index", _index, "Make or extend a gallery from a folder of pictures and embed them.")
    sub.add_argument("folder", type=Path, metavar="FOLDER")
    sub.add_argument("--gallery", required=True, metavar="NAME")
    sub.add_argument("--backend", action="append", metavar="B", help="may be given several times")
    sub.add_argument("--layout", choices=LAYOUTS, default="auto")
    sub.add_argument("--words", type=Path, metavar="FILE.csv", help="columns name,words")

    command("galleries", _galleries, "List the galleries.")

    sub = command("gallery", _gallery, "Remove, rename, export or import a gallery.")
    actions = sub.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=_Parser)
    for action, more in (("remove", ()), ("rename", ("new",)), ("export", ("file",)), ("import", ("file",))):
        act = actions.add_parser(action)
        act.add_argument("name", metavar="NAME")
        for argument in more:
            act.add_argument(argument, metavar="FILE.zip" if argument == "file" else "NEW")

    sub = command("search", _search, "Find the pictures of a gallery that are most like one picture.")
    sub.add_argument("image", type=Path, metavar="IMAGE")
    _search_options(sub)
    sub.add_argument("--part", action="append", type=_part_weight, default=[], metavar="NAME=WEIGHT")

    sub = command("embed", _embed, "Embed the pictures of a folder into one .npz file.", as_json=False)
    sub.add_argument("folder", type=Path, metavar="FOLDER")
    sub.add_argument("--backend", required=True, metavar="B")
    sub.add_argument("--out", required=True, type=Path, metavar="FILE.npz")
    sub.add_argument("--recursive", action="store_true")

    sub = command("evaluate", _evaluate, "Run a data set's protocol with a backend.")
    sub.add_argument("root", type=Path, metavar="ROOT")
    sub.add_argument("--layout", required=True, choices=PROTOCOLS)
    sub.add_argument("--backend", required=True, metavar="B")
    sub.add_argument("--rerank", choices=("none", "parts", "geometry"), default="none")

    sub = command("render", _render, "Draw people or streets with exact ground truth.", as_json=False)
    sub.add_argument("--identities", type=int, metavar="N")
    sub.add_argument("--views", type=int, metavar="V")
    sub.add_argument("--streets", type=int, metavar="N")
    sub.add_argument("--out", required=True, type=Path, metavar="DIR")
    sub.add_argument("--seed", type=int, default=0, metavar="S")
    sub.add_argument("--cameras", type=int, default=6, metavar="C")
    sub.add_argument("--assets", type=Path, metavar="DIR", help="folder with clothes/, hair/ and skins/")

    sub = command("parse", _parse, "Label every pixel: body parts of a person, or what a scene holds.", as_json=False)
    sub.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    sub.add_argument("--backend", required=True, metavar="B")
    sub.add_argument("--out", required=True, type=Path, metavar="MASK.png|DIR")
    sub.add_argument("--raw", action="store_true", help="class indices as an 8-bit PNG, without colours and legend")

    sub = command("pose", _pose, "Find the joints of the person in each picture.")
    sub.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    sub.add_argument("--backend", default="gpn", metavar="B")

    sub = command("train", _train, "Train a network; see docs/training.md for what each recipe reads.", as_json=False)
    sub.add_argument("recipe", metavar="RECIPE")
    sub.add_argument("--data", action="append", type=_named_path, default=[], metavar="NAME=DIR")
    sub.add_argument("--run", type=Path, metavar="DIR", help="checkpoints and log; by default runs/RECIPE")
    sub.add_argument("--resume", action="store_true", help="go on from the run's last epoch")
    sub.add_argument("--epochs", type=_positive, metavar="N")
    sub.add_argument("--size", type=_size, metavar="HxW", help="picture size, e.g. 256x128")
    sub.add_argument("--rate", type=float, metavar="LR", help="peak learning rate")
    sub.add_argument("--grow", type=float, default=0.0, metavar="SHARE", help="epochs at 3/4 of the size first (trunk)")
    sub.add_argument("--start", type=Path, metavar="FILE", help="weights to start from")
    sub.add_argument("--stop-after", type=float, metavar="HOURS", help="stop at the end of the epoch in progress then")

    sub = command("codebook", _codebook, "Train a local descriptor's codebook on a gallery's pictures.", as_json=False)
    sub.add_argument("--gallery", required=True, metavar="NAME")
    sub.add_argument("--backend", required=True, metavar="B")

    sub = command("serve", _serve, "Open the web app.", as_json=False)
    sub.add_argument("--port", type=int, default=7860)
    return parser


def _search_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--gallery", required=True, metavar="NAME")
    sub.add_argument("--backend", required=True, metavar="B")
    sub.add_argument("--top", type=_positive, default=10, metavar="K")
    sub.add_argument("--words", metavar="TEXT", help='only pictures with these words, e.g. "red upper"')
    sub.add_argument("--camera", action="append", metavar="C", help="only these cameras; may be given several times")
    sub.add_argument("--rerank", choices=("none", "parts", "geometry"), default="none")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 up")
    return number


def _part_weight(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        number = float(weight)
    except ValueError:
        number = -1.0
    if not name or not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=WEIGHT with a weight from 0 up")
    return name, number


def _named_path(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not name or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR")
    return name, Path(path)


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if (
        not (height.isdigit() and width.isdigit())
        or int(height) % 16
        or int(width) % 16
        or not int(height) * int(width)
    ):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH in multiples of 16, e.g. 256x128")
    return int(height), int(width)


def _backends(options: Any) -> None:
    from reid import backends

    if options.markdown:
        print(backends.markdown_table())
        return
    rows: list[dict[str, Any]] = []
    for card in backends.cards():
        why_not = backends.create(card.name).why_not_ready()
        rows.append(
            {
                "name": card.name,
                "family": card.family,
                "subject": card.subject,
                "does": list(card.does),
                "dim": card.dim,
                "parts": list(card.parts),
                "weights": card.weights,
                "licence": card.licence,
                "ready": why_not is None,
                "why_not": why_not,
            }
        )
    if options.json:
        _print_json(rows)
        return
    for row in rows:
        state = "" if row["ready"] else f"  not ready: {row['why_not']}"
        print(f"{row['name']:<18} {row['family']:<20} {'+'.join(row['does']):<18} {row['dim'] or '':>6}{state}")


def _index(options: Any) -> None:
    from reid import backends
    from reid.backends.descriptors import for_gallery
    from reid.datasets import read_folder, read_words_csv
    from reid.galleries import Library
    from reid.search.indexing import index

    samples = read_folder(options.folder, options.layout, on_skip=_warn_file)
    words = read_words_csv(options.words) if options.words else {}
    names = options.backend or [backends.default()]
    for name in names:
        backends.get(name)  # a name that is not known or ready leaves no empty gallery behind
    library = Library()
    gallery = library.open(options.gallery) if options.gallery in library else library.create(options.gallery)
    loaded = [for_gallery(name, gallery.folder) for name in names]
    reports = {}
    for backend in loaded:
        with _bar(f"{backend.card.name}") as progress:
            report = index(gallery, samples, backend, words=words, progress=progress, on_error=_warn_file)
        reports[backend.card.name] = {
            "added": report.added,
            "changed": report.changed,
            "embedded": report.embedded,
            "unchanged": report.unchanged,
            "failed": report.failed,
        }
    result = {"gallery": gallery.name, "pictures": gallery.count(), "backends": reports}
    if options.json:
        _print_json(result)
    else:
        print(f"{result['gallery']}: {result['pictures']} pictures, embedded by {', '.join(reports)}")


def _galleries(options: Any) -> None:
    from reid.galleries import Library

    rows = [info.as_dict() for info in Library().list()]
    if options.json:
        _print_json(rows)
        return
    for row in rows:
        print(f"{row['name']:<24} {row['items']:>8} pictures  {', '.join(row['backends'])}")
    if not rows:
        print("No gallery yet; make one with: python -m reid index FOLDER --gallery NAME")


def _gallery(options: Any) -> None:
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
        _print_json({"action": options.action, "name": options.name})


def _search(options: Any) -> None:
    from reid.backends.descriptors import for_gallery
    from reid.images import load_image
    from reid.search.query import search

    picture = load_image(options.image)
    gallery = _open_gallery(options.gallery)
    hits = search(
        gallery,
        for_gallery(options.backend, gallery.folder),
        picture,
        top=options.top,
        cameras=options.camera,
        words=options.words,
        rerank=options.rerank,
        part_weights=dict(options.part) or None,
    )
    if options.json:
        _print_json(hits.as_dict())
        return
    for hit in hits.hits:
        margin = "" if hit.margin is None else f"  margin {hit.margin:+.3f}"
        print(f"{hit.rank:>3}  {hit.similarity:.3f}{margin}  {hit.item.identity or '-':>8}  {hit.item.name}")


def _embed(options: Any) -> None:
    import numpy as np

    from reid import backends
    from reid.datasets import read_folder
    from reid.pipeline import decode_batches

    samples = read_folder(options.folder, "flat", recursive=options.recursive, on_skip=_warn_file)
    backend = backends.get(options.backend)
    names: list[str] = []
    batches = []
    with _bar(backend.card.name) as progress:
        for batch in decode_batches(samples, on_error=lambda sample, error: _warn_file(sample.path, str(error))):
            batches.append(backend.embed(batch.pictures))
            names += [sample.name for sample in batch.samples]
            progress(len(names), len(samples))
    if not names:
        raise PartwiseError(f"{options.folder} holds no picture that can be read; name a folder with pictures in it.")
    arrays: dict[str, Any] = {"names": np.array(names), "vectors": np.concatenate([one.global_ for one in batches])}
    if backend.card.parts:
        arrays["parts"] = np.concatenate([one.parts for one in batches])
        arrays["visibility"] = np.concatenate([one.visibility for one in batches])
    try:
        np.savez(options.out, **arrays)
    except OSError as error:
        raise PartwiseError(f"{options.out} cannot be written: {error.strerror}; choose another --out.") from error


def _evaluate(options: Any) -> None:
    from reid.reports import evaluate

    with _bar(options.backend) as progress:
        result = evaluate(
            options.root, options.layout, options.backend, options.rerank, progress=progress, on_error=_warn_file
        )
    if options.json:
        _print_json(result)
    else:
        print(
            "  ".join(
                f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}" for key, value in result.items()
            )
        )


def _render(options: Any) -> None:
    people = options.identities is not None or options.views is not None
    if people == (options.streets is not None):
        raise PartwiseError("render draws either people (--identities N --views V) or streets (--streets N): name one.")
    from reid.rendering import render_people, render_streets

    with _bar("render") as progress:
        if people:
            render_people(
                options.out,
                options.identities if options.identities is not None else 1,
                options.views if options.views is not None else 1,
                seed=options.seed,
                cameras=options.cameras,
                assets=options.assets,
                progress=progress,
            )
        else:
            render_streets(options.out, options.streets, seed=options.seed, progress=progress)


def _parse(options: Any) -> None:
    from reid import backends
    from reid.explain.parses import with_legend
    from reid.images import load_image, save_image

    backend = backends.get(options.backend)
    one_file = options.out.suffix.lower() == ".png"
    if one_file and len(options.images) > 1:
        raise PartwiseError(f"{options.out} is one file for {len(options.images)} pictures; name a folder with --out.")
    for path in options.images:
        parse = backend.parse(load_image(path))
        target = options.out if one_file else options.out / f"{path.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        save_image(target, parse.labels if options.raw else with_legend(parse))


def _pose(options: Any) -> None:
    from reid import backends
    from reid.images import load_image

    backend = backends.get(options.backend)
    rows: list[dict[str, Any]] = []
    for path in options.images:
        skeleton = backend.pose(load_image(path))
        joints = [
            {"name": name, "xy": xy.tolist(), "confidence": float(confidence), "xyz": xyz.tolist()}
            for name, xy, confidence, xyz in zip(
                skeleton.names, skeleton.xy, skeleton.confidence, skeleton.xyz, strict=True
            )
        ]
        rows.append({"image": str(path), "joints": joints})
    if options.json:
        _print_json(rows)
        return
    for row in rows:
        print(row["image"])
        for joint in row["joints"]:
            x, y = joint["xy"]
            print(f"  {joint['name']:<16} {x:7.1f} {y:7.1f}  {joint['confidence']:.2f}")


def _train(options: Any) -> None:
    from reid.training.recipes import Settings, train

    weights = train(
        options.recipe,
        dict(options.data),
        options.run or Path("runs") / options.recipe,
        Settings(options.epochs, options.size, options.rate, options.start, grow=options.grow),
        resume=options.resume,
        stop_after=None if options.stop_after is None else options.stop_after * 3600,
    )
    print(weights)


def _codebook(options: Any) -> None:
    from reid.backends.descriptors import codebook_path
    from reid.images import load_image
    from reid.training.codebook import train_codebook

    gallery = _open_gallery(options.gallery)
    pictures = (load_image(item.path) for item in gallery.items())
    path = train_codebook(options.backend, pictures, codebook_path(options.backend, gallery.folder))
    print(f"{path}; index the gallery with {options.backend} again to use it.", file=sys.stderr)


def _serve(options: Any) -> None:
    from reid.ui import launch

    launch(port=options.port)


def _open_gallery(name: str) -> Gallery:
    from reid.galleries import Library

    return Library().open(name)


def _print_json(document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False, allow_nan=False))


def _warn_file(path: Path, why: str) -> None:
    print(f"left out {path}: {why}", file=sys.stderr)


class _bar:  # noqa: N801 - used like a function
    """A progress bar on standard error, as a callable that takes (done, total)."""

    def __init__(self, text: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc=text, unit=" pictures", file=sys.stderr, disable=None, leave=False)

    def __call__(self, done: int, total: int) -> None:
        if self._bar.total != total:
            self._bar.total = total
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> _bar:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()
