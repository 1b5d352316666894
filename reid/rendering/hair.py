"""Hair, hats and glasses."""

from __future__ import annotations

import numpy as np

from reid.rendering import materials as m
from reid.rendering.clothes import Dressing
from reid.rendering.mesh import ellipsoid, part, tube
from reid.rendering.truth import LABEL
from reid.rendering.wardrobe import Outfit


def wear_hair(d: Dressing, outfit: Outfit) -> None:
    """A cap of hair over the scalp, and what hangs from it: a curtain, a tail or a bun."""
    if outfit.hair == "bald":
        return
    a, cut = d.anatomy, outfit.cut
    colour = np.array(outfit.hair_colour[0])
    material = d.surface.add(m.HAIR, colour, phase=float(d.rng.random()), gloss=0.06, wrinkles=0.15)
    head = a.body.bones["head"]
    eye, ear, back = _face(d)
    y, z = a.vertices[:, 1], a.vertices[:, 2]
    line = eye[1] - 0.02
    fringe = 0.035 + 0.04 * cut[3] if outfit.hair in ("bob", "long", "full") else 0.058 + 0.03 * cut[3]
    nape = {"cropped": -0.035, "short": -0.06, "full": -0.085}.get(outfit.hair, -0.1)
    edge = np.interp(
        y, [line, line + 0.05, ear[1], ear[1] + 0.06], [eye[2] + fringe, eye[2] + 0.04, ear[2] + 0.015, ear[2] + nape]
    )
    cover = np.where(a.head > 0.5, z - edge, -1.0)
    thick = {"cropped": 0.008, "short": 0.016, "full": 0.03, "bob": 0.024, "long": 0.02}.get(outfit.hair, 0.012)
    thick *= 0.7 + 0.6 * cut[4]
    if outfit.hat:
        thick = min(thick, 0.012)
    normals = a.body.normals(a.vertices, "body")
    shell = a.vertices + normals * (thick * np.clip(cover / 0.04, 0.15, 1))[:, None]
    loose = 0.009 * np.clip(cover / 0.03, 0, 1) * (0.2 if outfit.hair == "cropped" else 1)
    coords = np.stack([np.arctan2(a.vertices[:, 0], y - back[1]) * 0.1, z], 1)
    d.add("body", shell, material, "hair", cut=cover, coords=coords, loose=loose, outward=normals)
    if outfit.hair in ("long", "bob"):
        length = 0.06 + 0.05 * cut[5] if outfit.hair == "bob" else 0.14 + 0.24 * cut[5]
        hang = np.minimum(z - (ear[2] - length), np.where(z < eye[2] + 0.05, y - (ear[1] - 0.05 + 0.03 * cut[6]), 0.02))
        wide = a.vertices + normals * 0
        fan = 1 + 0.25 * cut[7] * np.clip(ear[2] - z, 0, 0.3) / 0.3
        wide[:, 0] = wide[:, 0] * fan
        d.add(
            "hair", wide, material, "hair", cut=hang, coords=coords, loose=np.full(len(z), 0.004),
            outward=a.body.normals(a.vertices, "hair"),
        )  # fmt: skip
    elif outfit.hair == "ponytail":
        top = np.array([0, back[1] + 0.0, ear[2] + 0.03 + 0.05 * cut[5]])
        length = 0.16 + 0.2 * cut[6]
        path = top + np.array(
            [[0, -0.01, 0.0], [0, 0.045, 0.005], [0, 0.065, -0.03], [0, 0.06, -0.5 * length], [0, 0.045, -length]]
        )
        vertices, faces = tube(path, np.array([0.018, 0.024, 0.03, 0.03, 0.008]) * (0.8 + 0.5 * cut[7]), 9)
        d.parts.append(part(vertices, faces, material, LABEL["hair"], bone=head))
    elif outfit.hair == "bun":
        high = 0.02 + 0.09 * cut[5]
        centre = np.array([0, back[1] + 0.012 - 0.35 * max(high - 0.05, 0), ear[2] + high])
        vertices, faces = ellipsoid(centre, np.full(3, 0.036 + 0.012 * cut[6]), 2.0, 9)
        d.parts.append(part(vertices, faces, material, LABEL["hair"], bone=head))


def wear_hat(d: Dressing, outfit: Outfit) -> None:
    """A cap, beanie or sun hat."""
    if not outfit.hat:
        return
    a, cut = d.anatomy, outfit.cut
    colour = np.array(outfit.hat_colour[0])
    material = d.surface.add(m.PLAIN, colour, grain=0.08, wrinkles=0.1)
    head = a.body.bones["head"]
    eye, _, _ = _face(d)
    scalp = a.vertices[(a.head > 0.5) & (a.vertices[:, 2] > eye[2] + 0.04)]
    top, middle = scalp[:, 2].max(), scalp[:, 1].mean()
    half = np.array([np.abs(scalp[:, 0]).max(), np.ptp(scalp[:, 1]) / 2, 0])
    if outfit.hat == "beanie":
        edge = eye[2] + 0.03 + 0.02 * cut[2]
        normals = a.body.normals(a.vertices, "body")
        tilt = np.clip(a.vertices[:, 1] - eye[1], 0, 0.2) * 0.2
        cover = np.where(a.head > 0.5, a.vertices[:, 2] - edge + tilt, -1.0)
        lift = 0.022 + 0.3 * np.clip(a.vertices[:, 2] - (top - 0.05), 0, 1) * cut[3]
        d.add("body", a.vertices + normals * lift[:, None], material, "hat", cut=cover)
        return
    base = top - (0.085 if outfit.hat == "cap" else 0.07)
    crown = np.array([0, middle, base])
    vertices, faces = ellipsoid(crown, np.array([half[0] + 0.022, half[1] + 0.022, top - base + 0.028]), 2.3, 16)
    faces = faces[(vertices[faces, 2] > base - 0.012).all(1)]
    d.parts.append(part(vertices, faces, material, LABEL["hat"], bone=head))
    if outfit.hat == "cap":
        turned = 1.0 if cut[4] > 0.12 else -1.0  # some wear it back to front
        brim = crown + np.array([0, -turned * (half[1] + 0.025), -0.002])
        vertices, faces = ellipsoid(brim, np.array([half[0] * 0.85, 0.075, 0.008]), 2.0, 12)
        vertices[:, 2] -= 0.15 * np.maximum(-turned * (vertices[:, 1] - brim[1]), 0)
    else:
        width = 0.075 + 0.06 * cut[4]
        vertices, faces = ellipsoid(crown, np.array([half[0] + width, half[1] + width, 0.008]), 2.0, 16)
        out = np.hypot(vertices[:, 0], vertices[:, 1] - middle)
        vertices[:, 2] -= 0.25 * np.maximum(out - half[1], 0)
    d.parts.append(part(vertices, faces, material, LABEL["hat"], bone=head))


def wear_glasses(d: Dressing, outfit: Outfit) -> None:
    """Frames before the eyes, or sunglasses."""
    if not outfit.glasses:
        return
    a = d.anatomy
    dark = d.surface.add(m.PLAIN, (0.06, 0.06, 0.07), gloss=0.5)
    head = a.body.bones["head"]
    for group, sign in (("eye_left", 1), ("eye_right", -1)):
        eye = a.vertices[np.unique(a.body.faces[group])]
        centre = eye.mean(0) + np.array([0.002 * sign, 0, -0.002])
        front = eye[:, 1].min() - 0.012
        angle = np.linspace(0, 2 * np.pi, 13)
        ring = centre + np.stack([0.024 * np.cos(angle), 0 * angle, 0.018 * np.sin(angle)], 1)
        ring[:, 1] = front
        vertices, faces = tube(ring, 0.003, 5)
        d.parts.append(part(vertices, faces, dark, LABEL["face"], bone=head))
        if outfit.cut[6] < 0.35:  # sunglasses
            vertices, faces = ellipsoid(
                np.array([centre[0], front, centre[2]]), np.array([0.024, 0.003, 0.018]), 2.5, 8
            )
            d.parts.append(part(vertices, faces, dark, LABEL["face"], bone=head))
        arm = np.array([ring[0 if sign > 0 else 6], [sign * 0.075, front + 0.1, centre[2] + 0.005]])
        vertices, faces = tube(arm, 0.003, 4)
        d.parts.append(part(vertices, faces, dark, LABEL["face"], bone=head))


def _face(d: Dressing) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of the eyes' middle, the ears' middle and the back of the head."""
    a = d.anatomy
    eye = np.mean([a.vertices[np.unique(a.body.faces[g])].mean(0) for g in ("eye_left", "eye_right")], axis=0)
    joints = a.body.joints(a.vertices)
    ear = (joints[3] + joints[4]) / 2
    skull = a.vertices[(a.head > 0.5) & (a.vertices[:, 2] > ear[2])]
    return eye, ear, np.array([0, skull[:, 1].max(), ear[2]])
