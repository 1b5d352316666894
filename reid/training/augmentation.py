"""Augmentation of a batch of people, with what it did to each picture, so that masks and joints can follow.

A picture is moved and recoloured once, in bytes, by OpenCV: a batch costs a tenth of the step it feeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Augmentation:
    """Strengths; probabilities are a picture's."""

    shift: float = 0.06
    scale: float = 0.12
    turn: float = 5.0
    colour: float = 0.25
    grey: float = 0.03
    soft: float = 0.15
    erase: float = 0.4
    block: float = 0.15
    paste: float = 0.3
    crowd: float = 0.4  # of what is pasted


# Whoever learns from drawn people alone meets cameras later that nobody drew: colours and blur stray further.
DRAWN = Augmentation(colour=0.4, grey=0.1, soft=0.35)

# Things are seen from nearer and further than people in their boxes, but hardly ever covered by each other.
THINGS = Augmentation(shift=0.1, scale=0.25, turn=8.0, erase=0.25, block=0.0, paste=0.0)


@dataclass
class Augmented:
    """A batch on its way into a network, and what happened to it.

    Attributes:
        pictures: (N, 3, H, W) float32, normalised.
        theta: (N, 2, 3) float32, where each output position was read from, in -1..1 (as `affine_grid` takes it).
        mirrored: (N,) bool.
        covered: (N, H, W) bool, pixels hidden by something pasted over.
        crossed: (N, H, W) bool, pixels hidden by what other pictures show.
    """

    pictures: Tensor
    theta: Tensor
    mirrored: Tensor
    covered: Tensor
    crossed: Tensor

    def move_masks(self, masks: Tensor, covered_label: int = 0, unknown: int = 255) -> Tensor:
        """Label maps (N, h, w) of the same pictures, moved and covered alike; what came from outside is unknown."""
        n, h, w = masks.shape
        grid = F.affine_grid(self.theta, [n, 1, h, w], align_corners=False)
        # Shifted by one so that zero padding can be told from label 0.
        moved = F.grid_sample(masks[:, None].float() + 1, grid, "nearest", "zeros", False)[:, 0].round().long() - 1
        moved[moved < 0] = unknown
        covered = F.adaptive_max_pool2d(self.covered[:, None].float(), (h, w))[:, 0] > 0.5
        moved[covered & (moved != unknown)] = covered_label
        return moved

    def move_joints(self, joints: Tensor, pairs: tuple[tuple[int, int], ...]) -> Tensor:
        """Joints (N, J, 3) as x, y (fractions of the picture) and visibility (2 seen, 1 hidden, 0 unknown), moved too.

        Mirrored pictures swap left and right; a covered joint becomes hidden; one outside becomes unknown.
        """
        n, count, _ = joints.shape
        square = torch.cat([self.theta, torch.tensor([0.0, 0.0, 1.0]).expand(n, 1, 3)], 1)
        there = torch.cat([joints[..., :2] * 2 - 1, torch.ones(n, count, 1)], 2)
        here = torch.linalg.solve(square, there.transpose(1, 2)).transpose(1, 2)[..., :2] / 2 + 0.5
        visibility = joints[..., 2].clone()
        inside = ((here >= 0) & (here < 1)).all(2)
        visibility[~inside] = 0
        h, w = self.covered.shape[1:]
        x = (here[..., 0] * w).long().clamp(0, w - 1)
        y = (here[..., 1] * h).long().clamp(0, h - 1)
        under = self.covered[torch.arange(n)[:, None], y, x]
        visibility = torch.where(under, visibility.clamp(max=1), visibility)
        moved = torch.cat([here, visibility[..., None]], 2)
        return self.swap_sides(moved, pairs)

    def swap_sides(self, values: Tensor, pairs: tuple[tuple[int, int], ...]) -> Tensor:
        """Exchange left and right rows of (N, J, ...) where the picture was mirrored."""
        order = torch.arange(values.shape[1])
        for a, b in pairs:
            order[a], order[b] = b, a
        swapped = values.clone()
        swapped[self.mirrored] = values[self.mirrored][:, order]
        return swapped


def augment(
    pictures: np.ndarray,
    rng: np.random.Generator,
    strength: Augmentation,
    silhouettes: np.ndarray | None = None,
    size: tuple[int, int] | None = None,
) -> Augmented:
    """uint8 (N, H, W, 3) -> a normalised batch: mirrored, moved, recoloured, softened, covered.

    Args:
        silhouettes: (N, h, w) bool, where each picture's person is; with them, what is pasted over a picture is another
            person of the batch cut out, without them a rectangle of another picture. Or else, `crowd` of the
            cases, it is the middle of another picture beside what is left.
        size: (height, width) of the batch; the pictures' own when left out.
    """
    n = len(pictures)
    h, w = size or pictures.shape[1:3]
    theta, flip = _moves(n, pictures.shape[1:3], rng, strength)
    moved = np.empty((n, h, w, 3), np.uint8)
    for i, picture in enumerate(pictures):
        matrix = _in_pixels(theta[i], picture.shape[:2], (h, w))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(picture, matrix, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        warped = recolour(warped, rng, strength.colour, strength.grey)
        if rng.random() < strength.soft:
            factor = rng.uniform(0.35, 0.75)
            small = cv2.resize(warped, (round(w * factor), round(h * factor)), interpolation=cv2.INTER_AREA)
            warped = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
        moved[i] = warped
    x = normalised(moved)  # (N, H, W, 3)
    covered, crossed = np.zeros((2, n, h, w), bool)
    for i in range(n):
        if rng.random() < strength.erase:
            where = _rectangle(h, w, rng)
            x[i][where] = rng.normal(0, 1, 3)
            covered[i][where] = True
        if rng.random() < strength.block:
            where = _from_an_edge(h, w, rng)
            # Black as often as any other colour: what instance norms know of a picture leans most on its darkest part.
            colour = rng.integers(0, 256, 3) if rng.random() < 0.5 else np.zeros(3)
            x[i][where] = (colour / 255 - MEAN) / STD
            covered[i][where] = True
        if rng.random() < strength.paste:
            other = int(rng.integers(n))
            if rng.random() < strength.crowd:
                where, strip = _beside(pictures[other], (h, w), rng)
                x[i][where] = normalised(strip)
                crossed[i][where] = True
            elif silhouettes is None:
                where = _rectangle(h, w, rng)
                x[i][where] = normalised(moved[other][where])
                crossed[i][where] = True
            else:
                person, shape = _walk_in(pictures[other], silhouettes[other], (h, w), rng)
                x[i][shape] = normalised(person)[shape]
                crossed[i] |= shape
    covered |= crossed
    # Pictures lie channels last in memory already: the view is what the network wants.
    batch = torch.from_numpy(x).permute(0, 3, 1, 2)
    return Augmented(batch, *map(torch.from_numpy, (theta, flip < 0, covered, crossed)))


def normalised(pictures: np.ndarray) -> np.ndarray:
    """uint8 (..., W, 3) -> float32 of the same shape, as the networks take it."""
    width = pictures.shape[-2]
    # Rows of all three channels at once: a last axis of three is too short to be fast.
    scale = np.tile(1 / (255 * np.array(STD, np.float32)), width)
    shift = np.tile(np.array(MEAN, np.float32) / np.array(STD, np.float32), width)
    rows = pictures.reshape(*pictures.shape[:-2], width * 3) * scale.astype(np.float32)
    rows -= shift
    return rows.reshape(pictures.shape)


def _moves(
    n: int, shape: tuple[int, int], rng: np.random.Generator, strength: Augmentation
) -> tuple[np.ndarray, np.ndarray]:
    """Where each picture is read from, (N, 2, 3) float32 as `affine_grid` takes it, and its flip (N,): -1 mirrored."""
    h, w = shape
    flip = rng.choice([-1.0, 1.0], n)
    zoom = 1 + rng.uniform(-strength.scale, strength.scale, n)
    stretch = 1 + rng.uniform(-strength.scale, strength.scale, n) / 2
    angle = rng.uniform(-1, 1, n) * math.radians(strength.turn)
    cos, sin = np.cos(angle), np.sin(angle)
    aside, down = rng.uniform(-2, 2, (2, n)) * strength.shift
    rows = [flip * cos * zoom * stretch, -sin * h / w * zoom, aside, flip * sin * w / h * zoom, cos * zoom, down]
    return np.stack(rows, 1).reshape(n, 2, 3).astype(np.float32), flip


def _in_pixels(theta: np.ndarray, source: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """`affine_grid`'s map over -1..1 between pixels: where in `source` each pixel of `size` is read."""
    (h_in, w_in), (h, w) = source, size
    out = np.array([[2 / w, 0, 1 / w - 1], [0, 2 / h, 1 / h - 1], [0, 0, 1]])  # pixel -> -1..1
    back = np.array([[w_in / 2, 0, (w_in - 1) / 2], [0, h_in / 2, (h_in - 1) / 2]])  # -1..1 -> pixel
    return back @ np.vstack([theta, [0, 0, 1]]) @ out


def recolour(picture: np.ndarray, rng: np.random.Generator, strength: float, grey: float) -> np.ndarray:
    """Saturation, contrast, brightness and a cast, all in one affine map of colours."""
    if not strength and not grey:
        return picture
    saturation, contrast, brightness = 1 + rng.uniform(-strength, strength, 3)
    if rng.random() < grey:
        saturation = 0.0
    cast = 1 + rng.uniform(-strength / 4, strength / 4, 3)
    level = sum(cv2.mean(picture)[:3]) / 3
    mix = contrast * (saturation * np.eye(3) + (1 - saturation) / 3)
    offset = np.full(3, level * (brightness - contrast))
    return cv2.transform(picture, cast[:, None] * np.column_stack([mix, offset]))


def _walk_in(
    picture: np.ndarray, silhouette: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Another person entering from a side: their moved picture, uint8 (H, W, 3), and where they stand, bool."""
    h, w = size
    zoom = rng.uniform(0.8, 1.25)
    aside = rng.choice([-1, 1]) * rng.uniform(0.25, 0.6) * w
    down = rng.uniform(-0.05, 0.2) * h
    matrix = np.array([[zoom, 0, aside + w * (1 - zoom) / 2], [0, zoom, down + h * (1 - zoom) / 2]])
    mask = cv2.resize(silhouette.astype(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST)
    mask = cv2.warpAffine(mask, matrix, (w, h), flags=cv2.INTER_NEAREST)
    return cv2.warpAffine(cv2.resize(picture, (w, h)), matrix, (w, h), flags=cv2.INTER_LINEAR), mask > 0


def _beside(
    picture: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> tuple[tuple[slice, slice], np.ndarray]:
    """The left or right 20-50 % of an (h, w) picture, and the middle of another to be shown there, uint8."""
    h, w = size
    columns = max(1, round(w * rng.uniform(0.2, 0.5)))
    start = round((w - columns) / 2 + rng.uniform(-0.1, 0.1) * (w - columns))
    left = 0 if rng.random() < 0.5 else w - columns
    strip = cv2.resize(picture, (w, h), interpolation=cv2.INTER_LINEAR)[:, start : start + columns]
    return (slice(None), slice(left, left + columns)), strip


def _from_an_edge(h: int, w: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """A block over 20-50 % of an (h, w) picture: from below in half of all cases, as walls and cars hide people."""
    share = rng.uniform(0.2, 0.5)
    rows, columns = max(1, round(share * h)), max(1, round(share * w))
    match rng.integers(6):
        case 0:
            return slice(None), slice(None, columns)
        case 1:
            return slice(None), slice(w - columns, None)
        case 2:
            return slice(None, rows), slice(None)
        case _:
            return slice(h - rows, None), slice(None)


def _rectangle(h: int, w: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """A rectangle that covers 3-33 % of an (h, w) picture."""
    area = rng.uniform(0.03, 0.33) * h * w
    aspect = math.exp(rng.uniform(math.log(0.4), math.log(3.0)))
    height = min(h, max(1, round(math.sqrt(area * aspect))))
    width = min(w, max(1, round(math.sqrt(area / aspect))))
    top, left = int(rng.integers(h - height + 1)), int(rng.integers(w - width + 1))
    return slice(top, top + height), slice(left, left + width)
