"""Prints on shirts: letters, badges, stars and free shapes, drawn anew for every garment."""

from __future__ import annotations

import string

import cv2
import numpy as np

_SIDE = 64


def draw_print(rng: np.random.Generator, ink: tuple[float, ...], second: tuple[float, ...]) -> np.ndarray:
    """A picture (64, 64, 4) uint8, RGBA: what is printed, see-through around it."""
    out = np.zeros((_SIDE, _SIDE, 4), np.uint8)
    first, other = ((*(int(255 * x) for x in colour), 255) for colour in (ink, second))
    kind = rng.integers(6)
    if kind == 0:  # a word
        _write(out, rng, first, 0.5)
    elif kind == 1:  # a badge
        cv2.circle(out, (32, 32), 29, first, -1)
        cv2.circle(out, (32, 32), int(rng.integers(16, 26)), other, -1 if rng.random() < 0.5 else 3)
        _write(out, rng, first if rng.random() < 0.5 else other, 0.55)
    elif kind == 2:  # a star or polygon
        n, inner = int(rng.integers(3, 8)), rng.uniform(0.35, 1.0)
        angle = np.linspace(0, 2 * np.pi, 2 * n, endpoint=False) - np.pi / 2
        radius = np.where(np.arange(2 * n) % 2, inner, 1.0) * 29
        points = np.stack([32 + radius * np.cos(angle), 32 + radius * np.sin(angle)], 1).astype(np.int32)
        cv2.fillPoly(out, [points], first)
    elif kind == 3:  # a framed picture
        field = cv2.resize(rng.random((5, 5, 3)).astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
        tones = np.stack([np.array(ink), np.array(second)])
        share = np.clip(field[..., :1], 0, 1)
        out[..., :3] = np.clip((tones[0] * share + tones[1] * (1 - share)) * (0.6 + 0.8 * field), 0, 1) * 255
        out[..., 3] = 255
    elif kind == 4:  # blotches
        field = cv2.resize(rng.random((7, 7)).astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
        out[field > 0.55] = first
        out[field > 0.8] = other
    else:  # two lines of letters over a bar
        out[28:36] = other
        _write(out[:30], rng, first, 0.7)
        _write(out[36:], rng, first, 0.7)
    return out


def _write(picture: np.ndarray, rng: np.random.Generator, ink: tuple[int, ...], height: float) -> None:
    letters = "".join(rng.choice(list(string.ascii_uppercase + string.digits), size=int(rng.integers(2, 7))))
    font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
    line = np.zeros((40, 40 * len(letters), 4), np.uint8)
    cv2.putText(line, letters, (4, 33), font, 1.2, ink, int(rng.integers(2, 5)))
    used = np.flatnonzero(line[..., 3].any(0))
    line = line[:, : used.max() + 4]
    rows, columns = max(int(picture.shape[0] * height), 8), picture.shape[1] - 4
    small = np.asarray(cv2.resize(line, (columns, rows), interpolation=cv2.INTER_AREA))
    top = (picture.shape[0] - rows) // 2
    region = picture[top : top + rows, 2 : 2 + columns]
    mask = small[..., 3] > 90
    region[mask] = (*ink[:3], 255)
