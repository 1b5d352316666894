"""Data sets: `evaluate` measures on one, `render` draws one, `train` learns from several."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reid.cli.common import Commands, named_path, open_gallery, positive, print_json, progress_bar, size, warn_file
from reid.datasets import PROTOCOLS
from reid.errors import PartwiseError

if TYPE_CHECKING:
    from reid.training.labelled import Named


def add(commands: Commands) -> None:
    sub = commands.add("evaluate", _evaluate, "Run a data set's protocol with a backend.")
    sub.add_argument("root", type=Path, metavar="ROOT")
    sub.add_argument("--layout", required=True, choices=(*PROTOCOLS, "camvid"))
    sub.add_argument("--backend", required=True, metavar="B")
    sub.add_argument("--rerank", choices=("none", "parts", "geometry"), default="none")
    sub.add_argument("--fuse", choices=("sum", "ranks", "fitted"), default="sum", help="for --backend A+B")
    sub.add_argument("--expand", type=int, default=0, metavar="N", help="average queries with their first N")
    sub.add_argument("--augment", type=int, default=0, metavar="N", help="average the gallery with N neighbours each")

    sub = commands.add("render", _render, "Draw people or streets with exact ground truth.", as_json=False)
    sub.add_argument("--identities", type=int, metavar="N")
    sub.add_argument("--views", type=int, metavar="V")
    sub.add_argument("--streets", type=int, metavar="N")
    sub.add_argument("--out", required=True, type=Path, metavar="DIR")
    sub.add_argument("--seed", type=int, default=0, metavar="S")
    sub.add_argument("--cameras", type=int, default=6, metavar="C")
    sub.add_argument("--assets", type=Path, metavar="DIR", help="folder with clothes/, hair/ and skins/")

    text = "Train a network; see docs/training.md for what each recipe reads."
    sub = commands.add("train", _train, text, as_json=False)
    sub.add_argument("recipe", metavar="RECIPE")
    sub.add_argument("--data", action="append", type=named_path, default=[], metavar="NAME=DIR")
    sub.add_argument("--run", dest="folder", type=Path, metavar="DIR", help="for checkpoints and log: runs/RECIPE")
    sub.add_argument("--resume", action="store_true", help="go on from the run's last epoch")
    sub.add_argument("--epochs", type=positive, metavar="N")
    sub.add_argument("--size", type=size, metavar="HxW", help="picture size, e.g. 256x128")
    sub.add_argument("--rate", type=float, metavar="LR", help="peak learning rate")
    sub.add_argument("--grow", type=float, default=0.0, metavar="SHARE", help="epochs at 3/4 of the size first (trunk)")
    sub.add_argument("--start", type=Path, metavar="FILE", help="weights to start from")
    sub.add_argument("--closer", action="store_true", help="only the closer look of PARSE NET learns (gpn)")
    sub.add_argument("--frozen", action="store_true", help="the trunk that --start brings does not learn (gpn)")
    sub.add_argument("--settle", action="store_true", help="crops that hardly stray, as a run's last epochs (scenes)")
    sub.add_argument("--arch", metavar="NAME", help="network to fine-tune, or with --scratch to train (retrieval)")
    sub.add_argument("--scratch", action="store_true", help="begin with random weights (retrieval)")
    sub.add_argument("--gallery", metavar="NAME", help="learn from a gallery's pictures (retrieval)")
    sub.add_argument("--tag", metavar="TAG", help="what to call the new backend: ARCH.TAG (retrieval)")
    sub.add_argument("--ordered", action="store_true", help="regression on classes that are numbers (retrieval)")
    sub.add_argument("--metric", type=float, metavar="WEIGHT", help="of batch-hard triplets (retrieval)")
    sub.add_argument("--pooling", choices=("gem", "mac", "rmac", "average"), help="(retrieval)")
    sub.add_argument("--whiten", type=positive, metavar="D", help="whiten vectors to D numbers (retrieval)")
    sub.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="cuda: on a GPU (dpsnet, lraspp)")
    sub.add_argument("--stop-after", type=float, metavar="HOURS", help="stop at the end of the epoch in progress then")


def _evaluate(options: argparse.Namespace) -> None:
    combined = "+" in options.backend or options.expand > 0 or options.augment > 0
    with progress_bar(options.backend) as progress:
        if combined:
            from reid.combined import evaluate_combined

            result = evaluate_combined(
                options.root,
                options.layout,
                options.backend,
                options.fuse,
                expand=options.expand,
                augment=options.augment,
                rerank=options.rerank,
                progress=progress,
                on_error=warn_file,
            )
        else:
            from reid.reports import evaluate

            result = evaluate(
                options.root, options.layout, options.backend, options.rerank, progress=progress, on_error=warn_file
            )
    if options.json:
        print_json(result)
    else:
        _print_figures(result)


def _print_figures(result: dict[str, Any], before: str = "") -> None:
    told = {key: value for key, value in result.items() if key != "members"}
    print(before + "  ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in told.items()))
    for name, figures in result.get("members", {}).items():
        _print_figures(figures, f"  {name} alone: ")


def _render(options: argparse.Namespace) -> None:
    people = options.identities is not None or options.views is not None
    if people == (options.streets is not None):
        raise PartwiseError("render draws either people (--identities N --views V) or streets (--streets N): name one.")
    from reid.rendering import render_people, render_streets

    with progress_bar("render") as progress:
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


def _train(options: argparse.Namespace) -> None:
    if options.recipe == "retrieval" and not options.scratch:
        return _finetune(options)
    from reid.training.recipes import Settings, train

    weights = train(
        options.recipe,
        dict(options.data),
        options.folder or Path("runs") / "-".join(filter(None, (options.recipe, options.arch))),
        Settings(
            options.epochs,
            options.size,
            options.rate,
            options.start,
            frozen=options.frozen,
            closer=options.closer,
            settle=options.settle,
            grow=options.grow,
            arch=options.arch,
            pooling=options.pooling,
            whiten=options.whiten,
            metric=options.metric,
            device=options.device,
        ),
        resume=options.resume,
        stop_after=None if options.stop_after is None else options.stop_after * 3600,
    )
    print(weights)
    return None


def _finetune(options: argparse.Namespace) -> None:
    from dataclasses import replace

    from reid.training.finetune import DEFAULTS, finetune
    from reid.training.recipes import REAL, labelled_samples

    if not options.arch:
        raise PartwiseError("Fine-tuning begins with a network; name it with --arch, e.g. --arch resnet.")
    if (len(options.data) == 1) == bool(options.gallery):
        raise PartwiseError("Fine-tuning learns from one set: give --data NAME=DIR once, or --gallery NAME.")
    changes = {"epochs": options.epochs, "rate": options.rate, "metric": options.metric, "whiten": options.whiten}
    tuning = replace(DEFAULTS, ordered=options.ordered, **{k: v for k, v in changes.items() if v is not None})
    samples: Sequence[Named]
    if options.gallery:
        gallery, name = open_gallery(options.gallery), options.gallery
        samples, load = gallery.items(), gallery.picture
    else:
        name, folder = options.data[0]
        samples, load = labelled_samples(name, folder), None
    tag = options.tag or "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")
    with progress_bar(f"{options.arch} on {name}") as progress:
        tuned = finetune(
            options.arch,
            tag,
            samples,
            tuning,
            size=options.size,
            pooling=options.pooling,
            load=load,
            research_only=name in REAL,
            progress=lambda share, text: progress(round(1000 * share), 1000),
            on_error=warn_file,
        )
    for note in tuned.notes:
        print(note, file=sys.stderr)
    print(
        f"{tuned.name}: held-out mAP {tuned.before:.1f} -> {tuned.after:.1f} ({tuned.learnt_from} pictures of "
        f"{tuned.classes} classes learnt, {tuned.held_out} held out); use it with --backend {tuned.name}"
    )
