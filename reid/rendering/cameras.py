"""Fixed cameras: each has its place, its height and lens, its weather, and its own way with colours.

A crop is cut from the camera's frame, so its background, its sharpness and its perspective are those of the place where
the person walks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from reid.rendering.paint import Camera, Canvas, Light, look
from reid.rendering.raster import FAR
from reid.rendering.scenes import Scene, draw_scene
from reid.rendering.shading import lit_share

FRAME = (600, 800)
"""Height and width of a camera's frame in pixels."""

CROP_TALL = (105.0, 430.0)
"""How high those who are cropped are in the frame, least and most, in pixels."""


@dataclass(frozen=True)
class Film:
    """How a camera turns light into a picture.

    Attributes:
        exposure, gamma, contrast, saturation: of the tone curve. cast: (3,) gain of the channels. black: its level.
        sharpness: pixels of the frame kept. blur: sigma of the lens in frame pixels. halo: strength of sharpening.
        grain: standard deviation of the noise. quality: of the JPEG stream.
    """

    exposure: float
    gamma: float
    contrast: float
    saturation: float
    cast: np.ndarray
    black: float
    sharpness: float
    blur: float
    halo: float
    grain: float
    quality: int

    def develop(self, rgb: np.ndarray, native: float, rng: np.random.Generator) -> np.ndarray:
        """A picture (H, W, 3) uint8 of linear light (H, W, 3).

        Args:
            native: pixels of the frame for each pixel of the picture.
        """
        height, width = rgb.shape[:2]
        exposure = self.exposure * np.exp(rng.normal(0, 0.16))
        kept = float(np.clip(native * self.sharpness * np.exp(rng.normal(0, 0.12)), 0.22, 1.0))
        small = (max(int(width * kept), 24), max(int(height * kept), 48))
        light = cv2.resize(rgb, small, interpolation=cv2.INTER_AREA)
        mixing = self.saturation * np.eye(3) + (1 - self.saturation) * np.array([0.3, 0.59, 0.11])
        light = cv2.transform(light, mixing @ np.diag(exposure * self.cast))
        tone = cv2.pow(np.clip(light, 0, 4), self.gamma)
        bright = np.maximum(tone - np.float32(0.75), 0)  # what is brighter bends softly towards white
        tone += np.float32(0.25) * (1 - cv2.exp(-3 * bright)) - bright
        lift = self.black + (1 - self.black) * 0.45 * (1 - self.contrast)
        tone = tone * np.float32((1 - self.black) * self.contrast) + np.float32(lift)
        if self.blur > 0.2:
            tone = cv2.GaussianBlur(tone, (0, 0), self.blur)
        if rng.random() < 0.15:  # walking past a slow shutter
            long = int(rng.integers(2, 5))
            tone = cv2.blur(tone, (long, 1))
        if self.halo > 0:
            tone = tone + np.float32(self.halo) * (tone - cv2.GaussianBlur(tone, (0, 0), 1.2))
        tone = tone + np.float32(self.grain) * rng.standard_normal(tone.shape, np.float32)
        picture = (np.clip(tone, 0, 1) * 255).astype(np.uint8)
        if self.quality < 95:
            packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
            picture = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
        if small != (width, height):
            picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        return picture


@dataclass(frozen=True)
class FixedCamera:
    """A camera with its empty frame.

    Attributes:
        view: the pinhole of the whole frame. light: of its place. film: its colours.
        rgb, depth, ground: (H, W, 3), (H, W), (H, W) float16, float16, bool: the frame without people, linear.
        shadow, shadow_frame: where the sun reaches.
        attempt: which set-up of the camera this is, 0 unless earlier ones had no room before them.
    """

    view: Camera
    light: Light
    film: Film
    rgb: np.ndarray
    depth: np.ndarray
    ground: np.ndarray
    shadow: np.ndarray
    shadow_frame: np.ndarray
    attempt: int = 0

    def crop(self, box: tuple[float, float, float, float], height: int, width: int) -> tuple[Canvas, Camera]:
        """The empty frame inside `box` (XYXY in frame pixels), as a canvas of height x width and its camera."""
        left, top, right, bottom = box
        sx, sy = width / (right - left), height / (bottom - top)
        rows, columns = self.ground.shape
        x0, y0 = int(np.clip(left - 2, 0, columns - 4)), int(np.clip(top - 2, 0, rows - 4))
        x1, y1 = int(np.clip(right + 3, x0 + 4, columns)), int(np.clip(bottom + 3, y0 + 4, rows))
        # Pixel centres lie at .5, which warpAffine counts as whole numbers.
        matrix = np.array([[sx, 0, (x0 + 0.5 - left) * sx - 0.5], [0, sy, (y0 + 0.5 - top) * sy - 0.5]], np.float32)

        def warp(image: np.ndarray, how: int) -> np.ndarray:
            return cv2.warpAffine(image, matrix, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)

        rgb = warp(self.rgb[y0:y1, x0:x1].astype(np.float32), cv2.INTER_LINEAR)
        depth = warp(self.depth[y0:y1, x0:x1].astype(np.float32), cv2.INTER_NEAREST)
        ground = warp(self.ground[y0:y1, x0:x1].astype(np.uint8), cv2.INTER_NEAREST).astype(bool)
        canvas = Canvas(
            np.ascontiguousarray(rgb),
            np.where(np.isfinite(depth), depth, FAR),
            ground,
            np.zeros((height, width), np.uint8),
            np.zeros((height, width), np.int32),
        )
        return canvas, self.view.window(left, top, sx, sy)

    def place(self, rng: np.random.Generator, tall: tuple[float, float] = CROP_TALL) -> np.ndarray:
        """A point (2,) on the ground where somebody may walk: seen from head to foot, or at times partly hidden.

        Args:
            tall: how high somebody who walks there is in the frame, least and most, in pixels.
        """
        hidden = rng.random() < 0.08
        point = np.zeros(2)
        for _ in range(60):
            point, on_ground, above = self._spot(rng, tall)
            if above and (on_ground or hidden):
                return point
        return point

    def room(self) -> float:
        """The share of spots where somebody who walks there is seen from head to foot; hardly any before a wall."""
        rng = np.random.default_rng(0)
        spots = [self._spot(rng, CROP_TALL) for _ in range(400)]
        return sum(on_ground and above for _, on_ground, above in spots) / len(spots)

    def _spot(self, rng: np.random.Generator, tall: tuple[float, float]) -> tuple[np.ndarray, bool, bool]:
        """A random point (2,) of the ground, whether feet would be seen there, and whether hips and head would be."""
        rows, columns = self.ground.shape
        high = math.exp(rng.uniform(math.log(tall[0]), math.log(tall[1])))
        away = 1.7 * self.view.fy / high
        x = rng.uniform(0.08, 0.92) * columns
        side = (x - self.view.cx) / self.view.fx * away
        flat = math.sqrt(max(away**2 - 0.5 * self.view.eye[2] ** 2, 1.0))
        forward, right = self.view.turn[2, :2], self.view.turn[0, :2]
        point = self.view.eye[:2] + flat * forward / np.linalg.norm(forward) + side * right / np.linalg.norm(right)
        body = self.view.project(np.array([[*point, 0.0], [*point, 0.95], [*point, 1.7]]))
        if body[0, 1] > rows - 2 or body[2, 1] < -0.05 * high:
            return point, False, False
        px = np.clip(body[:, :2].astype(int), 0, [columns - 1, rows - 1])
        free = [self.ground[py, qx] or self.depth[py, qx] > z + 0.2 for (qx, py), z in zip(px, body[:, 2], strict=True)]
        return point, bool(self.ground[px[0, 1], px[0, 0]]), bool(free[1] and free[2])

    def sunlit(self, point: np.ndarray) -> float:
        """0..1, how much sun reaches chest height over a point on the ground."""
        return float(lit_share(self.shadow, self.shadow_frame, point[0], point[1], 1.2))

    def save(self, path: Path) -> None:
        """Write the frame's arrays; `make_camera` with the same seed and number reads them back."""
        light = np.stack([self.light.direction, self.light.sun, self.light.sky, self.light.ground])
        np.savez(
            path, rgb=self.rgb, depth=self.depth, ground=self.ground, shadow=self.shadow,
            shadow_frame=self.shadow_frame, light=light, attempt=self.attempt,
        )  # fmt: skip


CAMERAS_OF_A_PLACE = 3
"""Cameras 1-3 watch one place, 4-6 the next: as on a campus, what is behind people tells little about the camera."""


LEAST_ROOM = 0.1
"""A camera that shows free ground at less than this share of its spots is set up anew: nobody would walk before it."""


def make_camera(seed: int, number: int, cached: Path | None = None) -> FixedCamera:
    """Camera `number` of the set that `seed` draws.

    Args:
        cached: a file that `FixedCamera.save` wrote, to spare drawing the frame again.
    """
    if cached is not None:
        with np.load(cached, allow_pickle=False) as file:
            drawn = {key: file[key] for key in file.files}
        return _set_up(seed, number, int(drawn.pop("attempt")), drawn)
    attempt = 0
    while (camera := _set_up(seed, number, attempt)).room() < LEAST_ROOM:
        attempt += 1
    return camera


def _set_up(seed: int, number: int, attempt: int, drawn: dict[str, np.ndarray] | None = None) -> FixedCamera:
    """The camera as attempt `attempt` has it; `drawn` is its frame where that was drawn before."""
    rng = np.random.default_rng([seed, number, 77, attempt] if attempt else [seed, number, 77])
    height = float(np.clip(rng.lognormal(math.log(2.3), 0.35), 1.4, 5.0))
    aim = rng.uniform(7.0, 15.0)
    pitch = math.atan2(height - rng.uniform(0.7, 1.3), aim)
    focal = FRAME[1] * rng.uniform(0.75, 1.35)
    across = rng.uniform(-4, 4)
    eye = np.array([across, rng.uniform(-1, 1.5), height])
    heading = 0.06 * across + rng.normal(0, 0.2)
    view = look(eye, heading, pitch, rng.normal(0, 0.02), focal, (FRAME[1] / 2, FRAME[0] / 2))
    if drawn is None:
        place = (number - 1) // CAMERAS_OF_A_PLACE
        drawn = frame_arrays(draw_scene(np.random.default_rng([seed, place, 78])), view, FRAME)
    light = Light(*drawn.pop("light"))
    film = draw_film(rng, float(np.mean(drawn["rgb"][FRAME[0] // 4 :].astype(np.float32))))
    return FixedCamera(view=view, light=light, film=film, attempt=attempt, **drawn)


def frame_arrays(scene: Scene, view: Camera, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """The empty frame of a camera before a scene: the arrays of `FixedCamera`, and its light in rows."""
    canvas = scene.draw(view, size[1], size[0], scene.shadow())
    shadow, frame = scene.shadow(512)
    light = scene.light
    return {
        "rgb": canvas.rgb.astype(np.float16),
        "depth": np.where(canvas.depth < FAR, canvas.depth, np.inf).astype(np.float16),
        "ground": canvas.ground,
        "shadow": shadow,
        "shadow_frame": frame,
        "light": np.stack([light.direction, light.sun, light.sky, light.ground]),
    }


def draw_film(rng: np.random.Generator, brightness: float) -> Film:
    """A camera's way with colours, exposed for a frame of this mean linear brightness."""
    cast = np.exp(rng.normal(0, 0.035, 3))
    cast *= np.exp(rng.normal(0, 0.06) * np.array([1, 0, -1]))
    return Film(
        exposure=rng.uniform(0.17, 0.32) / max(brightness, 0.02),
        gamma=rng.uniform(0.43, 0.55),
        contrast=rng.uniform(0.88, 1.2),
        saturation=rng.uniform(0.65, 1.25),
        cast=cast / cast.mean(),
        black=rng.uniform(0.0, 0.06),
        sharpness=rng.uniform(0.5, 1.2),
        blur=max(0.0, rng.uniform(-0.5, 1.1)),
        halo=max(0.0, rng.uniform(-0.5, 1.3)),
        grain=rng.uniform(0.002, 0.02),
        quality=int(rng.uniform(45, 105)),
    )
