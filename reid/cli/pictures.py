"""What a backend does with pictures: `backends`, `embed`, `parse`, `pose`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from reid.cli.common import Commands, check_able, positive, print_json, progress_bar, warn_file
from reid.errors import PartwiseError


def add(commands: Commands) -> None:
    sub = commands.add("backends", _backends, "List the backends: what each does, its dimension, parts and terms.")
    sub.add_argument("--markdown", action="store_true", help="print the table that the guide shows")

    sub = commands.add("embed", _embed, "Embed the pictures of a folder into one .npz file.", as_json=False)
    sub.add_argument("folder", type=Path, metavar="FOLDER")
    sub.add_argument("--backend", required=True, metavar="B")
    sub.add_argument("--out", required=True, type=Path, metavar="FILE.npz")
    sub.add_argument("--recursive", action="store_true")
    sub.add_argument("--views", type=positive, metavar="N", help="each picture whole and N-1 cut-outs, to teach with")

    sub = commands.add("push", _push, "Upload a retrieval network with its model card to the Hub.", as_json=False)
    sub.add_argument("backend", metavar="B")
    sub.add_argument("repository", metavar="OWNER/NAME")
    sub.add_argument("--private", action="store_true")

    sub = commands.add("forget", _forget, "Remove a network that was fine-tuned on this machine.", as_json=False)
    sub.add_argument("backend", metavar="B")

    sub = commands.add("parse", _parse, "Label every pixel: a person's parts, or what a scene holds.", as_json=False)
    sub.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    sub.add_argument("--backend", required=True, metavar="B")
    sub.add_argument("--out", required=True, type=Path, metavar="MASK.png|DIR")
    sub.add_argument("--raw", action="store_true", help="class indices as an 8-bit PNG, without colours and legend")

    sub = commands.add("pose", _pose, "Find the joints of the person in each picture.")
    sub.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    sub.add_argument("--backend", default="gpn", metavar="B")


def _backends(options: argparse.Namespace) -> None:
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
        print_json(rows)
        return
    for row in rows:
        state = "" if row["ready"] else f"  not ready: {row['why_not']}"
        print(f"{row['name']:<18} {row['family']:<20} {'+'.join(row['does']):<18} {row['dim'] or '':>6}{state}")


def _embed(options: argparse.Namespace) -> None:
    import numpy as np

    from reid import backends
    from reid.datasets import read_folder
    from reid.pipeline import decode_batches

    check_able(options.backend, "embed")
    samples = read_folder(options.folder, "flat", recursive=options.recursive, on_skip=warn_file)
    backend = backends.get(options.backend)
    if options.views:
        from reid.training.labelled import teach

        with progress_bar(backend.card.name) as progress:
            lessons = teach(samples, backend, options.views, progress, warn_file)
        return _save(options.out, vars(lessons))
    names: list[str] = []
    batches = []
    with progress_bar(backend.card.name) as progress:
        for batch in decode_batches(samples, on_error=lambda sample, error: warn_file(sample.path, str(error))):
            batches.append(backend.embed(batch.pictures))
            names += [sample.name for sample in batch.samples]
            progress(len(names), len(samples))
    if not names:
        raise PartwiseError(f"{options.folder} holds no picture that can be read; name a folder with pictures in it.")
    arrays: dict[str, Any] = {"names": np.array(names), "vectors": np.concatenate([one.global_ for one in batches])}
    if backend.card.parts:
        arrays["parts"] = np.concatenate([one.parts for one in batches])
        arrays["visibility"] = np.concatenate([one.visibility for one in batches])
    return _save(options.out, arrays)


def _save(out: Path, arrays: dict[str, Any]) -> None:
    import numpy as np

    try:
        with open(out, "wb") as file:  # of a mere path, NumPy would make another name
            np.savez(file, **arrays)
    except OSError as error:
        raise PartwiseError(f"{out} cannot be written: {error.strerror}; choose another --out.") from error


def _push(options: argparse.Namespace) -> None:
    from reid.backends.hub import push

    print(push(options.backend, options.repository, private=options.private))


def _forget(options: argparse.Namespace) -> None:
    from reid.backends.saved import remove

    remove(options.backend)


def _parse(options: argparse.Namespace) -> None:
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


def _pose(options: argparse.Namespace) -> None:
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
        print_json(rows)
        return
    for row in rows:
        print(row["image"])
        for joint in row["joints"]:
            x, y = joint["xy"]
            print(f"  {joint['name']:<16} {x:7.1f} {y:7.1f}  {joint['confidence']:.2f}")
