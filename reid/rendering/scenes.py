"""Places: a ground in bands, what stands on it, and the light that falls there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba as nb
import numpy as np

from reid.rendering import materials as m
from reid.rendering import solids
from reid.rendering.materials import NOISE_SIDE, NOISE_UNIT, noise
from reid.rendering.mesh import Mesh
from reid.rendering.paint import Camera, Canvas, Light, Surface, shade_window, shadow_of, z_buffer
from reid.rendering.raster import project
from reid.rendering.shading import albedo, lit_share
from reid.rendering.solids import CLASS, Yard

_HORIZON = 80.0  # metres; the ground ends in haze


@dataclass(frozen=True)
class Scene:
    """A place without people.

    Attributes:
        mesh, surface: its solids. objects: category of each counted object, from number 1 on.
        turn: radians the street runs away from +X. edges: (K,) metres across the street where a band ends and the next
            begins. bands: (K + 1,) material rows. classes: (K + 1,) CamVid class of each band.
        light: what falls on it. haze: (6,) linear RGB of the far distance and of the
        zenith.
    """

    mesh: Mesh
    surface: Surface
    objects: tuple[str, ...]
    turn: float
    edges: np.ndarray
    bands: np.ndarray
    classes: np.ndarray
    light: Light
    haze: np.ndarray

    def shadow(self, side: int = 1024) -> tuple[np.ndarray, np.ndarray]:
        """Where the sun reaches: a map of side x side and its frame, as `shading.lit_share` reads them."""
        return shadow_of(self.mesh, self.surface, self.light, side)

    def draw(self, camera: Camera, width: int, height: int, shadow: tuple[np.ndarray, np.ndarray]) -> Canvas:
        """The place as a camera sees it, each pixel the mean of 2 x 2; labels are CamVid classes."""
        canvas = Canvas.blank(height, width)
        screen, _ = project(self.mesh.vertices, self.mesh.cut, camera.matrix(2))
        near, triangle = z_buffer(self.mesh, self.surface, screen, (0, 0, width, height), 2)
        bands = np.array([math.cos(self.turn), math.sin(self.turn), *self.edges], np.float32)
        _ground_and_sky(
            canvas.rgb, canvas.ground, canvas.labels, triangle, camera.rays(), camera.eye.astype(np.float32),
            self.light.packed(), self.haze.astype(np.float32), bands, self.bands, self.classes, *self.surface, noise(),
            *shadow,
        )  # fmt: skip
        shade_window(
            canvas, self.mesh, self.surface, screen, (0, 0), 2, near, triangle, camera, self.light, *shadow, 0.0
        )
        return canvas


@nb.njit(cache=True, fastmath=True)
def _ground_and_sky(
    rgb: np.ndarray,
    ground: np.ndarray,
    labels: np.ndarray,
    triangle: np.ndarray,
    rays: np.ndarray,
    eye: np.ndarray,
    light: np.ndarray,
    haze: np.ndarray,
    bands: np.ndarray,
    rows: np.ndarray,
    classes: np.ndarray,
    table: np.ndarray,
    atlas: np.ndarray,
    noise: np.ndarray,
    shadow: np.ndarray,
    frame: np.ndarray,
) -> None:
    """Fill in what lies behind the solids whose `triangle` buffer (2H, 2W) is given."""
    height, width = ground.shape
    for y in range(height):
        for x in range(width):
            top, bottom = triangle[2 * y, 2 * x : 2 * x + 2], triangle[2 * y + 1, 2 * x : 2 * x + 2]
            if top[0] >= 0 and top[1] >= 0 and bottom[0] >= 0 and bottom[1] >= 0:
                continue
            qx, qy = x + 0.5, y + 0.5
            dx = rays[0, 0] * qx + rays[0, 1] * qy + rays[0, 2]
            dy = rays[1, 0] * qx + rays[1, 1] * qy + rays[1, 2]
            dz = rays[2, 0] * qx + rays[2, 1] * qy + rays[2, 2]
            flat = math.sqrt(dx * dx + dy * dy)
            away = -eye[2] * flat / dz if dz < -1e-4 else 1e6
            if away < _HORIZON:
                red, green, blue = 0.0, 0.0, 0.0
                k = 0
                for d in (-0.25, 0.25):  # two samples on a diagonal
                    sx, sy = dx + d * (rays[0, 0] + rays[0, 1]), dy + d * (rays[1, 0] + rays[1, 1])
                    t = -eye[2] / min(dz + d * (rays[2, 0] + rays[2, 1]), -1e-5)
                    gx, gy = eye[0] + t * sx, eye[1] + t * sy
                    s, c = bands[0] * gx + bands[1] * gy, -bands[1] * gx + bands[0] * gy
                    k = 0
                    while k < len(bands) - 2 and c > bands[2 + k]:
                        k += 1
                    r, g, b = albedo(table, rows[k], s, c, atlas, noise)
                    share = 1.0 if table[rows[k], 0] == m.ROUGH else 0.5
                    red += share * r
                    green += share * g
                    blue += share * b
                    if share == 1.0:  # it has no edges that two samples would soften
                        break
                t = -eye[2] / dz
                sun = 0.0
                if light[3] + light[4] + light[5] > 0:
                    sun = lit_share(shadow, frame, eye[0] + t * dx, eye[1] + t * dy, 0.0) * max(light[2], 0.0)
                dim = (away / _HORIZON) ** 2
                red *= sun * light[3] + 0.85 * light[6]
                green *= sun * light[4] + 0.85 * light[7]
                blue *= sun * light[5] + 0.85 * light[8]
                rgb[y, x, 0] = red + (haze[0] - red) * dim
                rgb[y, x, 1] = green + (haze[1] - green) * dim
                rgb[y, x, 2] = blue + (haze[2] - blue) * dim
                ground[y, x] = True
                labels[y, x] = classes[k]
            else:
                up = max(0.0, dz / math.sqrt(flat * flat + dz * dz))
                i, j = int((dx / (0.3 + up)) * 90), int((dy / (0.3 + up)) * 90)
                cloud = noise[j & (NOISE_SIDE - 1), i & (NOISE_SIDE - 1), 0] * NOISE_UNIT
                cloud = min(1.0, max(0.0, 0.3 + 0.8 * cloud)) * 0.7
                deep = min(1.0, up * 1.6)
                for q in range(3):
                    sky = haze[q] + (haze[3 + q] - haze[q]) * deep
                    rgb[y, x, q] = sky + (1.15 * haze[q] - sky) * cloud


def draw_light(rng: np.random.Generator) -> tuple[Light, np.ndarray]:
    """Weather: sunny, hazy or overcast; and the linear colours (6,) of the haze and of the zenith."""
    height, round_ = rng.uniform(0.45, 1.25), rng.uniform(0, 2 * np.pi)
    direction = np.array([math.cos(height) * math.cos(round_), math.cos(height) * math.sin(round_), math.sin(height)])
    sun = float(rng.choice([0.0, 0.45, 1.0], p=[0.5, 0.2, 0.3])) * rng.uniform(0.7, 1.1)
    warm = rng.normal(0.02, 0.05)
    sky = (0.95 - 0.5 * sun) * rng.uniform(0.85, 1.15)
    tint = rng.normal(0.04 * (sun > 0), 0.025)
    sky_rgb = sky * np.array([1 - tint, 1.0, 1 + tint])
    ground_rgb = 0.3 * (sky_rgb + 0.5 * sun * direction[2]) * np.array([1.03, 1.0, 0.95])
    sun_rgb = sun * np.array([1 + warm, 1.0, 1 - 1.6 * warm]) if sun else np.zeros(3)
    haze = 0.85 * sky_rgb + 0.15 * sun
    zenith = sky_rgb * (np.array([0.45, 0.72, 1.25]) if sun > 0.6 else np.full(3, rng.uniform(0.75, 1.1)))
    return Light(direction, sun_rgb, sky_rgb, ground_rgb), np.concatenate([haze, zenith])


def draw_scene(rng: np.random.Generator) -> Scene:
    """A place at random, laid out for a camera near the origin that looks along +Y."""
    yard = Yard(rng)
    light, haze = draw_light(rng)
    kind = str(rng.choice(["street", "plaza", "forecourt", "park"], p=[0.45, 0.3, 0.2, 0.05]))
    turn = float(rng.normal(0, 0.3)) if rng.random() < 0.6 else float(rng.choice([-1, 1]) * rng.uniform(0.6, 1.4))
    far = {"street": rng.uniform(14, 26), "plaza": rng.uniform(10, 24), "forecourt": rng.uniform(7, 12)}.get(
        kind, rng.uniform(18, 30)
    )
    edges, bands, classes = _bands(yard, kind, far)
    c, s = math.cos(turn), math.sin(turn)

    def place(along: float, across: float) -> tuple[float, float]:
        return c * along - s * across, s * along + c * across

    x = -30.0
    while x < 30:  # the far row of houses
        long = rng.uniform(6, 16)
        if rng.random() < (0.35 if kind == "park" else 0.92):
            solids.add_building(yard, place(x, far + rng.uniform(0, 1.2)), turn, long, rng.uniform(5, 13))
        else:
            solids.add_hedge(yard, place(x + long / 2, far + 1), turn, long)
        x += long + (rng.uniform(1, 5) if rng.random() < 0.25 else 0.0)
    if abs(turn) > 0.5 and kind != "park":  # the near side closes the view along a street
        x, near = -30.0, -rng.uniform(5, 9)
        while x < 30:
            long = rng.uniform(6, 16)
            solids.add_building(yard, place(x + long, near), turn + math.pi, long, rng.uniform(5, 13))
            x += long
    _furnish(yard, kind, far, edges, classes, place, turn)
    mesh = yard.mesh()
    return Scene(
        mesh, yard.surface.table(), tuple(yard.instances), turn, np.array(edges, np.float32), np.array(bands, np.int64),
        np.array(classes, np.uint8), light, haze,
    )  # fmt: skip


def _bands(yard: Yard, kind: str, far: float) -> tuple[list[float], list[int], list[int]]:
    """The ground across the street: where bands end, their materials and classes."""
    rng = yard.rng
    pavement, road = _paving(yard), _asphalt(yard)
    green = np.clip(np.array([0.36, 0.38, 0.26]) + rng.normal(0, 0.02, 3), 0.05, 0.9)
    grass = yard.surface.add(m.FOLIAGE, green, green * 0.6, size=(0.9, 1), grain=0.4)
    kerb = yard.surface.add(m.PAVING, (0.62,) * 3, (0.4,) * 3, size=(0.9, 10), grain=0.2)
    line = yard.surface.add(m.V_STRIPES, (0.78, 0.78, 0.74), (0.3, 0.3, 0.3), size=(rng.uniform(2, 5), 1),
                            threshold=rng.choice([0.0, 0.5]), grain=0.25)  # fmt: skip
    P, R, T = CLASS["pavement"], CLASS["road"], CLASS["tree"]
    if kind == "street":
        a = rng.uniform(1.5, 7)
        b = min(a + rng.uniform(5, 9), far - 2)
        mid = (a + b) / 2
        return (
            [a, a + 0.16, mid - 0.07, mid + 0.07, b - 0.16, b],
            [pavement, kerb, road, line, road, kerb, _paving(yard)],
            [P, P, R, R, R, P, P],
        )
    if kind == "park":
        a = rng.uniform(-2, 3)
        b = a + rng.uniform(2.5, 6)
        return [a, a + 0.12, b, b + 0.12], [grass, kerb, pavement, kerb, grass], [T, P, P, P, T]
    second = _paving(yard)
    a, b = sorted(rng.uniform(1, far, 2))
    return [a, b], [pavement, second if rng.random() < 0.7 else road, pavement], [P, P, P]


def _paving(yard: Yard) -> int:
    rng = yard.rng
    tone = (
        np.full(3, rng.uniform(0.5, 0.64)) + rng.normal(0, 0.008, 3) + rng.uniform(0, 0.03) * np.array([1, 0.3, -0.8])
    )
    kind = rng.random()
    if kind < 0.62:
        size = (rng.uniform(0.2, 1.0), rng.uniform(0.2, 0.8))
        return yard.surface.add(
            m.PAVING, np.clip(tone, 0, 1), np.clip(tone * rng.uniform(0.55, 0.85), 0, 1), size=size,
            phase=float(rng.choice([0, 0.5])), threshold=rng.uniform(0.04, 0.35), grain=rng.uniform(0.15, 0.4),
        )  # fmt: skip
    if kind < 0.65:
        red = np.array([0.53, 0.43, 0.39]) + rng.normal(0, 0.02, 3)
        return yard.surface.add(m.BRICKS, red, red * 0.75, size=(0.21, 0.105), threshold=0.006, grain=0.25)
    return yard.surface.add(m.ROUGH, np.clip(tone, 0, 1), grain=rng.uniform(0.25, 0.5))


def _asphalt(yard: Yard) -> int:
    tone = np.full(3, yard.rng.uniform(0.4, 0.54)) + yard.rng.normal(0, 0.008, 3)
    return yard.surface.add(m.ROUGH, np.clip(tone, 0, 1), grain=yard.rng.uniform(0.2, 0.45))


def _furnish(yard: Yard, kind: str, far: float, edges: list[float], classes: list[int], place, turn: float) -> None:
    """Trees, bicycles, cars, fences, poles and small things, mostly along edges where they leave room to walk."""
    rng = yard.rng
    strips = [e for e in edges if 0 < e < far] or [far * 0.6]

    def spread(count: float, low: float = -14, high: float = 14) -> np.ndarray:
        return rng.uniform(low, high, rng.poisson(count))

    for _ in range(int(rng.choice([0, 1, 2], p=[0.35, 0.4, 0.25]))):  # rows of parked bicycles
        across = far - rng.uniform(0.8, 2.0) if rng.random() < 0.6 else float(rng.choice(strips)) + 0.8
        start, gap, lean = rng.uniform(-12, 4), rng.uniform(0.45, 0.9), rng.normal(1.57, 0.2)
        for i in range(int(rng.integers(3, 14))):
            solids.add_bicycle(
                yard, place(start + i * gap, across + rng.normal(0, 0.08)), turn + lean + rng.normal(0, 0.1)
            )
    if kind == "street":
        road = [e for e in edges if e > 0]
        for across in (road[0] + 1.2, road[-1] - 1.2) if len(road) > 1 else ():
            if rng.random() < 0.6:
                x = rng.uniform(-14, -6)
                while x < 14:
                    if rng.random() < 0.6:
                        flip = math.pi * float(rng.random() < 0.3)
                        solids.add_car(yard, place(x, across), turn + flip + rng.normal(0, 0.03))
                    x += rng.uniform(5, 8)
    elif rng.random() < 0.3:
        for along in spread(1.5):
            solids.add_car(yard, place(along, far - 2.2), turn + rng.choice([0, 1.57]) + rng.normal(0, 0.1))
    if rng.random() < 0.6:
        across = float(rng.choice(strips)) + rng.uniform(-0.8, 0.8)
        for along in spread(4 if kind == "park" else 2.5):
            solids.add_tree(yard, place(along, max(across + rng.normal(0, 0.4), 6.0)))
    if kind == "park":
        for along in spread(4, -20, 20):
            solids.add_tree(yard, place(along, rng.uniform(max(strips[-1], 6), far)))
    if rng.random() < 0.5:
        start = rng.uniform(-16, -2)
        across = float(rng.choice([*strips, far - 1.0])) + 0.25
        solids.add_fence(yard, place(start, max(across, 3.0)), turn, float(rng.integers(5, 18)))
    if rng.random() < 0.35:
        solids.add_hedge(yard, place(rng.uniform(-10, 10), far - rng.uniform(0.8, 2)), turn, rng.uniform(3, 10))
    for along in spread(2.4):
        solids.add_pole(yard, place(along, max(float(rng.choice(strips)) + rng.normal(0, 0.5), 2.5)))
    for along in spread(1.4):
        solids.add_sign(
            yard, place(along, max(float(rng.choice(strips)) + rng.normal(0, 0.6), 3.5)), turn + rng.normal(0, 0.6)
        )
    for along in spread(4.0):
        solids.add_small(yard, place(along, max(rng.uniform(2, far - 0.5), 3.0)), turn + rng.normal(0, 0.2))
