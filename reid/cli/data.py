"""Data sets: `evaluate` measures on one, `render` draws one, `train` learns from several."""

from __future__ import annotations

import argparse
from pathlib import Path

from reid.cli.common import Commands, named_path, positive, print_json, progress_bar, size, warn_file
from reid.datasets import PROTOCOLS
from reid.errors import PartwiseError


def add(commands: Commands) -> None:
    sub = commands.add("evaluate", _evaluate, "Run a data set's protocol with a backend.")
    sub.add_argument("root", type=Path, metavar="ROOT")
    sub.add_argument("--layout", required=True, choices=PROTOCOLS)
    sub.add_argument("--backend", required=True, metavar="B")
    sub.add_argument("--rerank", choices=("none", "parts", "geometry"), default="none")

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
    sub.add_argument("--stop-after", type=float, metavar="HOURS", help="stop at the end of the epoch in progress then")


def _evaluate(options: argparse.Namespace) -> None:
    from reid.reports import evaluate

    with progress_bar(options.backend) as progress:
        result = evaluate(
            options.root, options.layout, options.backend, options.rerank, progress=progress, on_error=warn_file
        )
    if options.json:
        print_json(result)
    else:
        print(
            "  ".join(
                f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}" for key, value in result.items()
            )
        )


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
    from reid.training.recipes import Settings, train

    weights = train(
        options.recipe,
        dict(options.data),
        options.folder or Path("runs") / options.recipe,
        Settings(options.epochs, options.size, options.rate, options.start, grow=options.grow),
        resume=options.resume,
        stop_after=None if options.stop_after is None else options.stop_after * 3600,
    )
    print(weights)
