"""Garments: copies of the body's helper surfaces, lifted off the skin, draped, and cut to length.

Every garment gives each vertex a signed distance to its outline ("cut"); the rasteriser interpolates it and drops what
is outside, so hems are crisp without a mesh of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reid.rendering import materials as m
from reid.rendering.anatomy import ARM, TORSO, Anatomy, unrolled
from reid.rendering.mesh import Mesh, ellipsoid, part
from reid.rendering.prints import draw_print
from reid.rendering.truth import LABEL
from reid.rendering.wardrobe import Outfit

_NOWHERE = -1.0
_TAIL = 0.06  # metres above the crotch; what reaches lower hangs as a tail of its own, over both legs


@dataclass
class Dressing:
    """A body being dressed.

    Attributes:
        parts: pieces so far. covered: (N,) metres that clothes reach beyond each vertex; skin well inside is left out.
        hidden: (N,) bool, skin that is left out altogether.
        outer: (N, 3) the outermost surface so far, which straps lie on.
        outward: (N, 3) the directions that cloth is lifted in.
    """

    anatomy: Anatomy
    surface: m.Materials
    rng: np.random.Generator
    parts: list[Mesh] = field(default_factory=list)
    covered: np.ndarray = field(init=False)
    hidden: np.ndarray = field(init=False)
    outer: np.ndarray = field(init=False)
    outward: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.covered = np.full(len(self.anatomy.vertices), _NOWHERE)
        self.hidden = np.zeros(len(self.covered), bool)
        self.outer = self.anatomy.vertices.copy()
        self.outward = self.anatomy.body.normals(self.anatomy.vertices, "tights")

    def add(self, group: str, vertices: np.ndarray, material: int | np.ndarray, label: str, **options: object) -> None:
        """Add a copy of one of the body's surfaces that moves with the body."""
        body = self.anatomy.body
        faces = body.faces[group]
        options.setdefault("closed", group != "hair")
        if "coords" not in options:
            options["coords"] = self.anatomy.pattern_coords(group)
        self.parts.append(
            part(vertices, faces, material, LABEL[label], weights=body.weights, influences=body.influences, **options)  # type: ignore[arg-type]
        )


def wear_upper(d: Dressing, outfit: Outfit) -> None:
    """The garment on the torso: from a tank top to a dress."""
    a, cut = d.anatomy, outfit.cut
    sleeve = {
        "tank top": 0.02, "t-shirt": 0.5 + 0.45 * cut[0], "polo shirt": 0.6 + 0.35 * cut[0],
        "short-sleeved shirt": 0.85,         "dress": 0.15 + 0.7 * cut[0], "blouse": 0.5 + 1.4 * cut[0],
    }.get(outfit.upper, 1.95)  # fmt: skip
    if outfit.upper in ("shirt", "long-sleeved top") and cut[0] > 0.75:
        sleeve = 1.25  # rolled up
    tucked = outfit.upper in ("shirt", "short-sleeved shirt", "blouse", "tank top") and cut[1] < 0.35
    hem = a.waist - (0.04 if tucked else 0.09 + 0.14 * cut[1])
    collar = -0.05 + 0.06 * cut[2]
    if outfit.upper in ("shirt", "short-sleeved shirt", "polo shirt"):
        collar = 0.005
    if outfit.upper in ("hoodie", "turtleneck"):
        collar = 0.03
    if outfit.upper == "tank top":
        collar = -0.075
    cover = _top_cut(a, sleeve, hem, collar)
    drape = {"tank top": 0.3, "turtleneck": 0.3, "hoodie": 0.9, "blouse": 0.8}.get(outfit.upper, 0.25 + 0.7 * cut[3])
    thick = {"hoodie": 0.016, "sweater": 0.013, "dress": 0.008}.get(outfit.upper, 0.007 + 0.006 * cut[3])
    if outfit.outer:
        drape, thick = drape * 0.4, min(thick, 0.01)
    torso, sleeves = _upper_materials(d, outfit)
    region = a.face_region("tights")
    surface = _lifted(d, a.draped(drape, 0.05 * cut[4]), thick)
    d.add(
        "tights", surface, np.where(region == ARM, sleeves, torso), "upper clothes", cut=cover,
        loose=_folds(a, 0.002 + 0.006 * drape), outward=d.outward,
    )  # fmt: skip
    d.covered = np.maximum(d.covered, cover)
    d.outer = np.where((cover > -0.02)[:, None], surface, d.outer)
    if outfit.upper in ("shirt", "short-sleeved shirt", "polo shirt", "turtleneck", "hoodie"):
        height = 0.075 if outfit.upper == "turtleneck" else 0.05
        _collar(d, torso if outfit.upper != "polo shirt" or cut[2] < 0.6 else sleeves, height, outfit.upper == "hoodie")
    if outfit.upper != "dress" and not tucked and hem < a.crotch + _TAIL:
        _skirt(d, torso, "upper clothes", hem, 0.03, a.crotch + _TAIL + 0.1, 1.07 + 0.12 * drape + 1.5 * thick)
    if outfit.upper == "dress":
        _skirt(d, torso, "upper clothes", a.knee - 0.16 + 0.34 * cut[3], 0.03 + 0.05 * cut[4], a.waist + 0.08)


def wear_outer(d: Dressing, outfit: Outfit) -> None:
    """A jacket, coat, cardigan or vest over the upper garment; some are open and show what is under it."""
    if not outfit.outer:
        return
    a, cut = d.anatomy, outfit.cut
    first, second, _ = outfit.outer_colours
    knitted = outfit.outer == "cardigan"
    material = d.surface.add(
        m.BLOCK if outfit.outer == "jacket" and cut[5] > 0.8 else m.PLAIN, first, second, second,
        size=(0.1, 0.012), threshold=0.16 + 0.16 * cut[6], wrinkles=0.15 if knitted else 0.26,
        gloss=0.02 if knitted else 0.12 * cut[7], grain=0.16 if knitted else 0.07,
    )  # fmt: skip
    sleeve = 0.03 if outfit.outer == "vest" else 1.97
    hem = a.waist - 0.12 - 0.12 * cut[5]
    if outfit.outer == "coat":
        hem = a.crotch - 0.02
    cover = _top_cut(a, sleeve, hem, 0.015)
    if outfit.outer in ("open jacket", "cardigan") or (outfit.outer in ("vest", "coat") and cut[6] < 0.5):
        gap = 0.03 + 0.05 * cut[7] + 0.12 * np.clip(a.fall - 0.05, 0, 0.5) * cut[4]
        front = np.abs(a.around) * 0.155
        cover = np.where((a.region == TORSO) & (front < 0.35), np.minimum(cover, front - gap), cover)
    surface = _lifted(d, a.draped(0.55 + 0.4 * cut[3], 0.06), 0.024)
    d.add("tights", surface, material, "upper clothes", cut=cover, loose=_folds(a, 0.007), outward=d.outward)
    d.covered = np.maximum(d.covered, cover)
    d.outer = np.where((cover > -0.02)[:, None], surface, d.outer)
    _collar(d, material, 0.055, cut[8] < 0.35)
    if outfit.outer != "coat" and hem < a.crotch + _TAIL:
        _skirt(d, material, "upper clothes", hem, 0.03, a.crotch + _TAIL + 0.1, 1.18)
    if outfit.outer == "coat":
        _skirt(d, material, "upper clothes", a.knee + 0.3 * cut[5] - 0.1, 0.035, a.waist + 0.05, 1.12)


def wear_lower(d: Dressing, outfit: Outfit) -> None:
    """Trousers, shorts, leggings or a skirt, left out where an upper garment hangs over them."""
    if not outfit.lower:
        return
    a, cut = d.anatomy, outfit.cut
    material = _lower_material(d, outfit)
    if outfit.lower == "skirt":
        hem = a.knee - 0.22 + 0.46 * cut[5] ** 0.6
        flare = 0.12 + 0.3 * cut[6] if hem < a.knee else 0.03 + 0.1 * cut[6]
        _skirt(d, material, "lower clothes", hem, flare, a.waist + 0.03)
        return
    length = {"shorts": 0.5 + 0.5 * cut[5], "cropped trousers": 1.25 + 0.35 * cut[5], "leggings": 1.6 + 0.36 * cut[5]}
    end = length.get(outfit.lower, 1.94)
    width = 0.0 if outfit.lower == "leggings" else 0.1 + 0.75 * cut[6] ** 1.3
    if outfit.lower == "shorts":
        width = 0.5 + 0.5 * cut[6]
    cover = np.where(a.arm > 0.4, _NOWHERE, np.minimum(a.waist - a.vertices[:, 2], (end - a.drop) * 0.38))
    cover = np.minimum(cover, 0.03 - d.covered)  # nothing pokes through what hangs over it
    surface = _lifted(d, a.draped(0.3, 0.0, width), 0.004 if outfit.lower == "leggings" else 0.006 + 0.005 * width)
    d.add(
        "tights", surface, material, "lower clothes", cut=cover, loose=_folds(a, 0.002 + 0.008 * width),
        outward=d.outward,
    )  # fmt: skip
    d.covered = np.maximum(d.covered, cover)


def wear_shoes(d: Dressing, outfit: Outfit) -> None:
    """Shoes with soles; socks or boots as the outfit says."""
    a, cut = d.anatomy, outfit.cut
    first, second, _ = outfit.shoe_colours
    light_sole = outfit.shoes == "sneakers" and cut[8] < 0.7
    sole = (0.82, 0.82, 0.80) if light_sole else tuple(0.5 * x for x in first)
    boundary = a.sole + 0.018 - a.waist
    material = d.surface.add(
        m.BLOCK, sole, first, second if outfit.shoes == "sneakers" else first, size=(1, 0.004),
        threshold=boundary, gloss=0.25 if outfit.shoes in ("shoes", "boots") else 0.06, grain=0.05,
    )  # fmt: skip
    top = {"boots": 0.12 + 0.2 * cut[9], "sneakers": 0.03 + 0.03 * cut[9], "sandals": -0.062, "flats": -0.045}
    height = top.get(outfit.shoes, 0.01)
    cover = np.where(a.leg > 0.5, a.ankle + height - a.vertices[:, 2], _NOWHERE)
    surface = _lifted(d, a.vertices, 0.009)
    surface[:, 2] = np.where(a.vertices[:, 2] < a.sole + 0.02, surface[:, 2] - 0.008, surface[:, 2])
    d.add("tights", surface, material, "shoe", cut=cover)
    d.covered = np.maximum(d.covered, cover)
    if outfit.shoes in ("sneakers", "shoes") and cut[10] < 0.6:
        sock = d.surface.add(m.PLAIN, (0.85, 0.85, 0.84) if cut[10] < 0.3 else (0.12, 0.12, 0.13), wrinkles=0.1)
        reach = np.where(a.leg > 0.5, a.ankle + height + 0.03 + 0.15 * cut[11] - a.vertices[:, 2], _NOWHERE)
        d.add("tights", _lifted(d, a.vertices, 0.002), sock, "leg", cut=reach)


def _top_cut(a: Anatomy, sleeve: float, hem: float, collar: float) -> np.ndarray:
    z, y = a.vertices[:, 2], a.vertices[:, 1]
    dip = 0.3 * np.maximum(-y - 0.03, 0) if collar < 0 else 0.0
    body = np.minimum(z - max(hem, a.crotch + _TAIL), a.neck + collar - z - dip)
    arms = (sleeve - a.reach) * 0.27
    share = np.clip(a.arm * 1.6 - 0.3, 0, 1)
    if sleeve < 0.1:  # armholes
        body = np.where(a.arm > 0.02, np.minimum(body, 0.02 - 0.12 * a.arm), body)
    return share * arms + (1 - share) * body


def _lifted(d: Dressing, vertices: np.ndarray, by: float) -> np.ndarray:
    return (vertices + d.outward * by).astype(np.float32)


def _folds(a: Anatomy, depth: float) -> np.ndarray:
    """Metres of folds: more where cloth hangs free, little at the shoulders."""
    return depth * (0.25 + 0.75 * np.clip(a.fall / 0.3, 0, 1))


def _collar(d: Dressing, material: int, height: float, hood: bool) -> None:
    a = d.anatomy
    above = a.vertices[:, 2] - (a.neck - 0.02)
    cover = np.where(
        a.arm > 0.3, _NOWHERE, np.minimum(above, height - above - 0.25 * np.maximum(-a.vertices[:, 1] - 0.02, 0))
    )
    d.add("tights", _lifted(d, a.vertices, 0.02), material, "upper clothes", cut=cover)
    neck_only = np.where(a.head > 0.5, _NOWHERE, cover)
    d.add("body", a.vertices + a.body.normals(a.vertices, "body") * 0.014, material, "upper clothes", cut=neck_only)
    if hood:
        centre = np.array([0.0, a.bone("neck01")[1] + 0.075, a.neck - 0.005])
        vertices, faces = ellipsoid(centre, np.array([0.115, 0.06, 0.06]), 2.2, 10)
        d.parts.append(part(vertices, faces, material, LABEL["upper clothes"], bone=a.body.bones["spine01"]))


def _skirt(d: Dressing, material: int, label: str, hem: float, flare: float, top: float, girth: float = 1.07) -> None:
    a = d.anatomy
    v = a.vertices.astype(float).copy()
    centre = np.array([0.0, a.bone("upperleg01.L")[1], 0.0])
    down = np.clip(top - v[:, 2], 0, None)
    wide = girth + flare * down / 0.3
    v[:, :2] = (v - centre)[:, :2] * wide[:, None] + centre[:2]
    cover = np.minimum(v[:, 2] - hem, top - v[:, 2])
    normals = a.body.normals(a.vertices, "skirt")
    faces = a.body.faces["skirt"]
    u = np.arctan2(v[:, 0], -(v[:, 1] - centre[1])) * 0.16
    coords = np.stack([unrolled(u[faces], 2 * np.pi * 0.16), (v[:, 2] - a.waist)[faces]], -1)
    pleats = (0.004 + 0.012 * min(flare / 0.3, 1)) * np.clip(down / 0.3, 0.1, 1)
    d.add("skirt", v.astype(np.float32), material, label, cut=cover, coords=coords, loose=pleats, outward=normals)
    inside = np.where((a.vertices[:, 2] < top) & (a.arm < 0.4), a.vertices[:, 2] - hem, _NOWHERE)
    d.covered = np.maximum(d.covered, np.where(a.vertices[:, 2] > hem, np.minimum(inside, 0.06), _NOWHERE))


def _upper_materials(d: Dressing, outfit: Outfit) -> tuple[int, int]:
    """Materials of the torso and of the sleeves."""
    first, second, _ = outfit.upper_colours
    cut, r = outfit.cut, d.rng
    third = tuple(float(x) for x in np.clip(np.array(second) * 0.6 + 0.2, 0, 1))
    knitted = outfit.upper in ("sweater", "turtleneck")
    common = {
        "wrinkles": 0.14 if knitted else 0.22,
        "grain": 0.14 if knitted else 0.05,
        "gloss": 0.03,
        "phase": float(r.random()),
    }
    fine = 0.02 + 0.07 * cut[7]
    pattern, size, threshold = {
        "plain": (m.PLAIN, (1.0, 1.0), 0.5),
        "stripes": (m.H_STRIPES, (1.0, fine * 1.4), 0.3 + 0.3 * cut[8]),
        "bars": (m.V_STRIPES, (fine, 1.0), 0.25 + 0.3 * cut[8]),
        "plaid": (m.PLAID, (0.04 + 0.07 * cut[7], 0.04 + 0.07 * cut[7]), 0.5),
        "block": (m.BLOCK, (1.0, 0.012 * (cut[8] > 0.5)), 0.05 + 0.3 * cut[7]),
        "raglan": (m.PLAIN, (1.0, 1.0), 0.5),
        "floral": (m.BLOTCHES, (0.5 + 0.9 * cut[7], 1.0), 0.25 + 0.3 * cut[8]),
        "dotted": (m.DOTS, (0.03 + 0.06 * cut[7], 0.03 + 0.06 * cut[7]), 0.22 + 0.15 * cut[8]),
        "checks": (m.CHECKS, (0.02 + 0.03 * cut[7], 0.02 + 0.03 * cut[7]), 0.5),
        "fading": (m.FADE, (1.0, 0.5), 0.5),
    }[outfit.upper_pattern]
    if outfit.upper_pattern == "fading":
        common["phase"] = -0.15
    print_: dict[str, object] = {}
    if outfit.print_:
        image = d.surface.image(draw_print(r, second, third))
        half = 0.05 + 0.075 * cut[9]
        back = cut[10] > 0.85
        print_ = {
            "print_": image,
            "print_centre": (np.pi * 0.155 if back else (0.0 if cut[10] > 0.2 else 0.07), 0.2 + 0.06 * cut[11]),
            "print_half": (half, half * (0.5 + 0.7 * cut[11])) if cut[10] > 0.2 or back else (0.035, 0.03),
        }
    torso = d.surface.add(pattern, first, second, third, size=size, threshold=threshold, **common, **print_)  # type: ignore[arg-type]
    if outfit.upper_pattern == "raglan":
        return torso, d.surface.add(m.PLAIN, second, **common)  # type: ignore[arg-type]
    if print_:
        return torso, d.surface.add(pattern, first, second, third, size=size, threshold=threshold, **common)  # type: ignore[arg-type]
    return torso, torso


def _lower_material(d: Dressing, outfit: Outfit) -> int:
    first, second, _ = outfit.lower_colours
    cut, phase = outfit.cut, float(d.rng.random())
    wrinkles = 0.08 if outfit.lower == "leggings" else 0.22
    if outfit.lower_pattern == "denim":
        pale = tuple(float(x) for x in np.clip(np.array(first) * 1.5 + 0.08, 0, 1))
        return d.surface.add(
            m.DENIM, first, pale, size=(0.0, 1.0), threshold=0.2 + 0.6 * cut[7], phase=phase, wrinkles=0.2,
            grain=0.10,
        )  # fmt: skip
    pattern, size, threshold = {
        "plain": (m.PLAIN, (1.0, 1.0), 0.5),
        "side stripe": (m.SIDE_STRIPE, (0.085 * np.pi / 2, 1.0), 0.012 + 0.02 * cut[8]),
        "blotches": (m.BLOTCHES, (0.9, 1.0), 0.15),
        "plaid": (m.PLAID, (0.06, 0.06), 0.5),
    }[outfit.lower_pattern]
    return d.surface.add(
        pattern, first, second, size=size, threshold=threshold, phase=phase, wrinkles=wrinkles, grain=0.06,
        gloss=0.02,
    )  # fmt: skip
