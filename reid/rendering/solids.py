"""The things of a street as simple solids: cars, bicycles, trees, poles, signs, fences, buildings.

Each function adds its parts to a `Yard` at a place on the ground, turned about the upright axis.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from reid.rendering import materials as m
from reid.rendering.mesh import Mesh, box, ellipsoid, sheet, tube
from reid.rendering.prints import draw_print

CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
"""CamVid's classes in the order of its label maps."""
CLASS = {name: i for i, name in enumerate(CAMVID)}


@dataclass
class Yard:
    """A scene being furnished.

    Attributes:
        instances: name of the category of each object that is counted, from number 1 on.
    """

    rng: np.random.Generator
    surface: m.Materials = field(default_factory=m.Materials)
    instances: list[str] = field(default_factory=list)
    _parts: list[tuple] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)

    def put(
        self,
        solid: tuple,
        material: int,
        label: str,
        place: tuple[float, float] = (0.0, 0.0),
        turn: float = 0.0,
        instance: int = 0,
    ) -> None:
        """Add (vertices, faces[, coords]) at a place; each vertex has one pair of coordinates."""
        vertices, faces, *coords = solid
        c, s = math.cos(turn), math.sin(turn)
        moved = vertices @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + [*place, 0]
        known = coords[0] if coords else np.asarray(vertices)[:, ::2]
        self._parts.append((moved, faces, known, material, CLASS[label], instance))

    def count(self, category: str) -> int:
        self.instances.append(category)
        return len(self.instances)

    def plain(self, name: str, colour: tuple[float, float, float], **options: float) -> int:
        """The material of that name, made on first use."""
        if name not in self._known:
            self._known[name] = self.surface.add(m.PLAIN, np.array(colour), **options)  # type: ignore[arg-type]
        return self._known[name]

    def mesh(self) -> Mesh:
        vertices, faces, coords, *kinds = zip(*self._parts, strict=True)
        starts = np.cumsum([0] + [len(v) for v in vertices[:-1]])
        points = np.concatenate(vertices).astype(np.float32)
        corners = np.concatenate([f + start for f, start in zip(faces, starts, strict=True)]).astype(np.int32)
        material, label, instance = (np.repeat(kind, [len(f) for f in faces]) for kind in kinds)
        return Mesh(
            vertices=points,
            faces=corners,
            coords=np.concatenate(coords).astype(np.float32)[corners],
            material=material.astype(np.int32),
            label=label.astype(np.uint8),
            cut=np.ones(len(points), np.float32),
            loose=np.zeros(len(points), np.float32),
            outward=np.zeros_like(points),
            closed=np.zeros(len(corners), bool),
            instance=instance.astype(np.int32),
        )


def paint_colour(rng: np.random.Generator) -> np.ndarray:
    """A colour as cars, doors and signs have it."""
    table = [(0.85,) * 3, (0.7, 0.7, 0.72), (0.1, 0.1, 0.11), (0.3, 0.31, 0.33), (0.5, 0.12, 0.12), (0.14, 0.2, 0.4),
             (0.2, 0.33, 0.25), (0.62, 0.55, 0.42), (0.8, 0.65, 0.2), (0.25, 0.45, 0.6)]  # fmt: skip
    odds = np.array([6, 5, 5, 4, 2, 3, 1, 1, 1, 1.0])
    return np.clip(
        np.array(table[int(rng.choice(len(table), p=odds / odds.sum()))]) + rng.normal(0, 0.03, 3), 0.03, 0.95
    )


def _extruded(profile: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """A prism: a closed outline (P, 2) in x and z, swept along y; convex enough to be a fan."""
    n = len(profile)
    vertices = np.concatenate([np.insert(profile, 1, y, axis=1) for y in (low, high)])
    i = np.arange(n)
    j = (i + 1) % n
    wall = np.concatenate([np.stack([i, j, j + n], 1), np.stack([i, j + n, i + n], 1)])
    fan = np.stack([np.zeros(n - 2, int), i[1:-1], i[2:]], 1)
    # Every face its own vertices: sheet metal has edges.
    faces = np.concatenate([wall, fan, fan + n])
    return vertices[faces.ravel()], np.arange(3 * len(faces)).reshape(-1, 3)


def add_car(yard: Yard, place: tuple[float, float], turn: float) -> None:
    rng, n = yard.rng, yard.count("car")
    long, wide, high = rng.uniform(3.6, 4.7), rng.uniform(1.6, 1.8), rng.uniform(1.38, 1.75)
    hood, boot = rng.uniform(0.15, 0.25), rng.choice([0.02, 0.14, 0.2])
    body = yard.surface.add(m.PLAIN, paint_colour(rng), gloss=0.6)
    glass = yard.plain("car glass", (0.13, 0.15, 0.17), gloss=0.7)
    dark, metal = yard.plain("tyre", (0.08, 0.08, 0.08)), yard.plain("rim", (0.55, 0.55, 0.57), gloss=0.3)
    x = long / 2
    lower = np.array([[-x, 0.3], [x, 0.3], [x, 0.62], [x - hood * long, 0.88], [-x + boot * long, 0.9], [-x, 0.8]])
    front, back = x - hood * long - 0.05, -x + boot * long + 0.05
    cabin = np.array([[back, 0.88], [front, 0.87], [front - 0.62, high - 0.06], [back + 0.35, high - 0.06]])
    roof = np.array([[back + 0.33, high - 0.07], [front - 0.6, high - 0.07], [front - 0.68, high], [back + 0.42, high]])
    for outline, half, material in (
        (lower, wide / 2, body),
        (cabin, wide / 2 - 0.1, glass),
        (roof, wide / 2 - 0.11, body),
    ):
        yard.put(_extruded(outline, -half, half), material, "car", place, turn, n)
    for post in (back + 0.2, (front + back) / 2 - 0.1, front - 0.35):
        strip = np.array(
            [[post - 0.03, 0.88], [post + 0.03, 0.88], [post - 0.05, high - 0.06], [post - 0.11, high - 0.06]]
        )
        yard.put(_extruded(strip, -wide / 2 + 0.09, wide / 2 - 0.09), body, "car", place, turn, n)
    angle = np.linspace(0, 2 * np.pi, 15)[:-1]
    for wx in (-x + 0.75, x - 0.8):
        for radius, material, out in ((0.32, dark, 0.01), (0.19, metal, 0.025)):
            disc = np.stack([wx + radius * np.cos(angle), 0.32 + radius * np.sin(angle)], 1)
            yard.put(_extruded(disc, -wide / 2 - out, wide / 2 + out), material, "car", place, turn, n)
    for end, colour in ((x - 0.02, (0.9, 0.9, 0.85)), (-x - 0.02, (0.55, 0.08, 0.08))):
        lamp = yard.plain(f"lamp {end > 0}", colour, gloss=0.4)
        for side in (-1, 1):
            y = side * (wide / 2 - 0.25)
            yard.put(
                box(np.array([end, y - 0.14, 0.6]), np.array([end + 0.04, y + 0.14, 0.72])), lamp, "car", place, turn, n
            )


def add_bicycle(yard: Yard, place: tuple[float, float], turn: float) -> None:
    rng, n = yard.rng, yard.count("bicycle")
    frame = yard.surface.add(m.PLAIN, paint_colour(rng), gloss=0.4)
    spokes = yard.plain("spokes", (0.45, 0.45, 0.46))
    for solid, material in zip(_bicycle(), (yard.plain("tyre", (0.08, 0.08, 0.08)), spokes, frame), strict=True):
        yard.put(solid, material, "bicyclist", place, turn, n)
    if rng.random() < 0.4:
        basket = box(np.array([0.45, -0.16, 0.72]), np.array([0.72, 0.16, 0.95]))
        yard.put(basket, spokes, "bicyclist", place, turn, n)


@functools.cache
def _bicycle() -> tuple[tuple, tuple, tuple]:
    """What is dark about a bicycle, its bare metal, and its frame."""
    angle = np.linspace(0, 2 * np.pi, 17)
    back, crank, seat, head, fork = (np.array(p) for p in
        ((-0.52, 0, 0.34), (-0.08, 0, 0.3), (-0.2, 0, 0.82), (0.36, 0, 0.82), (0.52, 0, 0.34)))  # fmt: skip
    dark = [ellipsoid(seat + np.array([0, 0, 0.08]), np.array([0.14, 0.07, 0.035]), 2, 8)]
    metal = [
        tube(np.stack([head, [0.35, 0, 0.98]]), 0.015, 4),
        tube(np.array([[0.4, -0.28, 1.0], [0.36, 0, 0.98], [0.4, 0.28, 1.0]]), 0.014, 4),
    ]
    for x, first in ((-0.52, 0.3), (0.52, 0.7)):
        dark.append(tube(np.stack([x + 0.33 * np.cos(angle), 0 * angle, 0.34 + 0.33 * np.sin(angle)], 1), 0.022, 5))
        for a in np.linspace(0, np.pi, 5)[:-1] + first:
            reach = 0.32 * np.array([np.cos(a), 0, np.sin(a)])
            metal.append(tube(np.array([x, 0, 0.34]) + np.array([-reach, reach]), 0.005, 3))
    bars = ((back, crank), (back, seat), (crank, seat), (crank, head), (seat, head), (head, fork))
    return _joined(dark), _joined(metal), _joined([tube(np.stack(bar), 0.018, 5) for bar in bars])


def _joined(solids: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in solids])
    faces = [faces + start for (_, faces), start in zip(solids, starts, strict=False)]
    return np.concatenate([vertices for vertices, _ in solids]), np.concatenate(faces)


@functools.cache
def _leaves(kind: int) -> np.ndarray:
    """(128, 128, 4) uint8, see-through between leaves."""
    picture = np.zeros((128, 128, 4), np.uint8)
    picture[..., :3] = 255
    rng = np.random.default_rng([98, kind])
    for _ in range(330):
        x, y, angle = rng.integers(0, 128), rng.integers(0, 128), float(rng.uniform(0, 180))
        size = (int(rng.integers(4, 9)), int(rng.integers(2, 5)))
        tone = int(rng.integers(90, 255))
        cv2.ellipse(picture, (int(x), int(y)), size, angle, 0, 360, (tone, tone, tone, 255), -1)
    return picture


def _foliage(yard: Yard) -> int:
    if "foliage" not in yard._known:
        green = np.array([0.27, 0.36, 0.18]) + yard.rng.normal(0, 0.04, 3)
        leaves = yard.surface.image(_leaves(int(yard.rng.integers(8))))
        yard._known["foliage"] = yard.surface.add(
            m.TEXTURE, np.clip(green * 1.25, 0.1, 0.8), texture=leaves, see_through=True
        )
    return yard._known["foliage"]


def add_tree(yard: Yard, place: tuple[float, float]) -> None:
    rng = yard.rng
    high, radius = rng.uniform(1.9, 3.4), rng.uniform(0.08, 0.2)
    bark = yard.plain("bark", (0.33, 0.28, 0.23), grain=0.5)
    lean = rng.normal(0, 0.1, 2)
    trunk = np.array([[0, 0, 0], [*(lean * 0.5), high * 0.6], [*lean, high + 0.8]])
    yard.put(tube(trunk, np.array([radius * 1.25, radius, radius * 0.6]), 9), bark, "tree", place)
    leaves = _foliage(yard)
    crown = rng.uniform(0.9, 1.7)
    for _ in range(int(rng.integers(7, 13))):
        where = np.array([*lean, high + crown * 0.9]) + rng.normal(0, 0.55, 3) * crown * [1, 1, 0.7]
        vertices, faces = ellipsoid(where, crown * rng.uniform(0.4, 0.75, 3), 2, 10)
        u, v = np.meshgrid(np.linspace(0, 2.2, 10), np.linspace(0, 1.4, 10))
        yard.put((vertices, faces, np.stack([u, v], -1).reshape(-1, 2)), leaves, "tree", place)


def add_hedge(yard: Yard, place: tuple[float, float], turn: float, long: float) -> None:
    rng = yard.rng
    high, deep = rng.uniform(0.5, 1.3), rng.uniform(0.5, 1.0)
    core = yard.plain("hedge core", (0.16, 0.22, 0.12), grain=0.6)
    yard.put(
        box(np.array([-long / 2, -deep / 2, 0]), np.array([long / 2, deep / 2, high - 0.06])), core, "tree", place, turn
    )
    leaves = _foliage(yard)
    for x in np.arange(-long / 2, long / 2, 0.45):
        where = np.array([x, rng.normal(0, 0.04), high * 0.55])
        vertices, faces = ellipsoid(where, np.array([0.45, deep * 0.62, high * 0.55]) * rng.uniform(0.9, 1.12, 3), 3, 8)
        u, v = np.meshgrid(np.linspace(0, 1.8, 8), np.linspace(0, 1.2, 8))
        yard.put((vertices, faces, np.stack([u, v], -1).reshape(-1, 2)), leaves, "tree", place, turn)


def add_pole(yard: Yard, place: tuple[float, float]) -> None:
    rng = yard.rng
    metal = yard.plain("pole", tuple(np.full(3, rng.uniform(0.2, 0.6))), gloss=0.2, grain=0.1)
    high, radius = rng.uniform(3, 6.5), rng.uniform(0.035, 0.1)
    yard.put(tube(np.array([[0, 0, 0], [0, 0, high]]), radius, 9), metal, "pole", place)
    if rng.random() < 0.5:
        arm = np.array([[0, 0, high - 0.05], [rng.choice([-1, 1]) * 1.1, 0, high + 0.1]])
        yard.put(tube(arm, radius * 0.6, 6), metal, "pole", place, rng.uniform(0, 6))


def add_sign(yard: Yard, place: tuple[float, float], turn: float) -> None:
    rng = yard.rng
    metal = yard.plain("sign pole", (0.5, 0.5, 0.52), gloss=0.2)
    high = rng.uniform(1.7, 2.6)
    yard.put(tube(np.array([[0, 0, 0], [0, 0, high]]), 0.03, 7), metal, "pole", place)
    wide, tall = rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.7)
    board = yard.surface.add(m.TEXTURE, np.ones(3), texture=_poster(yard))
    vertices, faces, _ = sheet((-wide / 2, -0.05, high - tall), (wide, 0, 0), (0, 0, tall))
    yard.put((vertices, faces, np.array([[0, 0], [1, 0], [0, 1], [1, 1.0]])), board, "sign", place, turn)
    back = yard.plain("sign back", (0.55, 0.55, 0.55))
    yard.put(sheet((-wide / 2, -0.03, high - tall), (wide, 0, 0), (0, 0, tall)), back, "sign", place, turn)


def _poster(yard: Yard) -> tuple[int, int, int]:
    rng = yard.rng
    ground, ink, second = (paint_colour(rng) for _ in range(3))
    drawn = draw_print(rng, tuple(ink), tuple(second))
    cover = drawn[..., 3:] / 255.0
    poster = drawn[..., :3] * cover + 255 * ground * (1 - cover)
    return yard.surface.image(np.dstack([poster, np.full(poster.shape[:2], 255)]).astype(np.uint8))


def add_fence(yard: Yard, start: tuple[float, float], turn: float, long: float) -> None:
    rng = yard.rng
    high, gap = rng.uniform(0.8, 1.9), int(rng.integers(5, 14))
    colour = np.array(
        [(0.12, 0.14, 0.13), (0.55, 0.55, 0.56), (0.75, 0.75, 0.74), (0.2, 0.32, 0.25)][int(rng.integers(4))]
    )
    bars = np.zeros((64, 64, 4), np.uint8)
    bars[..., :3] = 255
    bars[:, :: max(gap, 4)], bars[:, 1 :: max(gap, 4)] = 255, 255
    bars[6:9], bars[54:57] = 255, 255
    if rng.random() < 0.3:
        bars[::6] = 255
    panel = yard.surface.add(m.TEXTURE, colour, texture=yard.surface.image(bars), see_through=True)
    post = yard.surface.add(m.PLAIN, colour, gloss=0.1)
    vertices, faces, coords = sheet((0, 0, 0.05), (long, 0, 0), (0, 0, high), (max(int(long), 1), 1))
    yard.put((vertices, faces, coords / [1.0, high]), panel, "fence", start, turn)
    for x in np.arange(0, long + 0.01, 2.0):
        foot = (start[0] + x * np.cos(turn), start[1] + x * np.sin(turn))
        yard.put(tube(np.array([[0, 0, 0], [0, 0, high + 0.1]]), 0.035, 6), post, "fence", foot)


def add_small(yard: Yard, place: tuple[float, float], turn: float) -> None:
    """A bollard, a bin, a bench or a cabinet."""
    rng = yard.rng
    colour = yard.surface.add(m.PLAIN, paint_colour(rng) * 0.8, grain=0.1, gloss=0.1)
    kind = rng.integers(4)
    if kind == 0:
        yard.put(tube(np.array([[0, 0, 0], [0, 0, rng.uniform(0.6, 1.0)]]), 0.07, 9), colour, "pole", place)
    elif kind == 1:
        yard.put(
            tube(np.array([[0, 0, 0], [0, 0, 0.9], [0, 0, 0.91]]), np.array([0.24, 0.28, 0.01]), 11),
            colour,
            "building",
            place,
        )
    elif kind == 2:
        for low, high in (((-0.8, -0.2, 0.4), (0.8, 0.2, 0.46)), ((-0.8, 0.18, 0.5), (0.8, 0.22, 0.85)),
                          ((-0.7, -0.18, 0), (-0.62, 0.18, 0.4)), ((0.62, -0.18, 0), (0.7, 0.18, 0.4))):  # fmt: skip
            yard.put(box(np.array(low), np.array(high)), colour, "building", place, turn)
    else:
        half = rng.uniform(0.25, 0.5, 2)
        yard.put(
            box(np.array([-half[0], -half[1], 0]), np.array([*half, rng.uniform(0.9, 1.6)])),
            colour,
            "building",
            place,
            turn,
        )


_WALLS = (
    (0.62, 0.60, 0.57), (0.50, 0.34, 0.28), (0.72, 0.68, 0.61), (0.42, 0.43, 0.45), (0.35, 0.29, 0.26),
    (0.78, 0.77, 0.75),
)  # fmt: skip


def add_building(yard: Yard, place: tuple[float, float], turn: float, long: float, high: float) -> None:
    """A facade along +x from `place` that looks towards -y: a wall with windows over a floor of doors and shops."""
    rng = yard.rng
    wall = np.clip(
        np.array(_WALLS[int(rng.integers(len(_WALLS)))]) + rng.normal(0, 0.04) + rng.normal(0, 0.015, 3), 0.1, 0.9
    )
    glass = np.array([0.10, 0.12, 0.14]) + rng.uniform(0, 0.12) * np.array([0.8, 1, 1.15])
    frame = wall * rng.uniform(0.4, 1.4)
    cell = (rng.uniform(1.2, 3.5), rng.uniform(2.6, 3.4))
    windows = yard.surface.add(
        m.WINDOWS, wall, glass, np.clip(frame, 0.05, 0.95), size=cell, phase=rng.random(),
        threshold=rng.uniform(0.25, 0.46), wrinkles=rng.uniform(0.28, 0.42), grain=0.35,
    )  # fmt: skip
    brick = yard.surface.add(
        m.BRICKS, np.clip(wall * 0.85, 0, 1), wall * 1.1,
        size=(0.26 * rng.uniform(0.8, 2.5), 0.085 * rng.uniform(0.8, 3)), threshold=0.012, grain=0.2,
    )  # fmt: skip
    smooth = yard.surface.add(m.ROUGH, wall, grain=0.4)
    base = rng.uniform(2.8, 3.8)
    plain = brick if rng.random() < 0.45 else smooth
    upper = windows if rng.random() < 0.85 else plain
    steps = max(int(long / 1.5), 1)
    yard.put(sheet((0, 0, base), (long, 0, 0), (0, 0, high - base), (steps, 3)), upper, "building", place, turn)
    yard.put(sheet((0, 0, 0), (long, 0, 0), (0, 0, base), (steps, 3)), plain, "building", place, turn)
    for x in (0.0, long):
        yard.put(sheet((x, 0, 0), (0, 6, 0), (0, 0, high), (4, 3)), smooth, "building", place, turn)
    # Ground floor: bays with glass, doors or shutters, some under a sign.
    x = rng.uniform(0, 1.5)
    while x < long - 1.2:
        wide, tall = min(rng.uniform(0.9, 4.5), long - x - 0.1), rng.uniform(1.9, base - 0.4)
        foot = 0.02 if wide < 1.6 or rng.random() < 0.5 else rng.uniform(0.3, 0.9)
        kind = rng.random()
        if kind < 0.55:
            bay = yard.surface.add(
                m.WINDOWS, paint_colour(rng) * 0.7, np.array([0.07, 0.08, 0.09]) * rng.uniform(0.7, 2.2),
                paint_colour(rng), size=(min(wide, rng.uniform(0.8, 2.0)), tall), threshold=0.46, wrinkles=0.47,
                grain=0.2,
            )  # fmt: skip
        elif kind < 0.75:
            bay = yard.surface.add(
                m.PLANKS, paint_colour(rng), size=(rng.uniform(0.08, 0.3), 1), threshold=0.1, grain=0.2
            )
        else:
            bay = yard.surface.add(m.PLAIN, paint_colour(rng) * 0.6, gloss=0.2, grain=0.15)
        yard.put(
            sheet((x, -0.06, foot), (wide, 0, 0), (0, 0, tall), (max(int(wide), 1), 2)), bay, "building", place, turn
        )
        if rng.random() < 0.4:
            board = yard.surface.add(m.TEXTURE, np.ones(3), texture=_poster(yard))
            vertices, faces, _ = sheet((x, -0.12, foot + tall + 0.05), (wide, 0, 0), (0, 0, 0.5))
            coords = np.array([[0, 0], [1, 0], [0, 1], [1, 1.0]])
            yard.put((vertices, faces, coords), board, "building", place, turn)
        x += wide + rng.uniform(0.2, 2.2)
