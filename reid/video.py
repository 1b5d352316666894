"""Footage becomes checked RGB frames here: each with its number and time, up to where the file breaks off."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from reid.errors import ImageError
from reid.images import MAX_PIXELS, MIN_SIDE

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp"})

_NEARLY_ALL = 0.98  # containers count frames only roughly; what is missing beyond this is a break


@dataclass(frozen=True)
class VideoFrame:
    """One frame of footage.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        number: counted from 0.
        time: seconds from the start.
    """

    picture: np.ndarray
    number: int
    time: float


@dataclass(frozen=True)
class VideoInfo:
    """What a file says of itself.

    Attributes:
        frames: how many there should be; 0 where the file does not say.
        rate: frames a second.
        width, height: pixels.
    """

    frames: int
    rate: float
    width: int
    height: int


def is_video_name(path: str | os.PathLike[str]) -> bool:
    """True if the name has a video's suffix."""
    return os.path.splitext(os.fspath(path))[1].lower() in VIDEO_SUFFIXES


def video_info(path: str | os.PathLike[str]) -> VideoInfo:
    """What a video says of itself.

    Raises:
        ImageError: it cannot be opened.
    """
    with _opened(path) as capture:
        return _info(capture)


def read_frames(
    path: str | os.PathLike[str], *, every: int = 1, on_break: Callable[[str], None] | None = None
) -> Iterator[VideoFrame]:
    """Every so many frames of a video, from the first on.

    Args:
        every: 1 for all frames, 2 for every second, ...
        on_break: called with a sentence if the file breaks off before its end; the frames before are given.

    Raises:
        ImageError: it cannot be opened, holds no frame at all, or its frames are too large.
    """
    with _opened(path) as capture:
        info = _info(capture)
        number = 0
        while capture.grab():
            if number % every == 0:
                good, picture = capture.retrieve()
                if not good or picture is None:
                    break
                yield VideoFrame(_checked(picture, path), number, number / info.rate)
            number += 1
        if number == 0:
            raise ImageError(f"{os.fspath(path)} holds no frame that can be read; it is damaged, or no video.")
        if number < _NEARLY_ALL * info.frames - 1 and on_break is not None:
            on_break(
                f"{os.fspath(path)} breaks off after frame {number} of {info.frames} "
                f"({number / info.rate:.1f} seconds); what comes before is kept."
            )


def load_frame(path: str | os.PathLike[str], number: int) -> np.ndarray:
    """One frame of a video by its number, from 0: (H, W, 3) uint8 RGB.

    Raises:
        ImageError: the file cannot be opened, or has no such frame.
    """
    with _opened(path) as capture:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        good, picture = capture.read()
        if not good or picture is None:
            raise ImageError(f"{os.fspath(path)} has no frame {number} that can be read.")
        return _checked(picture, path)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[cv2.VideoCapture]:
    name = os.fspath(path)
    if not Path(name).is_file():
        raise ImageError(f"{name} does not exist." if not os.path.exists(name) else f"{name} is no video file.")
    # FFmpeg alone: other readers of OpenCV take a file's name for a pattern or a device.
    capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise ImageError(f"{name} cannot be read as a video: it is damaged, or of a kind that is not known here.")
        yield capture
    finally:
        capture.release()


def _info(capture: cv2.VideoCapture) -> VideoInfo:
    rate = capture.get(cv2.CAP_PROP_FPS)
    return VideoInfo(
        max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0),
        rate if 0 < rate < 1000 else 25.0,
        int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
        int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
    )


def _checked(picture: np.ndarray, path: str | os.PathLike[str]) -> np.ndarray:
    height, width = picture.shape[:2]
    if min(height, width) < MIN_SIDE or height * width > MAX_PIXELS:
        raise ImageError(f"{os.fspath(path)} has frames of {width} x {height} pixels, which are not taken.")
    return np.ascontiguousarray(picture[..., ::-1])
