"""Cameras, light and canvases, and the one step that draws a mesh over what a canvas shows already."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from reid.rendering.materials import noise
from reid.rendering.mesh import Mesh, vertex_normals
from reid.rendering.raster import FAR, rasterise, shadow_map
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
    table, atlas = surface
    height, width = canvas.depth.shape
    screen = camera.project(mesh.vertices).astype(np.float32)
    ahead = screen[:, 2] > 0.05
    if not ahead.any():
        return None
    solid = ahead & (mesh.cut >= 0)
    if not solid.any():
        return None
    low, high = screen[solid, :2].min(0), screen[solid, :2].max(0)
    bounds = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    normals = vertex_normals(mesh.vertices, mesh.faces)
    shadow, frame = shadow_of(mesh, light, shadow_side)
    eye = camera.eye.astype(np.float32)
    if feet is not None:
        reach = 3.0 if light.ground_fade < 1 else 0.9
        darken_ground(
            canvas.rgb,
            canvas.ground,
            camera.rays(),
            eye,
            light.ground_fade,
            shadow,
            frame,
            feet.astype(np.float32),
            reach,
        )
    left, top = max(math.floor(low[0]), 0), max(math.floor(low[1]), 0)
    right, bottom = min(math.ceil(high[0]) + 1, width), min(math.ceil(high[1]) + 1, height)
    if left >= right or top >= bottom:
        return bounds
    shape = ((bottom - top) * samples, (right - left) * samples)
    depth = np.full(shape, FAR, np.float32)
    triangle = np.full(shape, -1, np.int32)
    bary = np.empty((*shape, 2), np.float32)
    screen[:, :2] *= samples
    rasterise(
        screen, mesh.faces, mesh.cut, mesh.coords, mesh.material, table, atlas, left * samples, top * samples, depth,
        triangle, bary,
    )  # fmt: skip
    shade(
        depth, triangle, bary, samples, left, top, mesh.vertices, normals, mesh.faces, mesh.coords, mesh.material,
        mesh.label, mesh.instance, table, atlas, noise(), eye, light.packed(), shadow, frame, phase, canvas.rgb,
        canvas.depth, canvas.labels, canvas.instances,
    )  # fmt: skip
    canvas.ground[top:bottom, left:right] &= canvas.depth[top:bottom, left:right] >= FAR
    return bounds


def shadow_of(mesh: Mesh, light: Light, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The shadow map of a mesh and its frame; an empty one without sun."""
    a = np.cross(light.direction, [0.0, 0.0, 1.0])
    a /= np.linalg.norm(a) + 1e-9
    b = np.cross(light.direction, a)
    seen = mesh.vertices @ np.stack([a, b, light.direction], 1)
    low, high = seen[:, :2].min(0), seen[:, :2].max(0)
    middle = (low + high) / 2
    per_metre = (side - 4) / max(float((high - low).max()), 1e-3)
    frame = np.concatenate([a, b, light.direction, middle, [per_metre, 2.2 / per_metre]]).astype(np.float32)
    if light.sun.max() <= 0:
        return np.full((2, 2), FAR, np.float32), frame
    seen[:, :2] = (seen[:, :2] - middle) * per_metre + side / 2
    seen[:, 2] = 100.0 - seen[:, 2]
    return shadow_map(seen.astype(np.float32), mesh.faces, mesh.cut, side), frame
