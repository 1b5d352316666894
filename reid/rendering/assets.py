"""Clothes, hair and skins of a MakeHuman asset folder (CC0), fitted to a body. Optional: the files are not part of this
project.

A fitted vertex is a mix of three body vertices plus an offset in the measure of the body, as the `.mhclo` file says; it
moves with the bones as these three do.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from reid.errors import PartwiseError
from reid.rendering import materials as m
from reid.rendering.body import Body, read_groups
from reid.rendering.clothes import Dressing, wear_lower, wear_outer, wear_shoes, wear_upper
from reid.rendering.mesh import part
from reid.rendering.truth import LABEL
from reid.rendering.wardrobe import Colour, Outfit, colour_name

_TEXTURE = 256
_HAIR = {
    "long": ("long01", "braid01"),
    "ponytail": ("ponytail01",),
    "bob": ("bob02",),
    "short": ("short01", "short02", "short03", "short04"),
    "full": ("short03", "short04"),
}


@dataclass(frozen=True)
class Assets:
    """What a folder holds: paths of `.mhclo` files and of skins; `share` of the people wear them."""

    suits: tuple[Path, ...]
    shoes: tuple[Path, ...]
    hair: tuple[Path, ...]
    skins: tuple[Path, ...]
    share: float = 0.45


def find_assets(folder: Path) -> Assets:
    """Look through an asset folder.

    Raises:
        PartwiseError: it has no clothes/.
    """
    if not (folder / "clothes").is_dir():
        raise PartwiseError(
            f"{folder} has no clothes/; name a folder with clothes/, hair/ and skins/ of MakeHuman assets."
        )
    clothes = [p for p in sorted((folder / "clothes").glob("*/*.mhclo")) if _diffuse(p) is not None]
    return Assets(
        suits=tuple(p for p in clothes if "shoes" not in p.stem),
        shoes=tuple(p for p in clothes if "shoes" in p.stem),
        hair=tuple(p for p in sorted((folder / "hair").glob("*/*.mhclo")) if _diffuse(p) is not None),
        skins=tuple(sorted((folder / "skins").glob("*/*diffuse*.png"))),
    )


def dress_from_assets(d: Dressing, outfit: Outfit, assets: Assets) -> Outfit:
    """Put on a suit, or only its upper or lower half with drawn clothes for the rest. Returns what is worn then."""
    fitting = [p for p in assets.suits if p.stem.startswith("female") == outfit.female]
    if not fitting:
        fitting = list(assets.suits)
    suit = _garment(fitting[int(d.rng.integers(len(fitting)))], d.anatomy.body)
    worn = str(d.rng.choice(["both", "upper", "lower"], p=[0.5, 0.2, 0.3]))
    if outfit.upper == "dress" or outfit.lower == "skirt":
        outfit = replace(outfit, upper="blouse" if outfit.upper == "dress" else outfit.upper, lower="trousers")
    a = d.anatomy
    if worn != "upper":
        tint, name = _add_half(d, suit, False, outfit.lower_colours[0])
        outfit = replace(outfit, lower="trousers", lower_pattern="plain", lower_colours=(tint, tint, name))
        d.hidden |= suit.hidden & (a.vertices[:, 2] < a.waist - 0.02)
    else:
        wear_lower(d, outfit)
    if worn != "lower":
        tint, name = _add_half(d, suit, True, outfit.upper_colours[0])
        garment = "jacket" if "elegant" in suit.name or "work" in suit.name else "top"
        outfit = replace(
            outfit, upper=garment, upper_pattern="plain", upper_colours=(tint, tint, name), outer="", print_=False
        )
        d.hidden |= suit.hidden & (a.vertices[:, 2] >= a.waist - 0.02)
        d.outer = (a.vertices + d.outward * 0.016).astype(np.float32)
    else:
        wear_upper(d, outfit)
        wear_outer(d, outfit)
    if assets.shoes and d.rng.random() < 0.6:
        shoes = _garment(assets.shoes[int(d.rng.integers(len(assets.shoes)))], a.body)
        tint, name = _add(d, shoes, np.ones(len(shoes.faces), bool), "shoe", outfit.shoe_colours[0])
        outfit = replace(outfit, shoes="shoes", shoe_colours=(tint, tint, name))
        d.hidden |= shoes.hidden
    else:
        wear_shoes(d, outfit)
    return outfit


def hair_from_assets(d: Dressing, outfit: Outfit, assets: Assets) -> bool:
    """Put on hair of the outfit's style. Returns whether there is such hair."""
    styles = [p for p in assets.hair if p.stem in _HAIR.get(outfit.hair, ())]
    if not styles or outfit.hat:
        return False
    hair = _garment(styles[int(d.rng.integers(len(styles)))], d.anatomy.body)
    grey = hair.texture[..., :3].mean(2, keepdims=True) / 255
    solid = hair.texture[..., 3:] > 128
    strands = np.array(outfit.hair_colour[0]) * (0.5 + 0.6 * grey / (grey[solid].mean() + 0.02))
    picture = np.dstack([np.clip(strands, 0, 1) * 255, hair.texture[..., 3]]).astype(np.uint8)
    material = d.surface.add(m.TEXTURE, np.ones(3), texture=d.surface.image(picture), see_through=True, gloss=0.05)
    _place(d, hair, np.ones(len(hair.faces), bool), material, "hair")
    return True


def skin_from_assets(assets: Assets, rng: np.random.Generator, female: bool, dark: bool) -> np.ndarray | None:
    """(256, 256, 3) float32, how a skin deviates from its own tone, in the body's texture coordinates; None where the
    folder has no such skin."""
    fitting = [p for p in assets.skins if ("female" in p.stem) == female and ("dark" in p.stem) == dark]
    return _tint(fitting[int(rng.integers(len(fitting)))]) if fitting else None


@functools.lru_cache(maxsize=16)
def _tint(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise PartwiseError(f"{path} cannot be read; fetch the assets again or leave --assets out.")
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), (_TEXTURE, _TEXTURE), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / np.median(small.reshape(-1, 3), axis=0).astype(np.float32)


@dataclass(frozen=True)
class _Garment:
    """An asset: three body vertices and their weights a vertex, offsets, and what they are measured by."""

    name: str
    corners: np.ndarray
    mix: np.ndarray
    offsets: np.ndarray
    measures: tuple[tuple[int, int, float], ...]
    hidden: np.ndarray
    faces: np.ndarray
    coords: np.ndarray
    upper: np.ndarray
    texture: np.ndarray
    weights: np.ndarray
    influences: np.ndarray


def _diffuse(path: Path) -> Path | None:
    return next(iter(sorted(path.parent.glob("*diffuse.png"))), None)


@functools.lru_cache(maxsize=64)
def _garment(path: Path, body: Body) -> _Garment:
    rows, measures, hidden, mesh = _read_mhclo(path, len(body.template))
    faces_by_group, coords_by_group = read_groups(path.parent / mesh)
    faces, coords = np.concatenate(list(faces_by_group.values())), np.concatenate(list(coords_by_group.values()))
    corners, mix = rows[:, :3].astype(int), rows[:, 3:6]
    weights, influences = _blend_weights(body, corners, mix)
    leg = (body.share("upperleg", "lowerleg", "foot", "toe")[corners] * mix).sum(1)
    piece = _pieces(faces, len(rows))
    low = np.array([leg[piece == k].mean() for k in range(piece.max() + 1)])
    upper = low[piece[faces[:, 0]]] < 0.35
    if upper.all() or not upper.any():
        height = (body.template[corners] * mix[..., None]).sum(1)[:, 2]
        upper = height[faces].mean(1) > body.heads[body.bones["spine05"]][2] + 0.04
    picture = _diffuse(path)
    image = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise PartwiseError(f"{picture} cannot be read; fetch the assets again or leave --assets out.")
    if image.shape[2] == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    image = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA), (_TEXTURE, _TEXTURE), interpolation=cv2.INTER_AREA)
    return _Garment(
        path.stem, corners, mix.astype(np.float32), rows[:, 6:9], measures, hidden, faces, coords, upper, image,
        weights, influences,
    )  # fmt: skip


def _read_mhclo(path: Path, vertices: int) -> tuple[np.ndarray, tuple[tuple[int, int, float], ...], np.ndarray, str]:
    rows: list[list[float]] = []
    measures: dict[str, tuple[int, int, float]] = {}
    hidden = np.zeros(vertices, bool)
    mesh, mode = "", ""
    for line in path.read_text(errors="ignore").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("x_scale", "y_scale", "z_scale"):
            measures[words[0][0]] = (int(words[1]), int(words[2]), float(words[3]))
        elif words[0] == "obj_file":
            mesh = words[1]
        elif words[0] in ("verts", "delete_verts"):
            mode = words[0]
        elif words[0][0].isalpha():
            continue
        elif mode == "verts":
            if len(words) == 1:
                rows.append([float(words[0])] * 3 + [1.0, 0, 0, 0, 0, 0])
            else:
                rows.append([float(x) for x in words[:9]])
        elif mode == "delete_verts":
            i = 0
            while i < len(words):
                if i + 2 < len(words) and words[i + 1] == "-":
                    hidden[int(words[i]) : int(words[i + 2]) + 1] = True
                    i += 3
                else:
                    hidden[int(words[i])] = True
                    i += 1
    return np.array(rows, float), (measures["x"], measures["z"], measures["y"]), hidden, mesh


def _blend_weights(body: Body, corners: np.ndarray, mix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four strongest of the bones that a vertex's three corners follow."""
    dense = np.zeros((len(corners), len(body.parents)), np.float32)
    row = np.arange(len(corners))[:, None]
    for corner in range(3):
        ids = corners[:, corner]
        np.add.at(dense, (row, body.influences[ids]), body.weights[ids] * np.maximum(mix[:, corner, None], 0))
    top = np.argsort(-dense, axis=1, kind="stable")[:, :4]
    weights = np.take_along_axis(dense, top, 1)
    return weights / weights.sum(1, keepdims=True), top.astype(np.int32)


def _pieces(faces: np.ndarray, vertices: int) -> np.ndarray:
    """(V,) number of the connected piece of each vertex."""
    label = np.arange(vertices)
    while True:
        least = np.minimum.reduceat(label[faces].ravel(), np.arange(0, faces.size, 3))
        new = label.copy()
        np.minimum.at(new, faces, least[:, None])
        new = new[new]
        if (new == label).all():
            return np.unique(label, return_inverse=True)[1]
        label = new


def _place(d: Dressing, garment: _Garment, chosen: np.ndarray, material: int, label: str) -> None:
    v = d.anatomy.vertices
    scale = [
        abs(v[a, axis] - v[b, axis]) / unit for (a, b, unit), axis in zip(garment.measures, (0, 1, 2), strict=True)
    ]
    offsets = garment.offsets
    moved = np.stack([offsets[:, 0] * scale[0], -offsets[:, 2] * scale[1], offsets[:, 1] * scale[2]], 1)
    fitted = (v[garment.corners] * garment.mix[..., None]).sum(1) + moved
    d.parts.append(
        part(
            fitted.astype(np.float32),
            garment.faces[chosen],
            material,
            LABEL[label],
            coords=garment.coords[chosen],
            weights=garment.weights,
            influences=garment.influences,
        )
    )


def _add_half(d: Dressing, garment: _Garment, upper: bool, wish: Colour) -> tuple[Colour, str]:
    chosen = garment.upper == upper
    return _add(d, garment, chosen, "upper clothes" if upper else "lower clothes", wish)


def _add(d: Dressing, garment: _Garment, chosen: np.ndarray, label: str, wish: Colour) -> tuple[Colour, str]:
    """Add the chosen faces, most of the time dyed towards the wished colour. Returns the colour and its name."""
    texture = garment.texture[..., :3].astype(np.float32) / 255
    side = len(texture)
    at = garment.coords[chosen].mean(1)
    rows, columns = ((1 - at[:, 1]) * side).astype(int) % side, (at[:, 0] * side).astype(int) % side
    used = texture[rows, columns]
    if d.rng.random() < 0.85 and len(used):
        grey = texture.mean(2, keepdims=True)
        strength = d.rng.uniform(0.6, 1)
        dyed = np.array(wish) * (grey / (np.median(used.mean(1)) + 0.05)) ** 0.7
        texture = np.clip(texture * (1 - strength) + strength * dyed, 0, 1).astype(np.float32)
        used = texture[rows, columns]
    mean = np.median(used, axis=0) if len(used) else np.full(3, 0.5)
    picture = np.dstack([texture * 255, garment.texture[..., 3]]).astype(np.uint8)
    see_through = bool((garment.texture[..., 3] < 110).mean() > 0.02) and label != "shoe"
    material = d.surface.add(
        m.TEXTURE, np.ones(3), texture=d.surface.image(picture), see_through=see_through, wrinkles=0.08, gloss=0.03
    )
    _place(d, garment, chosen, material, label)
    colour: Colour = (float(mean[0]), float(mean[1]), float(mean[2]))
    return colour, colour_name(colour)
