"""Streets: full frames with people, cars and bicycles where the ground carries them, and their exact truth.

DIR/0001_01.jpg               place and view
DIR/truth/coco.json           boxes, outlines and identities in COCO's format
DIR/truth/labels/NAME.png     CamVid's classes, 8-bit: `solids.CAMVID`
DIR/truth/instances/NAME.png  8-bit: number of the object a pixel shows, as `instance` of its annotation; 0 for none
"""

from __future__ import annotations

import functools
import json
import math
import tempfile
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from reid.errors import PartwiseError
from reid.rendering.body import load_body
from reid.rendering.cameras import Film, FixedCamera, draw_film
from reid.rendering.paint import Camera, Canvas, look, paint
from reid.rendering.person import Person
from reid.rendering.raster import FAR
from reid.rendering.render import FORMAT, Progress, draw_extras, extra, settle, workers
from reid.rendering.scenes import Scene, draw_scene
from reid.rendering.solids import CAMVID, CLASS

SIZES = ((480, 640), (360, 480), (540, 960), (600, 800))
"""Heights and widths that streets are drawn in, where none is asked for."""

CATEGORIES = {"person": 1, "bicycle": 2, "car": 3}
"""Ids as COCO numbers them."""

_CROWD = 60  # people who walk the streets of a set
_LEAST = 24  # an object with fewer visible pixels is not counted


@dataclass(frozen=True)
class Street:
    """A frame and its truth.

    Attributes:
        picture: (H, W, 3) uint8 RGB. labels: (H, W) uint8 CamVid classes. instances: (H, W) uint8.
        objects: for each object that is seen: its instance, category, identity (0 unless a person), box XYXY of what
            is visible and full XYXY of all of it, clipped to the frame.
    """

    picture: np.ndarray
    labels: np.ndarray
    instances: np.ndarray
    objects: list[dict]


def render_streets(
    out: Path,
    count: int,
    *,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    views: int = 1,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Draw street frames with exact truth into a folder.

    Args:
        out: the folder; a run that broke off goes on where it stopped.
        count: frames in all.
        seed: the same seed draws the same frames, whatever the number of processes.
        size: height and width in pixels; several sizes by default.
        views: frames of each place, from different cameras.
        processes: by default one for each core.
        progress: called with (frames drawn, frames in all).

    Raises:
        PartwiseError: an argument is out of range, or `out` holds something else.
    """
    if not 1 <= count <= 99999:
        raise PartwiseError(f"streets must lie between 1 and 99999, not {count}.")
    if seed < 0 or views < 1:
        raise PartwiseError("seed must not be negative, and views must be 1 or more.")
    if size is not None and not (64 <= size[0] <= 2160 and 64 <= size[1] <= 3840):
        raise PartwiseError(f"a street of {size[1]}x{size[0]} pixels cannot be drawn; 64x64 to 3840x2160 can.")
    out = Path(out)
    for folder in ("labels", "instances", "objects"):
        (out / "truth" / folder).mkdir(parents=True, exist_ok=True)
    settings = {"format": FORMAT, "seed": seed, "views": views, "size": list(size or ()), "classes": list(CAMVID)}
    settle(out, settings, "streets")
    load_body()
    names = [f"{i // views + 1:04d}_{i % views + 1:02d}" for i in range(count)]
    waiting = [i for i, name in enumerate(names) if not (out / "truth" / "objects" / f"{name}.json").is_file()]
    done = count - len(waiting)
    if progress:
        progress(done, count)
    if waiting:
        with tempfile.TemporaryDirectory(prefix="partwise-") as scratch, workers(processes) as pool:
            cast = Path(scratch)
            draw_extras(pool, seed, sorted({n for i in waiting for n in _crowd(seed, i)}), None, cast)
            jobs = [pool.submit(_draw_one, out, names[i], seed, i, views, size, cast) for i in waiting]
            for job in as_completed(jobs):
                job.result()
                done += 1
                if progress:
                    progress(done, count)
    _write_coco(out, names)
    return out


def draw_street(
    scene: Scene,
    view: Camera,
    size: tuple[int, int],
    film: Film | None,
    people: list[tuple[int, Person]],
    rng: np.random.Generator,
) -> Street:
    """Draw a scene with people at random places.

    Args:
        size: height and width in pixels.
        film: how the camera renders colours; drawn at random if None.
        people: identities and who they are.
    """
    height, width = size
    shadow, frame = scene.shadow()
    canvas = scene.draw(view, width, height, (shadow, frame))
    film = film or draw_film(rng, float(canvas.rgb[height // 4 :].mean()))
    camera = FixedCamera(
        view, scene.light, film, canvas.rgb, np.where(canvas.depth < FAR, canvas.depth, np.inf), canvas.ground.copy(),
        shadow, frame,
    )  # fmt: skip
    known: list[tuple[int, str, int, tuple[float, float, float, float]]] = []
    for i, category in enumerate(scene.objects, 1):
        vertices = scene.mesh.vertices[np.unique(scene.mesh.faces[scene.mesh.instance == i])]
        seen = view.project(vertices)
        seen = seen[seen[:, 2] > 0.1]
        if len(seen):
            known.append((i, category, 0, (*seen[:, :2].min(0), *seen[:, :2].max(0))))
    number = len(scene.objects)
    for identity, person in people:
        number += 1
        bounds = _walk(canvas, camera, identity, person, number, rng, 0.9 * height)
        if bounds is not None:
            known.append((number, "person", identity, bounds))
    return Street(
        film.develop(canvas.rgb, 1.0, rng), canvas.labels, canvas.instances.astype(np.uint8), _objects(canvas, known)
    )


def _walk(
    canvas: Canvas,
    camera: FixedCamera,
    identity: int,
    person: Person,
    number: int,
    rng: np.random.Generator,
    most: float,
) -> tuple[float, float, float, float] | None:
    place = camera.place(rng, (34, most))
    posed = person.pose(rng, float(rng.uniform(0, 2 * np.pi)), place)
    mesh = replace(
        posed.mesh,
        label=np.full(len(posed.mesh.faces), CLASS["pedestrian"], np.uint8),
        instance=np.full(len(posed.mesh.faces), number, np.int32),
    )
    light = camera.light.in_shade(camera.sunlit(place))
    return paint(canvas, mesh, person.surface, camera.view, light, feet=posed.feet, phase=float(rng.random()))


def _objects(canvas: Canvas, known: list[tuple[int, str, int, tuple[float, float, float, float]]]) -> list[dict]:
    height, width = canvas.labels.shape
    found = []
    for instance, category, identity, full in known:
        mask = canvas.instances == instance
        if mask.sum() < _LEAST:
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        found.append(
            {
                "instance": instance,
                "category": category,
                "identity": identity,
                "box": [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1],
                "full": [
                    round(float(np.clip(v, 0, limit)), 1)
                    for v, limit in zip(full, (width, height, width, height), strict=True)
                ],
            }
        )
    return found


def street_camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """A camera at head height or on a pole that looks along or across the street."""
    height = float(np.clip(rng.lognormal(math.log(2.0), 0.35), 1.3, 5.0))
    pitch = math.atan2(height - rng.uniform(0.9, 1.7), rng.uniform(8, 18))
    focal = size[1] * rng.uniform(0.7, 1.2)
    eye = np.array([rng.normal(0, 1.5), rng.normal(0, 0.5), height])
    return look(eye, rng.normal(0, 0.28), pitch, rng.normal(0, 0.015), focal, (size[1] / 2, size[0] / 2))


def _crowd(seed: int, index: int) -> list[int]:
    """Who walks in a frame."""
    rng = np.random.default_rng([seed, index, 13])
    return (1 + rng.permutation(_CROWD)[: int(rng.integers(0, 13))]).tolist()


@functools.lru_cache(maxsize=1)
def _place(seed: int, number: int) -> Scene:
    return draw_scene(np.random.default_rng([seed, number, 12]))


def _draw_one(
    out: Path, name: str, seed: int, index: int, views: int, size: tuple[int, int] | None, cast: Path
) -> None:
    rng = np.random.default_rng([seed, index, 11])
    size = size or SIZES[int(rng.integers(len(SIZES)))]
    people = [(n, extra(cast, n)) for n in _crowd(seed, index)]
    street = draw_street(_place(seed, index // views), street_camera(rng, size), size, None, people, rng)
    write_street(out, name, street)


def write_street(out: Path, name: str, street: Street) -> None:
    """Write a frame and its truth; the record of its objects comes last."""
    picture = cv2.cvtColor(street.picture, cv2.COLOR_RGB2BGR)
    (out / f"{name}.jpg").write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes())
    for folder, image in (("labels", street.labels), ("instances", street.instances)):
        (out / "truth" / folder / f"{name}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    record = {"height": street.picture.shape[0], "width": street.picture.shape[1], "objects": street.objects}
    part = out / "truth" / "objects" / f"{name}.part"
    part.write_text(json.dumps(record), encoding="utf-8")
    part.replace(part.with_suffix(".json"))


def _write_coco(out: Path, names: list[str]) -> None:
    """One COCO file of all frames. Beside COCO's keys, annotations have `identity`, `instance` and `full_bbox`."""
    images: list[dict] = []
    annotations: list[dict] = []
    for i, name in enumerate(names, 1):
        record = json.loads((out / "truth" / "objects" / f"{name}.json").read_text(encoding="utf-8"))
        images.append({"id": i, "file_name": f"{name}.jpg", "height": record["height"], "width": record["width"]})
        mask = cv2.imread(str(out / "truth" / "instances" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        for found in record["objects"]:
            left, top, right, bottom = found["box"]
            own = (mask == found["instance"]).astype(np.uint8)
            outlines = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
            x0, y0, x1, y1 = found["full"]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i,
                    "category_id": CATEGORIES[found["category"]],
                    "bbox": [left, top, right - left, bottom - top],
                    "full_bbox": [x0, y0, round(x1 - x0, 1), round(y1 - y0, 1)],
                    "area": int(own.sum()),
                    "iscrowd": 0,
                    "segmentation": [o.ravel().tolist() for o in outlines if len(o) > 2],
                    "identity": found["identity"],
                    "instance": found["instance"],
                }
            )
    categories = [{"id": number, "name": name} for name, number in CATEGORIES.items()]
    text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
    part = out / "truth" / "coco.part"
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(out / "truth" / "coco.json")
