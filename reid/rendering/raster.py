"""Which triangle each pixel sees: a z-buffer with cut outlines and cut-out textures, for cameras and for the sun."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

FAR = np.float32(1e9)
_NEAR = 0.05  # metres; what is nearer, or behind the eye, is not drawn


@nb.njit(cache=True, fastmath=True)
def project(vertices: np.ndarray, cut: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring vertices to the screen.

    Args:
        vertices: (N, 3). cut: (N,), as in `Mesh`.
        matrix: (4, 4) float64 that takes (x, y, z, 1) to x, y, nearness and 1, all times the fourth of them.

    Returns:
        (N, 4) float32: x and y in pixels; nearness, which is linear on the screen and larger in front; weight, by
        which what lies on the surface interpolates, 0 where it cannot be seen. A camera's nearness and weight are one
        over the depth in metres; the sun's are the height towards it, and 1.
        (4,) float64 XYXY around what the cut leaves; the left lies right of the right where nothing is seen.
    """
    screen = np.empty((len(vertices), 4), np.float32)
    left, top, right, bottom = np.inf, np.inf, -np.inf, -np.inf
    for i in range(len(vertices)):
        x, y, z = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        w = matrix[3, 0] * x + matrix[3, 1] * y + matrix[3, 2] * z + matrix[3, 3]
        weight = 1.0 / w if w > _NEAR else 0.0
        px = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]) * weight
        py = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]) * weight
        screen[i, 0], screen[i, 1] = px, py
        screen[i, 2] = (matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]) * weight
        screen[i, 3] = weight
        if weight > 0 and cut[i] >= 0:
            left, top, right, bottom = min(left, px), min(top, py), max(right, px), max(bottom, py)
    return screen, np.array([left, top, right, bottom])


@nb.njit(cache=True, fastmath=True)
def rasterise(
    screen: np.ndarray,
    faces: np.ndarray,
    cut: np.ndarray,
    closed: np.ndarray,
    coords: np.ndarray,
    material: np.ndarray,
    table: np.ndarray,
    atlas: np.ndarray,
    x_first: int,
    y_first: int,
    near: np.ndarray,
    triangle: np.ndarray,
) -> None:
    """Draw triangles into a z-buffer.

    Args:
        screen: (N, 4) float32, as `project` gives it.
        faces, cut, closed, coords, material: as in `Mesh`.
        table, atlas: the materials; a material with a see-through texture is tested against it.
        x_first, y_first: the buffers show the window that starts at this pixel.
        near: (H, W) float32, the nearness so far. triangle: (H, W) int32. Both are changed in place.
    """
    height, width = near.shape
    for m in range(faces.shape[0]):
        i, j, k = faces[m, 0], faces[m, 1], faces[m, 2]
        x0, x1, x2 = screen[i, 0] - x_first, screen[j, 0] - x_first, screen[k, 0] - x_first
        xa = max(0, math.ceil(min(x0, x1, x2) - 0.5))
        xb = min(width - 1, math.floor(max(x0, x1, x2) - 0.5))
        if xa > xb:
            continue
        y0, y1, y2 = screen[i, 1] - y_first, screen[j, 1] - y_first, screen[k, 1] - y_first
        ya = max(0, math.ceil(min(y0, y1, y2) - 0.5))
        yb = min(height - 1, math.floor(max(y0, y1, y2) - 0.5))
        if ya > yb:
            continue
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        b0, b1, b2 = screen[i, 3], screen[j, 3], screen[k, 3]
        if abs(area) < 1e-9 or (area > 0 and closed[m]) or b0 <= 0 or b1 <= 0 or b2 <= 0:
            continue
        c0, c1, c2 = cut[i], cut[j], cut[k]
        whole = c0 >= 0 and c1 >= 0 and c2 >= 0
        texture = material[m]
        tested = table[texture, 27] > 0
        # Weights of corners 0 and 1 change by these from one pixel to the next.
        inverse = 1.0 / area
        dx0, dx1 = (y1 - y2) * inverse, (y2 - y0) * inverse
        n2 = screen[k, 2]
        n0, n1 = screen[i, 2] - n2, screen[j, 2] - n2
        px = xa + 0.5
        for y in range(ya, yb + 1):
            py = y + 0.5
            w0 = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) * inverse - dx0
            w1 = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) * inverse - dx1
            for x in range(xa, xb + 1):
                w0 += dx0
                w1 += dx1
                if w0 < 0 or w1 < 0 or w0 + w1 > 1:
                    continue
                n = n2 + w0 * n0 + w1 * n1
                if n <= near[y, x]:
                    continue
                if tested or not whole:
                    a0, a1, a2 = w0 * b0, w1 * b1, (1 - w0 - w1) * b2
                    if a0 * c0 + a1 * c1 + a2 * c2 < 0:
                        continue
                    if tested:
                        share = 1.0 / (a0 + a1 + a2)
                        u = (a0 * coords[m, 0, 0] + a1 * coords[m, 1, 0] + a2 * coords[m, 2, 0]) * share
                        v = (a0 * coords[m, 0, 1] + a1 * coords[m, 1, 1] + a2 * coords[m, 2, 1]) * share
                        start, tw, th = int(table[texture, 17]), int(table[texture, 18]), int(table[texture, 19])
                        tx, ty = math.floor(u * tw) % tw, math.floor((1.0 - v) * th) % th
                        if atlas[start + ty * tw + tx, 3] < 110:
                            continue
                near[y, x] = n
                triangle[y, x] = m
