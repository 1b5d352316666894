"""Pictures as data URIs: a page shows them without any file being served."""

from __future__ import annotations

import base64
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from reid.datasets import Sample
from reid.errors import PartwiseError
from reid.galleries import Item
from reid.images import load_image
from reid.studio import Studio

# Shown where a picture cannot be read.
_BLANK = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 4 4'%3E"
    "%3Cpath d='M0 0L4 4M4 0L0 4' stroke='%23999' stroke-width='.06'/%3E%3C/svg%3E"
)
_KEPT = 4096  # of a few kilobytes each
_recent: OrderedDict[Hashable, str] = OrderedDict()
_lock = threading.Lock()


def data_uri(picture: np.ndarray, side: int = 1024) -> str:
    """An RGB uint8 picture (H, W, 3) as a JPEG data URI; one longer than `side` pixels is made smaller."""
    scale = side / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def thumbnails(studio: Studio, gallery: str, items: Sequence[Item | Sample], side: int = 256) -> list[str]:
    """A small picture of each item or example of a gallery; a crossed blank where it cannot be read."""

    def one(item: Item | Sample) -> str:
        if isinstance(item, Sample):
            return _cached((item.path, side), lambda: load_image(item.path), side)
        return _cached((item.sha256, item.box, item.frame, side), lambda: studio.picture(gallery, item), side)

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, items))


def _cached(key: Hashable, load: Callable[[], np.ndarray], side: int) -> str:
    with _lock:
        if key in _recent:
            _recent.move_to_end(key)
            return _recent[key]
    try:
        uri = data_uri(load(), side)
    except PartwiseError:
        return _BLANK
    with _lock:
        _recent[key] = uri
        while len(_recent) > _KEPT:
            _recent.popitem(last=False)
    return uri
