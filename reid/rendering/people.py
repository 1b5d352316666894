"""Crops: a person where a fixed camera sees them, with all that is known of the picture."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from reid.rendering import solids
from reid.rendering.cameras import FixedCamera
from reid.rendering.mesh import Mesh
from reid.rendering.paint import Camera, Canvas, Surface, paint
from reid.rendering.person import Person
from reid.rendering.raster import project
from reid.rendering.truth import JOINTS, LABEL

SIZE = (256, 128)
"""Height and width of a crop in pixels."""

# How far in front of a joint the surface over it lies, at most, in metres: joints are inside of the body and clothes.
_INSIDE = {"hip": 0.17, "shoulder": 0.15, "knee": 0.13, "ankle": 0.10, "elbow": 0.12, "wrist": 0.09}
_TOLERANCE = np.array([_INSIDE.get(name.split("_")[-1], 0.045) for name in JOINTS])

_OF_THE_HEAD = np.arange(len(JOINTS)) < 5
_WORN_OVER = (LABEL["bag"], LABEL["hat"])


@dataclass(frozen=True)
class Crop:
    """A picture and its truth; see `truth.Truth` for the meanings."""

    picture: np.ndarray
    mask: np.ndarray
    joints: np.ndarray
    visible: np.ndarray
    joints_3d: np.ndarray
    intrinsics: np.ndarray
    box: np.ndarray
    yaw: float
    quality: int


def draw_crop(
    person: Person,
    camera: FixedCamera,
    rng: np.random.Generator,
    others: list[Person] | None = None,
    size: tuple[int, int] = SIZE,
) -> Crop:
    """Draw a person at a random place before a camera.

    Args:
        others: those who may pass by.
        size: height and width of the crop in pixels.
    """
    for _ in range(40):
        crop = _attempt(person, camera, rng, others or [], size)
        if crop is not None:
            return crop
    raise RuntimeError("no place before this camera shows the person")  # pragma: no cover


def _attempt(
    person: Person, camera: FixedCamera, rng: np.random.Generator, others: list[Person], size: tuple[int, int]
) -> Crop | None:
    height, width = size
    point = camera.place(rng)
    bearing = float(np.arctan2(point[1] - camera.view.eye[1], point[0] - camera.view.eye[0]))
    yaw = float(rng.uniform(0, 2 * np.pi))
    posed = person.pose(rng, yaw + bearing - np.pi / 2, point)
    box = _box(camera.view, posed.mesh, rng)
    canvas, view = camera.crop(box, height, width)
    light = camera.light.in_shade(camera.sunlit(point))
    if others and rng.random() < 0.2:
        _pass_by(canvas, view, camera, point, rng, others)
    if rng.random() < 0.08:
        _stand_before(canvas, view, camera, point, rng)
    canvas.labels[:] = 0
    paint(canvas, posed.mesh, person.surface, view, light, feet=posed.feet, phase=float(rng.random()))
    shown = canvas.labels > 0
    if shown.mean() < 0.08:
        return None
    seen = view.project(posed.joints)
    visible = _visible(canvas, seen)
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    native = (box[3] - box[1]) / height
    picture = camera.film.develop(canvas.rgb, native, rng)
    return Crop(
        picture=picture,
        mask=canvas.labels,
        joints=seen[:, :2].astype(np.float32),
        visible=visible,
        joints_3d=view.to_camera(posed.joints).astype(np.float32),
        intrinsics=np.array([view.fx, view.fy, view.cx, view.cy], np.float32),
        box=np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32),
        yaw=yaw,
        quality=int(rng.integers(80, 94)),
    )


def _box(view: Camera, mesh: Mesh, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A detector's box around a mesh, XYXY in frame pixels: about 1 : 2, not exact, at times badly cut."""
    left, top, right, bottom = project(mesh.vertices, mesh.cut, view.matrix())[1].tolist()
    tall = (bottom - top) * rng.uniform(0.98, 1.09)
    wide = tall * 0.44 * np.exp(rng.normal(0, 0.09))
    wide = max(wide, (right - left) * rng.uniform(0.75, 1.0))
    x = (left + right) / 2 + rng.normal(0, 0.035) * tall
    y = (top + bottom) / 2 + rng.normal(0, 0.02) * tall
    if rng.random() < 0.1:  # cut by the frame or by a poor detection
        kind = rng.integers(4)
        if kind == 0:
            y -= rng.uniform(0.08, 0.3) * tall
        elif kind == 1:
            y += rng.uniform(0.04, 0.12) * tall
        elif kind == 2:
            x += rng.choice([-1, 1]) * rng.uniform(0.1, 0.2) * tall
        else:
            tall, wide = tall * rng.uniform(1.15, 1.4), wide * 1.3
    return x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2


def _pass_by(
    canvas: Canvas, view: Camera, camera: FixedCamera, point: np.ndarray, rng: np.random.Generator, others: list[Person]
) -> None:
    """Somebody else, beside, behind or in front."""
    other = others[int(rng.integers(len(others)))]
    ray = point - camera.view.eye[:2]
    ray /= np.linalg.norm(ray)
    across = np.array([-ray[1], ray[0]])
    behind = rng.uniform(0.5, 4.0) if rng.random() < 0.72 else -rng.uniform(0.5, 1.2)
    aside = rng.choice([-1, 1]) * (rng.uniform(0.25, 0.8) if behind > 0 else rng.uniform(0.38, 0.65))
    place = point + behind * ray + aside * across
    posed = other.pose(rng, float(rng.uniform(0, 2 * np.pi)), place)
    light = camera.light.in_shade(camera.sunlit(place))
    paint(canvas, posed.mesh, other.surface, view, light, samples=1, feet=posed.feet, phase=float(rng.random()))


def _stand_before(
    canvas: Canvas, view: Camera, camera: FixedCamera, point: np.ndarray, rng: np.random.Generator
) -> None:
    """A thing between the camera and the person."""
    mesh, surface = _things()[int(rng.integers(len(_things())))]
    ray = point - camera.view.eye[:2]
    away = float(np.linalg.norm(ray))
    ray /= away
    across = np.array([-ray[1], ray[0]])
    place = point - rng.uniform(0.6, min(1.8, 0.5 * away)) * ray + rng.normal(0, 0.28) * across
    turn = float(rng.uniform(0, np.pi))
    c, s = np.cos(turn), np.sin(turn)
    vertices = mesh.vertices @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32) + [*place, 0]
    light = camera.light.in_shade(camera.sunlit(place))
    paint(canvas, mesh.moved(vertices), surface, view, light, samples=1, feet=place[None])


@functools.cache
def _things() -> list[tuple[Mesh, Surface]]:
    made = []
    for i in range(24):
        yard = solids.Yard(np.random.default_rng([99, i]))
        kind = (0, 0, 1, 2, 3, 5, 2, 4)[i % 8]
        if kind < 2:
            solids.add_bicycle(yard, (0, 0), 0.0)
        elif kind == 2:
            solids.add_pole(yard, (0, 0))
        elif kind == 3:
            solids.add_fence(yard, (-1.5, 0), 0.0, 3.0)
        elif kind == 4:
            solids.add_small(yard, (0, 0), 0.0)
        else:
            solids.add_sign(yard, (0, 0), 0.0)
        made.append((yard.mesh(), yard.surface.table()))
    return made


def _visible(canvas: Canvas, seen: np.ndarray) -> np.ndarray:
    """(23,) bool: in the picture, and nothing lies before the joint but the body's own surface near it."""
    height, width = canvas.depth.shape
    x, y = np.floor(seen[:, 0]).astype(int), np.floor(seen[:, 1]).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (seen[:, 2] > 0)
    cx, cy = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    surface = canvas.depth[cy, cx]
    label = canvas.labels[cy, cx]
    worn_over = np.isin(label, _WORN_OVER) | ((label == LABEL["hair"]) & ~_OF_THE_HEAD)
    # A joint that projects beside the drawn body is hidden by what is drawn there, or it is a pixel off the outline.
    return inside & (surface > seen[:, 2] - _TOLERANCE) & (label > 0) & ~worn_over


def encode(crop: Crop) -> tuple[bytes, bytes]:
    """The picture as JPEG and its mask as PNG."""
    bgr = cv2.cvtColor(crop.picture, cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, crop.quality])[1]
    png = cv2.imencode(".png", crop.mask, [cv2.IMWRITE_PNG_COMPRESSION, 6])[1]
    return jpeg.tobytes(), png.tobytes()
