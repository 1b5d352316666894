"""Do altered copies find their original? 40 of 400 scene photos, by each local descriptor, without and with geometry.

The photos are Corel-1k's (or any folder of 400 or more), named by PARTWISE_COREL.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import cv2
import numpy as np

from reid.backends.descriptors import LocalDescriptor
from reid.backends.registry import cards, get
from reid.images import is_image_name, load_image
from reid.search.geometry import KeypointCache, check_shortlist

GALLERY, QUERIES, SHORTLIST = 400, 40, 20


def main() -> None:
    folder = os.environ.get("PARTWISE_COREL")
    if not folder:
        print("Passed over: PARTWISE_COREL names no folder of scene photos.")
        return
    paths = sorted(p for p in Path(folder).iterdir() if is_image_name(p))
    # Spread over the folder, so that all of its subjects take part.
    originals = [load_image(paths[i]) for i in np.linspace(0, len(paths) - 1, GALLERY).astype(int)]
    asked = range(0, GALLERY, GALLERY // QUERIES)
    copies = {i: near_copies(originals[i], np.random.default_rng(i)) for i in asked}
    kinds = list(copies[0])
    print(f"Original found first, % of {QUERIES} among {GALLERY}; with the first {SHORTLIST} checked by geometry.\n")
    print(
        "| backend | "
        + " | ".join(kinds)
        + " | checked: "
        + " | checked: ".join(kinds)
        + " | ms a picture | ms a check |"
    )
    print("| --- " * (2 * len(kinds) + 3) + "|")
    for name in (card.name for card in cards() if card.family == "local descriptor"):
        backend = get(name)
        assert isinstance(backend, LocalDescriptor)
        started = time.perf_counter()
        gallery = backend.embed(originals).global_
        ms = 1000 * (time.perf_counter() - started) / GALLERY
        plain, checked, check_ms = [], [], []
        cache = KeypointCache(GALLERY)
        for kind in kinds:
            similarities = backend.embed([copies[i][kind] for i in asked]).global_ @ gallery.T
            shortlists = np.argsort(-similarities, axis=1, kind="stable")[:, :SHORTLIST]
            plain.append(np.mean([near[0] == i for i, near in zip(asked, shortlists, strict=True)]))
            right = []
            for i, near in zip(asked, shortlists, strict=True):
                pictures = [(str(j), lambda j=j: originals[j]) for j in near]
                for key, load in pictures:
                    cache.get(backend, key, load)
                started = time.perf_counter()
                order, _ = check_shortlist(backend, copies[i][kind], pictures, cache=cache)
                check_ms.append(1000 * (time.perf_counter() - started) / len(pictures))
                right.append(near[order[0]] == i)
            checked.append(np.mean(right))
        cells = [f"{100 * share:.0f}" for share in plain + checked]
        print(f"| {name} | " + " | ".join(cells) + f" | {ms:.0f} | {np.mean(check_ms):.1f} |", flush=True)


def near_copies(picture: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Copies as they go around, each altered in one way, and one in all."""
    turn = rng.uniform(10, 25) * rng.choice([-1, 1])
    return {
        "cropped to 70 % a side": _crop(picture, 0.7, rng),
        "turned by 10-25°": _turn(picture, turn),
        "turned by 90°": np.ascontiguousarray(np.rot90(picture)),
        "at half the brightness": _darken(picture, 0.5),
        "as JPEG 25": _recompress(picture, 25),
        "all: 75 %, 10-25°, 0.6, JPEG 40": _recompress(_darken(_turn(_crop(picture, 0.75, rng), turn), 0.6), 40),
    }


def _crop(picture: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    height, width = (int(share * side) for side in picture.shape[:2])
    y, x = (int(rng.uniform(0, 1 - share) * side) for side in picture.shape[:2])
    return picture[y : y + height, x : x + width]


def _turn(picture: np.ndarray, degrees: float) -> np.ndarray:
    height, width = picture.shape[:2]
    return cv2.warpAffine(picture, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1), (width, height))


def _darken(picture: np.ndarray, factor: float) -> np.ndarray:
    return (picture * factor).astype(np.uint8)


def _recompress(picture: np.ndarray, quality: int) -> np.ndarray:
    _, file = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))


if __name__ == "__main__":
    main()
