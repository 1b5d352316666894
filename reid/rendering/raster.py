"""Which triangle each pixel sees: a z-buffer with cut outlines and cut-out textures."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

FAR = np.float32(1e9)
_NEAR = 0.05


@nb.njit(cache=True, fastmath=True)
def rasterise(
    screen: np.ndarray,
    faces: np.ndarray,
    cut: np.ndarray,
    coords: np.ndarray,
    material: np.ndarray,
    table: np.ndarray,
    atlas: np.ndarray,
    x_first: int,
    y_first: int,
    depth: np.ndarray,
    triangle: np.ndarray,
    bary: np.ndarray,
) -> None:
    """Draw triangles into a z-buffer, perspective-correct.

    Args:
        screen: (N, 3) float32, pixels and depth in metres.
        faces, cut, coords, material: as in `Mesh`.
        table, atlas: the materials; a material with a see-through texture is tested against it.
        x_first, y_first: the buffers show the window that starts at this pixel.
        depth: (H, W) float32, `FAR` where nothing is. triangle: (H, W) int32, -1 there.
        bary: (H, W, 2) float32, the first two perspective-correct weights.
    """
    height, width = depth.shape
    for m in range(faces.shape[0]):
        i, j, k = faces[m, 0], faces[m, 1], faces[m, 2]
        z0, z1, z2 = screen[i, 2], screen[j, 2], screen[k, 2]
        if z0 < _NEAR or z1 < _NEAR or z2 < _NEAR:
            continue
        c0, c1, c2 = cut[i], cut[j], cut[k]
        if c0 < 0 and c1 < 0 and c2 < 0:
            continue
        x0, y0 = screen[i, 0] - x_first, screen[i, 1] - y_first
        x1, y1 = screen[j, 0] - x_first, screen[j, 1] - y_first
        x2, y2 = screen[k, 0] - x_first, screen[k, 1] - y_first
        xa = max(0, math.ceil(min(x0, x1, x2) - 0.5))
        xb = min(width - 1, math.floor(max(x0, x1, x2) - 0.5))
        ya = max(0, math.ceil(min(y0, y1, y2) - 0.5))
        yb = min(height - 1, math.floor(max(y0, y1, y2) - 0.5))
        if xa > xb or ya > yb:
            continue
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9:
            continue
        inverse = 1.0 / area
        whole = c0 >= 0 and c1 >= 0 and c2 >= 0
        row = table[material[m]]
        start = int(row[17])
        tested = start >= 0 and row[27] > 0
        r0, r1, r2 = 1.0 / z0, 1.0 / z1, 1.0 / z2
        for y in range(ya, yb + 1):
            py = y + 0.5
            for x in range(xa, xb + 1):
                px = x + 0.5
                w0 = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) * inverse
                w1 = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) * inverse
                w2 = 1.0 - w0 - w1
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                a0, a1, a2 = w0 * r0, w1 * r1, w2 * r2
                z = 1.0 / (a0 + a1 + a2)
                if z >= depth[y, x]:
                    continue
                a0 *= z
                a1 *= z
                a2 *= z
                if not whole and a0 * c0 + a1 * c1 + a2 * c2 < 0:
                    continue
                if tested:
                    u = a0 * coords[m, 0, 0] + a1 * coords[m, 1, 0] + a2 * coords[m, 2, 0]
                    v = a0 * coords[m, 0, 1] + a1 * coords[m, 1, 1] + a2 * coords[m, 2, 1]
                    tw, th = int(row[18]), int(row[19])
                    tx = math.floor(u * tw) % tw
                    ty = math.floor((1.0 - v) * th) % th
                    if atlas[start + ty * tw + tx, 3] < 110:
                        continue
                depth[y, x] = z
                triangle[y, x] = m
                bary[y, x, 0] = a0
                bary[y, x, 1] = a1


@nb.njit(cache=True, fastmath=True)
def shadow_map(seen: np.ndarray, faces: np.ndarray, cut: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32 distance along the light to what it meets first.

    Args:
        seen: (N, 3) float32, map pixels and distance along the light.
    """
    depth = np.full((size, size), FAR, np.float32)
    for m in range(faces.shape[0]):
        i, j, k = faces[m, 0], faces[m, 1], faces[m, 2]
        if cut[i] < 0 and cut[j] < 0 and cut[k] < 0:
            continue
        x0, y0, x1, y1, x2, y2 = seen[i, 0], seen[i, 1], seen[j, 0], seen[j, 1], seen[k, 0], seen[k, 1]
        xa = max(0, math.ceil(min(x0, x1, x2) - 0.5))
        xb = min(size - 1, math.floor(max(x0, x1, x2) - 0.5))
        ya = max(0, math.ceil(min(y0, y1, y2) - 0.5))
        yb = min(size - 1, math.floor(max(y0, y1, y2) - 0.5))
        if xa > xb or ya > yb:
            continue
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9:
            continue
        inverse = 1.0 / area
        for y in range(ya, yb + 1):
            for x in range(xa, xb + 1):
                px, py = x + 0.5, y + 0.5
                w0 = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) * inverse
                w1 = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) * inverse
                w2 = 1.0 - w0 - w1
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                if w0 * cut[i] + w1 * cut[j] + w2 * cut[k] < 0:
                    continue
                z = w0 * seen[i, 2] + w1 * seen[j, 2] + w2 * seen[k, 2]
                if z < depth[y, x]:
                    depth[y, x] = z
    return depth
