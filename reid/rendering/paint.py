"""Cameras, light and canvases, and the one step that draws a mesh over what a canvas shows already."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from reid.rendering.materials import noise
from reid.rendering.mesh import Mesh, vertex_normals
from reid.rendering.raster import FAR, project, rasterise
from reid.rendering.shading import darken_ground, shade


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        turn: (3, 3) rows are the picture's right, its down and the view's forward, in the world.
        eye: (3,) place in the world, metres.
        fx, fy, cx, cy: intrinsics in pixels.
    """

    turn: np.ndarray
    eye: np.ndarray
    fx: float
    fy: float
    cx: float
    cy: float

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) world points in camera space, metres: x right, y down, z away."""
        return (points - self.eye) @ self.turn.T

    def project(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) world points as x and y in pixels and depth in metres."""
        seen = self.to_camera(points)
        away = np.where(np.abs(seen[:, 2:]) < 1e-6, 1e-6, seen[:, 2:])
        return np.concatenate([seen[:, :2] / away * (self.fx, self.fy) + (self.cx, self.cy), seen[:, 2:]], 1)

    def window(self, left: float, top: float, scale_x: float, scale_y: float) -> Camera:
        """The camera of a crop that starts at (left, top) and is enlarged by the scales."""
        return replace(
            self,
            fx=self.fx * scale_x,
            fy=self.fy * scale_y,
            cx=(self.cx - left) * scale_x,
            cy=(self.cy - top) * scale_y,
        )

    def matrix(self, samples: int = 1) -> np.ndarray:
        """(4, 4) as `raster.project` wants it, for a screen of `samples` pixels to a pixel."""
        screen = np.array([[self.fx * samples, 0, self.cx * samples], [0, self.fy * samples, self.cy * samples]])
        turn = np.concatenate([screen @ self.turn, np.zeros((1, 3)), self.turn[2:]])
        matrix = np.concatenate([turn, -turn @ self.eye[:, None]], 1)
        matrix[2, 3] = 1.0  # nearness is one over the depth
        return matrix

    def rays(self) -> np.ndarray:
        """(3, 3) float32: (x, y, 1) in pixels times this is a direction in the world."""
        inverse = np.array([[1 / self.fx, 0, -self.cx / self.fx], [0, 1 / self.fy, -self.cy / self.fy], [0, 0, 1]])
        return (self.turn.T @ inverse).astype(np.float32)


def look(
    eye: np.ndarray, heading: float, pitch: float, roll: float, focal: float, centre: tuple[float, float]
) -> Camera:
    """A camera at `eye` that looks along +Y turned by `heading` (to the left), and down by `pitch`; radians."""
    forward = np.array([-math.sin(heading) * math.cos(pitch), math.cos(heading) * math.cos(pitch), -math.sin(pitch)])
    right = np.array([math.cos(heading), math.sin(heading), 0.0])
    down = np.cross(forward, right)
    c, s = math.cos(roll), math.sin(roll)
    turn = np.stack([c * right + s * down, -s * right + c * down, forward])
    return Camera(turn, np.asarray(eye, float), focal, focal, *centre)


@dataclass(frozen=True)
class Light:
    """Light that falls on a place, linear.

    Attributes:
        direction: (3,) to the sun, a unit vector.
        sun, sky, ground: (3,) RGB of the sun, of the sky from above and of the ground from below.
    """

    direction: np.ndarray
    sun: np.ndarray
    sky: np.ndarray
    ground: np.ndarray

    def packed(self) -> np.ndarray:
        return np.concatenate([self.direction, self.sun, self.sky, self.ground]).astype(np.float32)

    def in_shade(self, share: float) -> Light:
        """The same light where only a share of the sun comes through."""
        return replace(self, sun=self.sun * share)

    @property
    def ground_fade(self) -> float:
        """Share of the light on sunlit ground that does not come from the sun."""
        sun = float(self.sun.mean()) * max(float(self.direction[2]), 0.05)
        return float(self.sky.mean()) / (float(self.sky.mean()) + sun)


@dataclass
class Canvas:
    """What has been drawn so far.

    Attributes:
        rgb: (H, W, 3) float32, linear.
        depth: (H, W) float32 metres; `FAR` for sky and ground, which hide nothing.
        ground: (H, W) bool, where the ground is seen and takes shadows.
        labels: (H, W) uint8. instances: (H, W) int32, 0 for none.
    """

    rgb: np.ndarray
    depth: np.ndarray
    ground: np.ndarray
    labels: np.ndarray
    instances: np.ndarray

    @classmethod
    def blank(cls, height: int, width: int) -> Canvas:
        return cls(
            np.zeros((height, width, 3), np.float32),
            np.full((height, width), FAR, np.float32),
            np.zeros((height, width), bool),
            np.zeros((height, width), np.uint8),
            np.zeros((height, width), np.int32),
        )


Surface = tuple[np.ndarray, np.ndarray]
"""A material table and its atlas, as `Materials.table` gives them."""


def paint(
    canvas: Canvas,
    mesh: Mesh,
    surface: Surface,
    camera: Camera,
    light: Light,
    *,
    samples: int = 2,
    shadow_side: int = 160,
    feet: np.ndarray | None = None,
    phase: float = 0.0,
) -> tuple[float, float, float, float] | None:
    """Draw a mesh where it is not behind what the canvas holds; its shadow falls on the ground and on itself.

    Args:
        samples: each pixel's colour is the mean of samples x samples.
        feet: (F, 2) places where it stands; without them the ground stays as it is.
        phase: shifts the fine wrinkles.

    Returns:
        XYXY around the mesh in pixels, not clipped to the canvas; None where it is all behind the camera.
    """
    height, width = canvas.depth.shape
    screen, bounds = project(mesh.vertices, mesh.cut, camera.matrix(samples))
    low, high = bounds[:2] / samples, bounds[2:] / samples
    if low[0] > high[0]:
        return None
    shadow, frame = shadow_of(mesh, surface, light, shadow_side)
    if feet is not None:
        reach = 3.0 if light.ground_fade < 1 else 0.9
        darken_ground(
            canvas.rgb, canvas.ground, _window_around(feet[0], reach, camera, width, height), camera.rays(),
            camera.eye.astype(np.float32), light.ground_fade, shadow, frame, feet.astype(np.float32), reach,
        )  # fmt: skip
    left, top = max(math.floor(low[0]), 0), max(math.floor(low[1]), 0)
    right, bottom = min(math.ceil(high[0]) + 1, width), min(math.ceil(high[1]) + 1, height)
    if left < right and top < bottom:
        near, triangle = z_buffer(mesh, surface, screen, (left, top, right, bottom), samples)
        shade_window(
            canvas, mesh, surface, screen, (left, top), samples, near, triangle, camera, light, shadow, frame, phase
        )
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def z_buffer(
    mesh: Mesh, surface: Surface, screen: np.ndarray, window: tuple[int, int, int, int], samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """The rasteriser's buffers, nearness and triangle, of a window (XYXY in canvas pixels)."""
    left, top, right, bottom = window
    shape = ((bottom - top) * samples, (right - left) * samples)
    near, triangle = np.zeros(shape, np.float32), np.full(shape, -1, np.int32)
    rasterise(
        screen, mesh.faces, mesh.cut, mesh.closed, mesh.coords, mesh.material, *surface, left * samples, top * samples,
        near, triangle,
    )  # fmt: skip
    return near, triangle


def shade_window(
    canvas: Canvas,
    mesh: Mesh,
    surface: Surface,
    screen: np.ndarray,
    corner: tuple[int, int],
    samples: int,
    near: np.ndarray,
    triangle: np.ndarray,
    camera: Camera,
    light: Light,
    shadow: np.ndarray,
    frame: np.ndarray,
    phase: float,
) -> None:
    """Blend a rasterised window that starts at `corner` into the canvas."""
    left, top = corner
    shade(
        near, triangle, samples, left, top, screen, mesh.vertices, vertex_normals(mesh.vertices, mesh.faces),
        mesh.faces, mesh.coords, mesh.material, mesh.label, mesh.instance, *surface, noise(),
        camera.eye.astype(np.float32), light.packed(), shadow, frame, phase, canvas.rgb, canvas.depth, canvas.labels,
        canvas.instances,
    )  # fmt: skip
    rows, columns = slice(top, top + len(near) // samples), slice(left, left + near.shape[1] // samples)
    canvas.ground[rows, columns] &= canvas.depth[rows, columns] >= FAR


def _window_around(
    point: np.ndarray, reach: float, camera: Camera, width: int, height: int
) -> tuple[int, int, int, int]:
    """XYXY in pixels, within the canvas, of the square of ground whose sides are `reach` away from a point."""
    x, y = point.tolist()
    corners = np.array([[x + a, y + b, 0.0] for a in (-reach, reach) for b in (-reach, reach)])
    seen = camera.project(corners)
    if seen[:, 2].min() < 0.2:  # it begins behind the eye
        return 0, 0, width, height
    low, high = np.floor(seen[:, :2].min(0)), np.ceil(seen[:, :2].max(0))
    return max(int(low[0]), 0), max(int(low[1]), 0), min(int(high[0]), width), min(int(high[1]), height)


def shadow_of(mesh: Mesh, surface: Surface, light: Light, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The shadow map of a mesh and its frame, as `shading.lit_share` reads them; an empty map without sun."""
    a = np.cross(light.direction, [0.0, 0.0, 1.0])
    a /= np.linalg.norm(a) + 1e-9
    axes = np.stack([a, np.cross(a, light.direction), light.direction])
    if light.sun.max() <= 0:
        return np.full((2, 2), -FAR, np.float32), np.concatenate([axes.ravel(), [0, 0, 1, 1]]).astype(np.float32)
    matrix = np.zeros((4, 4))
    matrix[:3, :3], matrix[3, 3] = axes, 1.0
    screen, bounds = project(mesh.vertices, mesh.cut, matrix)
    middle = (bounds[:2] + bounds[2:]) / 2
    per_metre = (side - 4) / max(float((bounds[2:] - bounds[:2]).max()), 1e-3)
    screen[:, :2] = (screen[:, :2] - middle) * per_metre + side / 2
    height, triangle = np.full((side, side), -FAR, np.float32), np.empty((side, side), np.int32)
    rasterise(screen, mesh.faces, mesh.cut, mesh.closed, mesh.coords, mesh.material, *surface, 0, 0, height, triangle)
    return height, np.concatenate([axes.ravel(), middle, [per_metre, 2.2 / per_metre]]).astype(np.float32)
