"""The colour of every pixel: pattern, folds, sun with shadow, sky and ground light, over what is there already."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from reid.rendering.materials import HAIR, NOISE_SIDE, NOISE_UNIT, PLAIN


@nb.njit(cache=True, fastmath=True, inline="always")
def _tap(noise: np.ndarray, u: float, v: float, layer: int) -> float:
    last = NOISE_SIDE - 1
    return noise[math.floor(v * NOISE_SIDE) & last, math.floor(u * NOISE_SIDE) & last, layer] * NOISE_UNIT


@nb.njit(cache=True, fastmath=True, inline="always")
def _hash(i: int, j: int) -> float:
    h = (i * 374761393 + j * 668265263) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65536.0


@nb.njit(cache=True, fastmath=True)
def albedo(
    table: np.ndarray, k: int, u: float, v: float, atlas: np.ndarray, noise: np.ndarray
) -> tuple[float, float, float]:
    """Linear colour of material `k` at pattern coordinates (u, v)."""
    kind = int(table[k, 0])
    fu, fv, phase, threshold = table[k, 10], table[k, 11], table[k, 12], table[k, 13]
    mix = 0.0  # of colour B
    mix_c = 0.0
    shade = 1.0
    if kind == 1:
        t = v / fv + phase
        mix = 1.0 if t - math.floor(t) < threshold else 0.0
    elif kind == 2:
        t = u / fu + phase
        mix = 1.0 if t - math.floor(t) < threshold else 0.0
    elif kind == 3:
        s, t = u / fu + phase, v / fv
        s, t = s - math.floor(s), t - math.floor(t)
        mix = 0.5 * (1.0 if s < threshold else 0.0) + 0.5 * (1.0 if t < threshold else 0.0)
        if abs(s - 0.75) < 0.05 or abs(t - 0.75) < 0.05:
            mix_c = 0.6
    elif kind == 4:
        mix = 1.0 if v > threshold else 0.0
        if abs(v - threshold) < fv:
            mix, mix_c = 0.0, 1.0
    elif kind == 5:
        a = _tap(noise, u / fu + phase, v / fu, 0)
        if a > threshold:
            mix = 1.0
        if _tap(noise, u / fu - phase, v / fu + 0.37, 0) > threshold + 0.15:
            mix_c = 1.0
    elif kind == 6:
        t = v / fv
        r = math.floor(t)
        s = u / fu + 0.5 * (int(r) & 1) + phase
        ds, dt = s - math.floor(s) - 0.5, t - r - 0.5
        mix = 1.0 if ds * ds + dt * dt < threshold * threshold else 0.0
    elif kind == 7:
        shade = 1.0 + 0.5 * _tap(noise, u * 2.0 + phase, v * 0.7, 0) * table[k, 16]
        mix = max(0.0, threshold - abs(u - fu) * 6.0) * 0.8
    elif kind == 8:
        mix = 1.0 if abs(u - fu) < threshold else 0.0
    elif kind == 9:
        s, t = math.floor(u / fu), math.floor(v / fv)
        mix = 0.5 * (s & 1) + 0.5 * (t & 1)
    elif kind == 10:
        shade = 1.0 + 0.55 * _tap(noise, u * 3.0 + phase, v * 0.35, 1) + 0.25 * _tap(noise, u * 0.8, v * 0.5, 0)
    elif kind == 11:
        start, tw, th = int(table[k, 17]), int(table[k, 18]), int(table[k, 19])
        q = start + (math.floor((1.0 - v) * th) % th) * tw + math.floor(u * tw) % tw
        red, green, blue = atlas[q, 0] / 255.0, atlas[q, 1] / 255.0, atlas[q, 2] / 255.0
        return red * red * table[k, 1], green * green * table[k, 2], blue * blue * table[k, 3]
    elif kind == 12:
        mix = min(1.0, max(0.0, (v - phase) / fv))
    elif kind == 20:
        t = v / fv
        r = math.floor(t)
        s = u / fu + 0.5 * (int(r) & 1)
        q = math.floor(s)
        shade = 0.8 + 0.4 * _hash(int(q), int(r))
        if (t - r) * fv < threshold or (s - q) * fu < threshold:
            mix, shade = 1.0, 1.0
    elif kind == 21:
        s, t = u / fu + phase, v / fv
        i, j = math.floor(s), math.floor(t)
        ds, dt = abs(s - i - 0.5), abs(t - j - 0.5)
        if ds < threshold and dt < table[k, 14]:
            if ds > threshold - 0.03 or dt > table[k, 14] - 0.03 or ds < 0.012:
                mix_c = 1.0
            else:
                mix = 1.0
                shade = 0.55 + 0.9 * _hash(int(i), int(j)) + 0.5 * (t - j) + 0.35 * _tap(noise, u * 0.11, v * 0.13, 0)
        else:
            shade = 1.0 + 0.25 * _tap(noise, u * 0.15, v * 0.1, 0) * table[k, 16]
    elif kind == 22:
        t = v / fv
        r = math.floor(t)
        s = u / fu + phase * (int(r) & 1)
        q = math.floor(s)
        shade = 1.0 + table[k, 13] * (_hash(int(q), int(r)) - 0.5)
        edge = min(min(s - q, 1.0 - s + q) * fu, min(t - r, 1.0 - t + r) * fv)
        if edge < 0.008:
            mix = 0.8
    elif kind == 24:
        a = _tap(noise, u / fu + phase, v / fu, 0) + 0.7 * _tap(noise, u / fu * 3.1, v / fu * 3.1 + phase, 1)
        mix = min(1.0, max(0.0, 0.5 + 0.6 * a))
    elif kind == 25:
        t = u / fu + phase
        d = t - math.floor(t)
        shade = 0.75 + 0.35 * d if d > threshold else 0.45
    if table[k, 16] > 0:
        shade *= 1.0 + table[k, 16] * (
            0.6 * _tap(noise, u * 0.9 + phase, v * 0.9, 0) + 0.5 * _tap(noise, u * 4.1, v * 4.1 + phase, 1)
        )
    shade = max(shade, 0.05)
    in_a, in_b, in_c = (1 - mix) * (1 - mix_c) * shade, mix * (1 - mix_c) * shade, mix_c * shade
    red = table[k, 1] * in_a + table[k, 4] * in_b + table[k, 7] * in_c
    green = table[k, 2] * in_a + table[k, 5] * in_b + table[k, 8] * in_c
    blue = table[k, 3] * in_a + table[k, 6] * in_b + table[k, 9] * in_c
    if table[k, 20] >= 0:
        s, t = (u - table[k, 23]) / table[k, 25], (v - table[k, 24]) / table[k, 26]
        if abs(s) < 1 and abs(t) < 1:
            pw, ph = int(table[k, 21]), int(table[k, 22])
            q = int(table[k, 20]) + int((0.5 - 0.5 * t) * (ph - 1)) * pw + int((0.5 + 0.5 * s) * (pw - 1))
            cover = atlas[q, 3] / 255.0
            red += ((atlas[q, 0] / 255.0) ** 2 - red) * cover
            green += ((atlas[q, 1] / 255.0) ** 2 - green) * cover
            blue += ((atlas[q, 2] / 255.0) ** 2 - blue) * cover
    return red, green, blue


@nb.njit(cache=True, fastmath=True)
def lit_share(shadow: np.ndarray, frame: np.ndarray, x: float, y: float, z: float) -> float:
    """How much sun reaches a point: 0..1, from four taps of the shadow map.

    Args:
        shadow: (S, S) float32, the height towards the sun of what it meets first.
        frame: (13,) float32: two axes of the map and the direction of the light; the map's centre along the two axes;
            its pixels a metre; the metres that a surface may lie behind what the map saw.
    """
    size = shadow.shape[0]
    a = (x * frame[0] + y * frame[1] + z * frame[2] - frame[9]) * frame[11] + 0.5 * size - 0.5
    b = (x * frame[3] + y * frame[4] + z * frame[5] - frame[10]) * frame[11] + 0.5 * size - 0.5
    height = x * frame[6] + y * frame[7] + z * frame[8] + frame[12]
    i, j = math.floor(a), math.floor(b)
    if i < 0 or j < 0 or i >= size - 1 or j >= size - 1:
        return 1.0
    s, t = a - i, b - j
    lit = 0.0
    if shadow[j, i] <= height:
        lit += (1 - s) * (1 - t)
    if shadow[j, i + 1] <= height:
        lit += s * (1 - t)
    if shadow[j + 1, i] <= height:
        lit += (1 - s) * t
    if shadow[j + 1, i + 1] <= height:
        lit += s * t
    return lit


@nb.njit(cache=True, fastmath=True)
def shade(
    near: np.ndarray,
    triangle: np.ndarray,
    samples: int,
    x_first: int,
    y_first: int,
    screen: np.ndarray,
    vertices: np.ndarray,
    normals: np.ndarray,
    faces: np.ndarray,
    coords: np.ndarray,
    material: np.ndarray,
    label: np.ndarray,
    instance: np.ndarray,
    table: np.ndarray,
    atlas: np.ndarray,
    noise: np.ndarray,
    eye: np.ndarray,
    light: np.ndarray,
    shadow: np.ndarray,
    frame: np.ndarray,
    phase: float,
    rgb: np.ndarray,
    far: np.ndarray,
    labels: np.ndarray,
    instances: np.ndarray,
) -> None:
    """Shade a rasterised window and blend it into a canvas.

    Args:
        near, triangle: the rasteriser's buffers, `samples` x `samples` to a canvas pixel.
        screen: as the rasteriser was given it.
        x_first, y_first: where the window starts, in canvas pixels.
        vertices, normals: (N, 3) posed. eye: (3,) the camera's place.
        light: (12,) direction to the sun; sun, sky and ground light, linear.
        shadow, frame: see `lit_share`.
        rgb, far, labels, instances: the canvas, changed in place: (H, W, 3) float32 linear; (H, W) float32 depth in
            metres; (H, W) uint8; (H, W) int32.
    """
    rows, columns = near.shape[0] // samples, near.shape[1] // samples
    middle = samples // 2
    has_sun = light[3] + light[4] + light[5] > 0
    for y in range(rows):
        for x in range(columns):
            py, px = y + y_first, x + x_first
            behind = 1.0 / far[py, px]
            # Inside of one material neighbours look alike: there one sample of the diagonal, or two of a pattern, do.
            first = triangle[y * samples, x * samples]
            uniform = first >= 0
            covered = 0
            for sy in range(samples):
                for sx in range(samples):
                    qy, qx = y * samples + sy, x * samples + sx
                    m = triangle[qy, qx]
                    if m >= 0 and near[qy, qx] > behind:
                        covered += 1
                        uniform &= material[m] == material[first]
                    else:
                        triangle[qy, qx] = -1
                        uniform = False
            if covered == 0:
                continue
            pattern = table[material[first], 0]
            plain = uniform and pattern in (PLAIN, HAIR) and table[material[first], 20] < 0
            taken = 0
            r, g, b = 0.0, 0.0, 0.0
            for sy in range(samples):
                for sx in range(samples):
                    if uniform and (sx != sy or (plain and sx != middle)):
                        continue
                    qy, qx = y * samples + sy, x * samples + sx
                    m = triangle[qy, qx]
                    if m < 0:
                        continue
                    taken += 1
                    i, j, k = faces[m, 0], faces[m, 1], faces[m, 2]
                    # Weights of the corners: on the screen, then in perspective.
                    ox, oy = x_first * samples + qx + 0.5, y_first * samples + qy + 0.5
                    x0, y0 = screen[i, 0] - ox, screen[i, 1] - oy
                    x1, y1 = screen[j, 0] - ox, screen[j, 1] - oy
                    x2, y2 = screen[k, 0] - ox, screen[k, 1] - oy
                    w0 = (x1 * y2 - x2 * y1) * screen[i, 3]
                    w1 = (x2 * y0 - x0 * y2) * screen[j, 3]
                    w2 = (x0 * y1 - x1 * y0) * screen[k, 3]
                    inverse = 1.0 / (w0 + w1 + w2)
                    w0 *= inverse
                    w1 *= inverse
                    w2 *= inverse
                    nx = w0 * normals[i, 0] + w1 * normals[j, 0] + w2 * normals[k, 0]
                    ny = w0 * normals[i, 1] + w1 * normals[j, 1] + w2 * normals[k, 1]
                    nz = w0 * normals[i, 2] + w1 * normals[j, 2] + w2 * normals[k, 2]
                    vx = w0 * vertices[i, 0] + w1 * vertices[j, 0] + w2 * vertices[k, 0]
                    vy = w0 * vertices[i, 1] + w1 * vertices[j, 1] + w2 * vertices[k, 1]
                    vz = w0 * vertices[i, 2] + w1 * vertices[j, 2] + w2 * vertices[k, 2]
                    u = w0 * coords[m, 0, 0] + w1 * coords[m, 1, 0] + w2 * coords[m, 2, 0]
                    v = w0 * coords[m, 0, 1] + w1 * coords[m, 1, 1] + w2 * coords[m, 2, 1]
                    made = material[m]
                    wrinkles, gloss = table[made, 14], table[made, 15]
                    if wrinkles > 0 and table[made, 0] < 20:
                        a = wrinkles * _tap(noise, u * 1.3 + phase, v * 0.9 - phase, 2)
                        c = wrinkles * _tap(noise, u * 1.3 + phase, v * 0.9 - phase, 3)
                        nx += a
                        ny += 0.6 * (a - c)
                        nz += c
                    length = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz + 1e-9)
                    nx, ny, nz = nx * length, ny * length, nz * length
                    ex, ey, ez = eye[0] - vx, eye[1] - vy, eye[2] - vz
                    length = 1.0 / math.sqrt(ex * ex + ey * ey + ez * ez)
                    ex, ey, ez = ex * length, ey * length, ez * length
                    facing = nx * ex + ny * ey + nz * ez
                    if facing < 0:
                        nx, ny, nz, facing = -nx, -ny, -nz, -facing
                    sun, gleam = 0.0, 0.0
                    if has_sun:
                        sun = max(nx * light[0] + ny * light[1] + nz * light[2], 0.0)
                        if sun > 0:
                            sun *= lit_share(shadow, frame, vx, vy, vz)
                            if gloss > 0:
                                hx, hy, hz = ex + light[0], ey + light[1], ez + light[2]
                                h = (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz + 1e-9)
                                h = max(h, 0.0) ** 8
                                gleam = gloss * sun * h * h * h
                    up = 0.5 + 0.5 * nz
                    open_ = 0.62 + 0.38 * facing
                    sheen = gloss * (1 - facing) * (1 - facing) * up * 0.35
                    red, green, blue = albedo(table, made, u, v, atlas, noise)
                    r += red * (sun * light[3] + open_ * (up * light[6] + (1 - up) * light[9]))
                    r += gleam * light[3] + sheen * light[6]
                    g += green * (sun * light[4] + open_ * (up * light[7] + (1 - up) * light[10]))
                    g += gleam * light[4] + sheen * light[7]
                    b += blue * (sun * light[5] + open_ * (up * light[8] + (1 - up) * light[11]))
                    b += gleam * light[5] + sheen * light[8]
            rest = 1.0 - covered / (samples * samples)
            share = (1.0 - rest) / taken
            rgb[py, px, 0] = r * share + rgb[py, px, 0] * rest
            rgb[py, px, 1] = g * share + rgb[py, px, 1] * rest
            rgb[py, px, 2] = b * share + rgb[py, px, 2] * rest
            qy, qx = y * samples + middle, x * samples + middle
            m = triangle[qy, qx]
            if m >= 0:
                far[py, px] = 1.0 / near[qy, qx]
                labels[py, px] = label[m]
                instances[py, px] = instance[m]


@nb.njit(cache=True, fastmath=True)
def darken_ground(
    rgb: np.ndarray,
    ground: np.ndarray,
    window: tuple[int, int, int, int],
    rays: np.ndarray,
    eye: np.ndarray,
    fade: float,
    shadow: np.ndarray,
    frame: np.ndarray,
    feet: np.ndarray,
    reach: float,
) -> None:
    """Let a mesh throw its shadow on the ground (z = 0).

    Args:
        rgb: (H, W, 3) canvas, changed in place. ground: (H, W) bool, where the ground is seen.
        window: first column and row that are looked at, and those after the last.
        rays: (3, 3) float32: a pixel (x + 0.5, y + 0.5, 1) times this is its direction in the world.
        fade: share of the light on sunlit ground that does not come from the sun; 1 without sun.
        feet: (F, 2) places on the ground that darken what is near. reach: metres around these that are looked at.
    """
    for y in range(window[1], window[3]):
        for x in range(window[0], window[2]):
            if not ground[y, x]:
                continue
            qx, qy = x + 0.5, y + 0.5
            dz = rays[2, 0] * qx + rays[2, 1] * qy + rays[2, 2]
            if dz > -1e-5:
                continue
            t = -eye[2] / dz
            gx = eye[0] + t * (rays[0, 0] * qx + rays[0, 1] * qy + rays[0, 2])
            gy = eye[1] + t * (rays[1, 0] * qx + rays[1, 1] * qy + rays[1, 2])
            if abs(gx - feet[0, 0]) > reach or abs(gy - feet[0, 1]) > reach:
                continue
            light = 1.0
            if fade < 1:
                light = fade + (1 - fade) * lit_share(shadow, frame, gx, gy, 0.0)
            nearest = 1.0
            for f in range(feet.shape[0]):
                nearest = min(nearest, (gx - feet[f, 0]) ** 2 + (gy - feet[f, 1]) ** 2)
            if nearest < 1.0:
                light *= 1 - 0.45 * max(math.exp(-nearest / 0.02), 0.5 * math.exp(-nearest / 0.16))
            rgb[y, x, 0] *= light
            rgb[y, x, 1] *= light
            rgb[y, x, 2] *= light
