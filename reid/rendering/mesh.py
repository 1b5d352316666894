"""Triangle meshes: what a body, its clothes and the things of a street are made of, and how they move with bones."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numba as nb
import numpy as np
from numpy.typing import ArrayLike

_INFLUENCES = 4  # bones that a vertex follows at most
_OPENING = 0.05  # metres that one can look into a sleeve or a collar


@dataclass
class Mesh:
    """Triangles with all that drawing needs.

    Attributes:
        vertices: (N, 3) float32, metres, at rest.
        faces: (F, 3) int32.
        coords: (F, 3, 2) float32 pattern coordinates of each corner: metres on cloth and walls, 0..1 on textures.
        material: (F,) int32 row of the material table.
        label: (F,) uint8 written into the mask.
        cut: (N,) float32 metres inside the outline; the rasteriser drops what interpolates below 0: crisp hems.
        loose: (N,) float32 metres that folds lift the surface by.
        outward: (N, 3) float32 direction of that lift.
        closed: (F,) bool, faces whose back nobody sees; they are drawn from the front alone.
        instance: (F,) int32 number of the object a face is of; 0 where it does not matter.
        weights, influences: (N, 4) float32 and int32 skinning; None where the mesh stands still.
    """

    vertices: np.ndarray
    faces: np.ndarray
    coords: np.ndarray
    material: np.ndarray
    label: np.ndarray
    cut: np.ndarray
    loose: np.ndarray
    outward: np.ndarray
    closed: np.ndarray
    instance: np.ndarray
    weights: np.ndarray | None = None
    influences: np.ndarray | None = None

    def moved(self, vertices: np.ndarray) -> Mesh:
        return replace(self, vertices=np.ascontiguousarray(vertices, np.float32))


def part(
    vertices: np.ndarray,
    faces: np.ndarray,
    material: int | np.ndarray,
    label: int | np.ndarray,
    coords: np.ndarray | None = None,
    cut: np.ndarray | None = None,
    loose: np.ndarray | None = None,
    outward: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    influences: np.ndarray | None = None,
    bone: int | None = None,
    closed: bool = False,
) -> Mesh:
    """A piece of a mesh, without the vertices it does not use and the faces its cut removes.

    Args:
        bone: the piece follows this bone alone.
        closed: its backs are not seen but near the outline that the cut leaves.
        coords: as in `Mesh`, or (N, 2) by vertex; the first and last axis of the vertices where it is left out.
    """
    faces = np.asarray(faces)
    n, m = len(vertices), len(faces)
    rows = np.broadcast_to(np.asarray(material, np.int32), (m,))
    labels = np.broadcast_to(np.asarray(label, np.uint8), (m,))
    if coords is None:
        coords = np.asarray(vertices)[:, [0, 2]]
    corner = np.asarray(coords)[faces] if coords.ndim == 2 else np.asarray(coords)
    if bone is not None:
        weights = np.tile(np.array([1, 0, 0, 0], np.float32), (n, 1))
        influences = np.full((n, _INFLUENCES), bone, np.int32)
    backless = np.full(m, closed)
    if cut is not None:
        inside = (cut >= 0)[faces]
        kept = inside[:, 0] | inside[:, 1] | inside[:, 2]
        faces, corner, rows, labels = faces[kept], corner[kept], rows[kept], labels[kept]
        deep = (cut > _OPENING)[faces]
        backless = closed & deep[:, 0] & deep[:, 1] & deep[:, 2]
    is_used = np.zeros(n, bool)
    is_used[faces] = True
    used = np.flatnonzero(is_used)
    number = np.zeros(n, np.int32)
    number[used] = np.arange(len(used), dtype=np.int32)

    def take(values: np.ndarray | None, fill: float, width: tuple[int, ...] = ()) -> np.ndarray:
        if values is None:
            return np.full((len(used), *width), fill, np.float32)
        return np.ascontiguousarray(values[used], np.float32)

    return Mesh(
        vertices=take(np.asarray(vertices), 0),
        faces=number[faces],
        coords=np.ascontiguousarray(corner, np.float32),
        material=rows.copy(),
        label=labels.copy(),
        cut=take(cut, 1.0),
        loose=take(loose, 0.0),
        outward=take(outward, 0.0, (3,)),
        closed=backless,
        weights=None if weights is None else take(weights, 0),
        influences=None if influences is None else np.ascontiguousarray(influences[used], np.int32),
        instance=np.zeros(len(faces), np.int32),
    )


def merge(parts: list[Mesh]) -> Mesh:
    """One mesh of many; all of them are skinned or none is."""
    starts = np.cumsum([0] + [len(p.vertices) for p in parts[:-1]])

    def join(name: str) -> np.ndarray:
        return np.concatenate([getattr(p, name) for p in parts])

    skinned = parts[0].weights is not None
    return Mesh(
        vertices=join("vertices"),
        faces=np.concatenate([p.faces + start for p, start in zip(parts, starts, strict=True)]).astype(np.int32),
        coords=join("coords"),
        material=join("material"),
        label=join("label"),
        cut=join("cut"),
        loose=join("loose"),
        outward=join("outward"),
        closed=join("closed"),
        weights=join("weights") if skinned else None,
        influences=join("influences") if skinned else None,
        instance=join("instance"),
    )


@nb.njit(cache=True, fastmath=True)
def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(N, 3) float32 unit normals, each face weighing by its area."""
    n = np.zeros((len(vertices), 3), np.float32)
    for m in range(faces.shape[0]):
        i, j, k = faces[m, 0], faces[m, 1], faces[m, 2]
        ax = vertices[j, 0] - vertices[i, 0]
        ay = vertices[j, 1] - vertices[i, 1]
        az = vertices[j, 2] - vertices[i, 2]
        bx = vertices[k, 0] - vertices[i, 0]
        by = vertices[k, 1] - vertices[i, 1]
        bz = vertices[k, 2] - vertices[i, 2]
        cx, cy, cz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for q in (i, j, k):
            n[q, 0] += cx
            n[q, 1] += cy
            n[q, 2] += cz
    for i in range(len(n)):
        length = math.sqrt(n[i, 0] ** 2 + n[i, 1] ** 2 + n[i, 2] ** 2) + np.float32(1e-12)
        n[i, 0] /= length
        n[i, 1] /= length
        n[i, 2] /= length
    return n


@nb.njit(cache=True, fastmath=True, inline="always")
def _wave(x: float) -> float:
    """About a sine, by parabolas."""
    turn = x * 0.15915494
    turn = 2.0 * (turn - math.floor(turn)) - 1.0
    return 4.0 * turn * (abs(turn) - 1.0)


@nb.njit(cache=True, fastmath=True)
def skin(
    vertices: np.ndarray,
    weights: np.ndarray,
    influences: np.ndarray,
    transforms: np.ndarray,
    loose: np.ndarray,
    outward: np.ndarray,
    phase: float,
) -> np.ndarray:
    """Linear-blend skinning after lifting the cloth into folds.

    Args:
        vertices: (N, 3) at rest. weights, influences: (N, 4), the heaviest first.
        transforms: (B, 3, 4) float32, rest to posed.
        loose, outward: (N,) metres and (N, 3) direction of the folds. phase: any number; another pose, other folds.

    Returns:
        (N, 3) float32.
    """
    out = np.empty((len(vertices), 3), np.float32)
    for i in range(len(vertices)):
        x, y, z = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        if loose[i] > 0:
            a = _wave(19 * x + 11 * y + 8 * z + phase + 1.4 * _wave(13 * z - 9 * y + 2 * phase))
            b = _wave(26 * z - 9 * x + 15 * y - phase) * _wave(14 * x + 5 * z + 3 * phase)
            lift = np.float32(loose[i] * (0.6 * a + 0.6 * b))
            x += outward[i, 0] * lift
            y += outward[i, 1] * lift
            z += outward[i, 2] * lift
        px, py, pz = np.float32(0), np.float32(0), np.float32(0)
        for q in range(4):
            w = weights[i, q]
            if w <= 0:
                break
            t = transforms[influences[i, q]]
            px += w * (t[0, 0] * x + t[0, 1] * y + t[0, 2] * z + t[0, 3])
            py += w * (t[1, 0] * x + t[1, 1] * y + t[1, 2] * z + t[1, 3])
            pz += w * (t[2, 0] * x + t[2, 1] * y + t[2, 2] * z + t[2, 3])
        out[i, 0], out[i, 1], out[i, 2] = px, py, pz
    return out


def ellipsoid(
    centre: np.ndarray, radii: np.ndarray, power: float = 2.0, steps: int = 14
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a superellipsoid: power 2 is round, 4 a padded box."""
    return (_unit_ellipsoid(power, steps) * radii + centre).astype(np.float32), _grid_faces(steps, steps)


@functools.lru_cache(maxsize=64)
def _unit_ellipsoid(power: float, steps: int) -> np.ndarray:
    u, v = np.meshgrid(np.linspace(-np.pi, np.pi, steps), np.linspace(-np.pi / 2, np.pi / 2, steps))

    def bent(x: np.ndarray) -> np.ndarray:
        return np.sign(x) * np.abs(x) ** (2 / power)

    points = np.stack([bent(np.cos(v)) * bent(np.cos(u)), bent(np.cos(v)) * bent(np.sin(u)), bent(np.sin(v))], -1)
    return points.reshape(-1, 3)


def tube(path: np.ndarray, radius: float | np.ndarray, sides: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a tube along a polyline (P, 3); the radius may change along it."""
    path = np.asarray(path, float)
    step = np.diff(path, axis=0)
    along = np.concatenate([step[:1], step[:-1] + step[1:], step[-1:]])
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    a = _cross(along, np.where(np.abs(along[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]))
    a /= np.linalg.norm(a, axis=1, keepdims=True) + 1e-9
    angle = np.linspace(0, 2 * np.pi, sides)
    ring = np.cos(angle)[None, :, None] * a[:, None] + np.sin(angle)[None, :, None] * _cross(along, a)[:, None]
    points = path[:, None] + ring * np.broadcast_to(radius, (len(path),))[:, None, None]
    return points.reshape(-1, 3).astype(np.float32), _grid_faces(len(path), sides)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, 3) cross products; what `numpy.cross` does takes longer than all the rest of a tube."""
    return a[:, [1, 2, 0]] * b[:, [2, 0, 1]] - a[:, [2, 0, 1]] * b[:, [1, 2, 0]]


def box(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (24, 3), faces (12, 3) and coordinates (24, 2) in metres of an upright box; each side has its own."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    sides = [
        [(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)],
        [(x1, y1, z0), (x0, y1, z0), (x0, y1, z1), (x1, y1, z1)],
        [(x0, y1, z0), (x0, y0, z0), (x0, y0, z1), (x0, y1, z1)],
        [(x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)],
        [(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)],
        [(x0, y1, z0), (x1, y1, z0), (x1, y0, z0), (x0, y0, z0)],
    ]
    vertices = np.array(sides, np.float32).reshape(-1, 3)
    faces = np.concatenate([[[4 * i, 4 * i + 1, 4 * i + 2], [4 * i, 4 * i + 2, 4 * i + 3]] for i in range(6)])
    coords = []
    for i, side in enumerate(np.array(sides, np.float32)):
        axes = [0, 2] if i < 2 else [1, 2] if i < 4 else [0, 1]
        coords.append(side[:, axes])
    return vertices, faces.astype(np.int32), np.concatenate(coords)


def sheet(corner: ArrayLike, right: ArrayLike, up: ArrayLike, steps: tuple[int, int] = (1, 1)) -> tuple:
    """Vertices, faces and coordinates (metres from `corner`) of a flat rectangle cut into steps[0] x steps[1] cells."""
    cells = _grid_cells(*steps)
    side, rise = np.asarray(right, float), np.asarray(up, float)
    points = np.asarray(corner, float) + cells[:, :1] * side + cells[:, 1:] * rise
    coords = cells * [math.hypot(*side), math.hypot(*rise)]
    return points.astype(np.float32), _grid_faces(steps[1] + 1, steps[0] + 1), coords


@functools.lru_cache(maxsize=256)
def _grid_cells(columns: int, rows: int) -> np.ndarray:
    s, t = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1))
    return np.stack([s, t], -1).reshape(-1, 2)


@functools.lru_cache(maxsize=256)
def _grid_faces(rows: int, columns: int) -> np.ndarray:
    q = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = q[:-1, :-1], q[:-1, 1:], q[1:, 1:], q[1:, :-1]
    upper, lower = np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)
    return np.concatenate([upper, lower]).astype(np.int32)
