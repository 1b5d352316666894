"""Sets of rendered people: one process a core, the same bytes whatever their number, and a broken-off run goes on."""

from __future__ import annotations

import csv
import functools
import json
import multiprocessing
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from reid.errors import PartwiseError
from reid.rendering.assets import Assets, find_assets
from reid.rendering.body import load_body
from reid.rendering.cameras import FixedCamera, make_camera
from reid.rendering.people import SIZE, draw_crop, encode
from reid.rendering.person import Person, make_person
from reid.rendering.truth import JOINTS, LABELS, read_truth

Progress = Callable[[int, int], None]

TEST_SEED, TEST_IDENTITIES, TEST_VIEWS = 1501, 200, 12
"""The test set: nothing may be trained on what this seed draws."""

CAMERAS_OF_ONE = 6
"""So many cameras see an identity, at most."""

_PASSERS_BY, _STRANGER = 20, 1_000_000
FORMAT = 3
"""Of what a seed draws: a set begun by an older version is not gone on with."""


@dataclass(frozen=True)
class _Plan:
    out: Path
    views: int
    seed: int
    cameras: int
    assets: Assets | None
    frames: Path


def render_people(
    out: Path,
    identities: int,
    views: int,
    *,
    seed: int = 0,
    cameras: int = 6,
    assets: Path | None = None,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Draw a set of people with exact truth into a folder; see `reid.rendering.truth` for what lies there.

    Args:
        out: the folder. A run that broke off goes on where it stopped, if the rest of the arguments are the same; more
            identities may be asked for.
        identities, views: how many people, and how many pictures of each.
        seed: the same seed draws the same set, whatever the number of processes.
        cameras: fixed cameras of the set; each identity is seen by six of them, or by all if there are fewer.
        assets: a folder with clothes/, hair/ and skins/ as MakeHuman lays them out.
        processes: by default one for each core.
        progress: called with (identities drawn, identities in all).

    Returns:
        `out`.

    Raises:
        PartwiseError: an argument is out of range, `out` holds something else, or a package is missing.
    """
    for name, value, most in (("identities", identities, 99999), ("views", views, 9999), ("cameras", cameras, 999)):
        if not 1 <= value <= most:
            raise PartwiseError(f"{name} must lie between 1 and {most}, not {value}.")
    if seed < 0:
        raise PartwiseError(f"seed must not be negative, but is {seed}.")
    out = Path(out)
    found = find_assets(assets) if assets is not None else None
    settings = {
        "format": FORMAT,
        "seed": seed,
        "views": views,
        "cameras": cameras,
        "size": list(SIZE),
        "assets": found is not None,
        "labels": list(LABELS),
        "joints": list(JOINTS),
    }
    (out / "truth" / "masks").mkdir(parents=True, exist_ok=True)
    settle(out, settings, "people")
    load_body()  # bake once, before there are several processes
    waiting = [n for n in range(1, identities + 1) if not _drawn(out, n)]
    done = identities - len(waiting)
    if progress:
        progress(done, identities)
    if waiting:
        with tempfile.TemporaryDirectory(prefix="partwise-") as scratch, workers(processes) as pool:
            frames = Path(scratch)
            draw_extras(pool, seed, [_STRANGER + i for i in range(_PASSERS_BY)], found, frames)
            for job in as_completed([pool.submit(_draw_camera, seed, c, frames) for c in range(1, cameras + 1)]):
                job.result()
            plan = _Plan(out, views, seed, cameras, found, frames)
            for job in as_completed([pool.submit(_draw_identity, plan, n) for n in waiting]):
                job.result()
                done += 1
                if progress:
                    progress(done, identities)
    _write_manifest(out)
    return out


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def workers(processes: int | None) -> Iterator[ProcessPoolExecutor]:
    """A pool of single-threaded processes: they share the cores among them, and sums do not depend on how many."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))  # read by what the processes load
    pool = ProcessPoolExecutor(
        max(1, processes or os.cpu_count() or 1),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_one_thread,
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _one_thread() -> None:
    cv2.setNumThreads(1)


def settle(out: Path, settings: dict[str, object], what: str) -> None:
    """Write how the set is made, or see that a set begun there was made so too."""
    path = out / "truth" / "set.json"
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        unlike = [key for key in settings if before.get(key) != settings[key]]
        if unlike:
            raise PartwiseError(
                f"{out} holds a set with another {unlike[0]} ({before.get(unlike[0])}, not {settings[unlike[0]]}); "
                "name an empty folder."
            )
        return
    if any(out.glob("*.jpg")):
        raise PartwiseError(f"{out} holds pictures that are no rendered {what}; name an empty folder.")
    path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def _drawn(out: Path, number: int) -> bool:
    """Whether an identity is complete: its record is written last."""
    return (out / "truth" / f"{number:04d}.npz").is_file()


def _draw_camera(seed: int, number: int, frames: Path) -> None:
    make_camera(seed, number).save(frames / f"{number}.npz")


@functools.lru_cache(maxsize=96)
def _camera(seed: int, number: int, frames: Path) -> FixedCamera:
    return make_camera(seed, number, frames / f"{number}.npz")


def draw_extras(pool: Executor, seed: int, numbers: list[int], assets: Assets | None, folder: Path) -> None:
    """Make people whom several pictures show once for all processes; `extra` reads them back."""
    for job in as_completed([pool.submit(_draw_extra, seed, n, assets, folder) for n in numbers]):
        job.result()


def _draw_extra(seed: int, number: int, assets: Assets | None, folder: Path) -> None:
    (folder / f"{number}.pickle").write_bytes(pickle.dumps(make_person(seed, number, assets)))


@functools.lru_cache(maxsize=64)
def extra(folder: Path, number: int) -> Person:
    """A person whom `draw_extras` left in a folder."""
    person = pickle.loads((folder / f"{number}.pickle").read_bytes())
    assert isinstance(person, Person)
    return person


def _draw_identity(plan: _Plan, number: int) -> None:
    person = make_person(plan.seed, number, plan.assets)
    own = np.random.default_rng([plan.seed, number, 5])
    cameras = 1 + own.permutation(plan.cameras)[: min(plan.cameras, CAMERAS_OF_ONE)]
    others = [extra(plan.frames, _STRANGER + int(i)) for i in own.permutation(_PASSERS_BY)[:3]]
    rows: dict[str, list[object]] = {}
    for view in range(plan.views):
        camera = int(cameras[view % len(cameras)])
        rng = np.random.default_rng([plan.seed, number, 6, view])
        crop = draw_crop(person, _camera(plan.seed, camera, plan.frames), rng, others)
        name = f"{number:04d}_c{camera}s1_{view:06d}_00.jpg"
        picture, mask = encode(crop)
        (plan.out / name).write_bytes(picture)
        (plan.out / "truth" / "masks" / f"{name[:-4]}.png").write_bytes(mask)
        for key, value in {
            "names": name,
            "identity": np.int32(number),
            "camera": np.int32(camera),
            "view": np.int32(view),
            "joints": crop.joints,
            "visible": crop.visible,
            "joints_3d": crop.joints_3d,
            "intrinsics": crop.intrinsics,
            "box": crop.box,
            "yaw": np.float32(crop.yaw),
            "words": person.outfit.words,
        }.items():
            rows.setdefault(key, []).append(value)
    path = plan.out / "truth" / f"{number:04d}.npz"
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        np.savez_compressed(file, **{key: np.array(values) for key, values in rows.items()})  # type: ignore[arg-type]
    part.replace(path)


def _write_manifest(out: Path) -> None:
    table = read_truth(out)
    part = out / "manifest.part"
    with open(part, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "identity", "camera", "view", "words"])
        for name, identity, camera, view, words in zip(
            *(table[k] for k in ("names", "identity", "camera", "view", "words")), strict=True
        ):
            writer.writerow([name, f"{identity:04d}", f"c{camera}", view, words])
    part.replace(out / "manifest.csv")
