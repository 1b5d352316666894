"""Bags with their straps, and what hands hold."""

from __future__ import annotations

import numpy as np

from reid.rendering import materials as m
from reid.rendering.anatomy import ARM
from reid.rendering.clothes import Dressing
from reid.rendering.mesh import ellipsoid, part, tube
from reid.rendering.truth import LABEL
from reid.rendering.wardrobe import Outfit

HANG_LEFT, HANG_RIGHT = 0, 1
"""Bones after those of the body: they follow a wrist but keep upright, as what hangs from a hand does."""


def carry_bag(d: Dressing, outfit: Outfit) -> None:
    """The outfit's bag: on the back, across the body or in the right hand."""
    if not outfit.bag:
        return
    first, second, _ = outfit.bag_colours
    cut = outfit.cut
    leather = outfit.bag in ("handbag", "briefcase") or cut[9] > 0.7
    material = d.surface.add(
        m.BLOCK if outfit.bag == "backpack" and cut[8] > 0.6 else m.PLAIN, first, second, second, size=(1, 0.008),
        threshold=0.22 + 0.15 * cut[7], gloss=0.3 if leather else 0.05, grain=0.08, wrinkles=0.15,
    )  # fmt: skip
    {"backpack": _backpack, "shoulder bag": _shoulder_bag}.get(outfit.bag, _hand_bag)(d, outfit, material)


def _backpack(d: Dressing, outfit: Outfit, material: int) -> None:
    a, cut = d.anatomy, outfit.cut
    tall = 0.17 + 0.1 * cut[4]
    top = a.bone("clavicle.L")[2] + 0.02
    middle = top - tall - 0.02 - 0.08 * cut[5]
    near = (a.arm < 0.3) & (np.abs(a.vertices[:, 2] - middle) < 0.2) & (np.abs(a.vertices[:, 0]) < 0.12)
    near &= a.vertices[:, 1] > a.axis[:, 1]
    back = np.quantile(d.outer[near, 1], 0.75)  # not the furthest: the sack would hang in the air above the hips
    deep = 0.055 + 0.05 * cut[6]
    sack = np.array([0.12 + 0.04 * cut[5], deep, tall])
    vertices, faces = ellipsoid(np.array([0, back + deep * 0.8, middle]), sack, 3.6, 18)
    coords = vertices[:, [0, 2]] - [0, a.waist]
    bone = a.body.bones["spine02"]
    d.parts.append(part(vertices, faces, material, LABEL["bag"], coords=coords, bone=bone))
    pocket = np.array([sack[0] * 0.8, deep * 0.5, tall * 0.4])
    vertices, faces = ellipsoid(np.array([0, back + deep * 1.7, middle - tall * 0.45]), pocket, 3.6, 12)
    d.parts.append(part(vertices, faces, material, LABEL["bag"], coords=vertices[:, [0, 2]] - [0, a.waist], bone=bone))
    # Straps lie on the clothes: down the chest, then back under the arm to the foot of the sack.
    low = middle - tall * 0.55
    down = np.clip((top - a.vertices[:, 2]) / max(top - low, 0.05), -0.4, 1.2)
    front = a.vertices[:, 1] < a.axis[:, 1] + 0.03
    run = np.where(front, 0.1 + 0.09 * np.clip(down, 0, 1) ** 2, 0.1)
    if cut[11] < 0.12:  # on one shoulder only
        off = np.where(a.vertices[:, 0] > 0, np.abs(np.abs(a.vertices[:, 0]) - run), 1.0)
    else:
        off = np.abs(np.abs(a.vertices[:, 0]) - run)
    cover = np.minimum(0.022 + 0.008 * cut[10] - off, a.vertices[:, 2] - low)
    _strap(d, material, np.where((a.region == ARM) & (a.reach > 0.1), -1.0, cover))


def _shoulder_bag(d: Dressing, outfit: Outfit, material: int) -> None:
    """A bag at the hip; its strap runs across the body or straight up to the shoulder."""
    a, cut = d.anatomy, outfit.cut
    across = cut[4] < 0.65
    side = -1.0 if cut[5] < 0.6 else 1.0
    hip = a.bone("upperleg01.L")
    width, tall = 0.1 + 0.06 * cut[6], 0.09 + 0.06 * cut[7]
    edge = np.abs(d.outer[(np.abs(a.vertices[:, 2] - hip[2]) < 0.08) & (a.arm < 0.3), 0]).max()
    behind = 0.02 + 0.08 * cut[8] * (1 if cut[9] < 0.7 else -1)
    centre = np.array([side * (edge + 0.035), behind, a.waist - 0.06 - tall * (0.6 + cut[8])])
    vertices, faces = ellipsoid(centre, np.array([0.04 + 0.03 * cut[10], width, tall]), 3.4, 14)
    coords = vertices[:, [1, 2]] - [0, a.waist]
    d.parts.append(part(vertices, faces, material, LABEL["bag"], coords=coords, bone=a.body.bones["spine05"]))
    shoulder = a.bone("clavicle.L")[2] + 0.06
    start = np.array([-side * 0.1 if across else side * 0.13, shoulder])
    end = np.array([side * (edge * 0.95), centre[2] + tall * 0.6])
    line = end - start
    line /= np.linalg.norm(line)
    offset = a.vertices[:, [0, 2]] - start
    off = np.abs(offset[:, 0] * line[1] - offset[:, 1] * line[0])
    cover = np.minimum(0.016 + 0.01 * cut[11] - off, a.vertices[:, 2] - centre[2])
    _strap(d, material, np.where((a.region == ARM) & (a.reach > 0.1), -1.0, cover))


def _hand_bag(d: Dressing, outfit: Outfit, material: int) -> None:
    """A bag that hangs from the right hand by its loop."""
    a, cut = d.anatomy, outfit.cut
    half = {
        "briefcase": np.array([0.04, 0.2, 0.14]),
        "carrier bag": np.array([0.06 + 0.05 * cut[4], 0.12 + 0.05 * cut[5], 0.15 + 0.08 * cut[6]]),
    }.get(outfit.bag, np.array([0.05 + 0.03 * cut[4], 0.12 + 0.06 * cut[5], 0.09 + 0.06 * cut[6]]))
    wrist = a.bone("wrist.R")
    grip = wrist + np.array([-0.05, -0.03, -0.06])
    loop = 0.06 + 0.1 * cut[7]
    centre = grip - [0, 0, loop + half[2]]
    vertices, faces = ellipsoid(centre, half, 4.0 if outfit.bag == "briefcase" else 3.0, 14)
    bone = len(a.body.bones) + HANG_RIGHT
    d.parts.append(part(vertices, faces, material, LABEL["bag"], coords=vertices[:, [1, 2]], bone=bone))
    s = np.linspace(-1, 1, 9)
    arch = np.stack([0 * s, s * half[1] * 0.6, (loop + 0.02) * (1 - s**4) - 0.02], 1)
    path = arch + centre + np.array([0, 0, half[2]])
    vertices, faces = tube(path, 0.009, 5)
    d.parts.append(part(vertices, faces, material, LABEL["bag"], bone=bone))


def _strap(d: Dressing, material: int, cover: np.ndarray) -> None:
    """A band over the clothes, where `cover` is positive."""
    d.add("tights", (d.outer + d.outward * 0.014).astype(np.float32), material, "bag", cut=cover)


def hold_item(d: Dressing, outfit: Outfit) -> None:
    """A phone, bottle, folder or umbrella in the left hand."""
    if not outfit.item:
        return
    a, cut = d.anatomy, outfit.cut
    wrist = a.bone("wrist.L")
    palm = wrist + np.array([0.055, -0.045, -0.055])
    dark = d.surface.add(m.PLAIN, (0.08, 0.08, 0.09), gloss=0.4)
    bone = a.body.bones["wrist.L"]
    if outfit.item == "phone":
        vertices, faces = ellipsoid(palm + np.array([0.02, -0.02, 0.01]), np.array([0.035, 0.008, 0.07]), 5.0, 8)
        d.parts.append(part(vertices, faces, dark, LABEL["bag"], bone=bone))
    elif outfit.item == "bottle":
        tint = d.surface.add(m.BLOCK, (0.6, 0.7, 0.75), outfit.bag_colours[1], size=(1, 0.01), threshold=0.0, gloss=0.5)
        grip = wrist + np.array([0.05, -0.03, -0.09])
        path = grip + np.array([[0, 0, 0.05], [0, 0, 0.03], [0, 0, 0.0], [0, 0, -0.13]])
        vertices, faces = tube(path, np.array([0.01, 0.014, 0.033, 0.033]), 8)
        hang = len(a.body.bones) + HANG_LEFT
        d.parts.append(part(vertices, faces, tint, LABEL["bag"], coords=vertices[:, [0, 2]] - grip[[0, 2]], bone=hang))
    elif outfit.item == "folder":
        paper = d.surface.add(m.PLAIN, (0.85, 0.85, 0.83) if cut[4] < 0.5 else outfit.bag_colours[1], gloss=0.1)
        vertices, faces = ellipsoid(palm + np.array([-0.03, -0.02, 0.06]), np.array([0.12, 0.012, 0.155]), 6.0, 10)
        d.parts.append(part(vertices, faces, paper, LABEL["bag"], bone=bone))
    else:
        colour = np.array(outfit.bag_colours[1])
        cloth = d.surface.add(m.V_STRIPES, colour, colour * 0.8, size=(0.12, 1), threshold=0.1, grain=0.04)
        hang = len(a.body.bones) + HANG_LEFT
        grip = wrist + np.array([0.0, -0.06, -0.03])
        vertices, faces = tube(grip + np.array([[0, 0, -0.1], [0, 0, 0.66]]), 0.008, 5)
        d.parts.append(part(vertices, faces, dark, LABEL["bag"], bone=hang))
        crown = grip + np.array([-0.1, 0.05, 0.42])
        vertices, faces = ellipsoid(crown, np.array([0.5, 0.5, 0.26]), 2.0, 18)
        faces = faces[(vertices[faces, 2] > crown[2] + 0.06).all(1)]
        angle = np.arctan2(vertices[:, 1] - crown[1], vertices[:, 0] - crown[0])
        coords = np.stack([angle * 0.12 * 8 / (2 * np.pi), vertices[:, 2]], 1)
        d.parts.append(part(vertices, faces, cloth, LABEL["bag"], coords=coords, bone=hang))
