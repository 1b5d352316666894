"""The local descriptors: keypoints described one by one, aggregated into one vector by a codebook."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reid.backends.codebook import CENTRES, DIM, Codebook
from reid.backends.registry import Backend, Card, check_installed, create, get, register
from reid.backends.weights import checked_weights
from reid.embedding import Embeddings
from reid.errors import PartwiseError

if TYPE_CHECKING:
    from reid.backends.keypoints import Keypoints

# Smaller pictures are doubled until their short side has so many pixels. SIFT doubles every picture by itself, so that
# half as many do for it.
SHORT_SIDE, SIFT_SHORT_SIDE = 160, 80
MAX_PIXELS = 600_000


def _card(name: str, summary: str, paper: str, preprocessing: str, short_side: int = SHORT_SIDE) -> Card:
    return Card(
        name=name,
        family="local descriptor",
        subject="scene",
        does=("embed",),
        summary=summary,
        dim=CENTRES * DIM,
        weights=f"{name}.codebook.safetensors",
        licence="Apache-2.0",
        paper=paper,
        preprocessing=f"grey; doubled to a short side of {short_side} or more, halved to {MAX_PIXELS} pixels or fewer; "
        + preprocessing,
    )


class LocalDescriptor(Backend):
    """Base of the four.

    Attributes:
        method: the function of `reid.backends.detectors` that finds and describes.
        short_side: that smaller pictures are doubled to.
        sha256: of the codebook that ships.
        codebook_path: another codebook than that, set before `load` (see `with_codebook`).
    """

    method: str
    short_side: int = SHORT_SIDE
    sha256: str
    codebook_path: Path | None = None
    _codebook: Codebook | None = None

    def check(self) -> None:
        self.codebook  # noqa: B018  (read, or an error)
        check_installed("cv2", "mahotas")

    def load(self) -> None:
        from reid.backends import detectors  # noqa: F401  (OpenCV and mahotas are asked for now, not by the first picture)

        self.codebook  # noqa: B018  (the same for the codebook)

    @property
    def codebook(self) -> Codebook:
        """The codebook, read at the first use.

        Raises:
            WeightsError: the file is missing, changed or another backend's.
        """
        if self._codebook is None:
            path = self.codebook_path or checked_weights(str(self.card.weights), self.sha256)
            self._codebook = Codebook.load(path, self.card.name)
        return self._codebook

    def recipe(self) -> dict[str, Any]:
        return super().recipe() | {"codebook": self.codebook.digest}

    def keypoints(self, picture: np.ndarray) -> Keypoints:
        """Find and describe the keypoints of an RGB uint8 picture (H, W, 3), in that picture's pixels."""
        from reid.backends import detectors
        from reid.backends.keypoints import WorkingSize, extract

        return extract(picture, WorkingSize(self.short_side, MAX_PIXELS), getattr(detectors, self.method))

    def embed(self, pictures: Sequence[np.ndarray]) -> Embeddings:
        """Embed RGB uint8 pictures (H, W, 3) of any sizes; one without keypoints gets the zero vector."""
        if not pictures:
            return Embeddings.of(np.zeros((0, CENTRES * DIM), np.float32))
        with ThreadPoolExecutor(min(len(pictures), os.cpu_count() or 1)) as pool:
            vectors = list(pool.map(self._embed_one, pictures))
        return Embeddings.of(np.stack(vectors))

    def _embed_one(self, picture: np.ndarray) -> np.ndarray:
        return self.codebook.encode(self.keypoints(picture).descriptors)


@register(
    _card(
        "sift",
        "Gradient histograms at scale-space extrema; the classic for scenes and near copies.",
        "Lowe, Distinctive Image Features from Scale-Invariant Keypoints, IJCV 2004",
        "1000 keypoints at most; RootSIFT; VLAD at three centres each",
        SIFT_SHORT_SIDE,
    )
)
class Sift(LocalDescriptor):
    method = "sift"
    short_side = SIFT_SHORT_SIDE
    sha256 = "083c6b532cf58e2c0e2d6a908c9e3fbea105fa654f917e445cd01674fb1eee65"


@register(
    _card(
        "surf",
        "Box-filter approximation of Hessian keypoints and Haar responses.",
        "Bay et al., SURF: Speeded Up Robust Features, CVIU 2008",
        "1024 keypoints at most, at every other pixel of pictures doubled twice; signed square root; "
        "VLAD at three centres each",
    )
)
class Surf(LocalDescriptor):
    method = "surf"
    sha256 = "5a0ca599a027005718b689106e8e27e0e60911c26ac910efb5bae0d5829d7fd7"


@register(
    _card(
        "orb",
        "Binary tests at oriented corners; the fastest of the local descriptors.",
        "Rublee et al., ORB: An Efficient Alternative to SIFT or SURF, ICCV 2011",
        "1000 keypoints at most; k-majority centres; Fisher vector of bits at three centres each",
    )
)
class Orb(LocalDescriptor):
    method = "orb"
    sha256 = "a7e7983bf155ecaafa0054f3062fe4c2514788566432134e70f1f929d2a52ec4"


@register(
    _card(
        "vgg-descriptor",
        "Pooling regions learnt by convex optimisation, at SIFT's keypoints (Visual Geometry Group's descriptor).",
        "Simonyan et al., Learning Local Feature Descriptors Using Convex Optimisation, TPAMI 2014",
        "300 keypoints at most, in small pictures one for 128 pixels; signed square root; VLAD at three centres each",
        SIFT_SHORT_SIDE,
    )
)
class VggDescriptor(LocalDescriptor):
    method = "vgg"
    short_side = SIFT_SHORT_SIDE
    sha256 = "917f76df90943094340ccff6cb8bb768136e91b5461210661cc04f2ded0cf765"


def with_codebook(name: str, path: Path) -> LocalDescriptor:
    """A loaded local descriptor that uses the codebook at `path` (of a gallery, say) in place of the shipped one.

    Its recipe hash differs from the shipped one's, so that their vectors never mix.

    Raises:
        UnknownNameError: no such backend.
        PartwiseError: a backend without codebooks.
        WeightsError: the file is missing, damaged or another backend's.
    """
    backend = create(name)
    if not isinstance(backend, LocalDescriptor):
        raise PartwiseError(f"{name} has no codebook; the local descriptors have: sift, surf, orb, vgg-descriptor.")
    backend.codebook_path = Path(path)
    backend.load()
    return backend


def for_gallery(name: str, folder: Path) -> Backend:
    """The backend of that name with the codebook that a gallery's `folder` holds, or as it ships where there is none.

    Raises:
        UnknownNameError: no such backend.
        WeightsError: weights or codebook cannot be had.
    """
    path = codebook_path(name, folder)
    return with_codebook(name, path) if path.is_file() else get(name)


def codebook_path(name: str, folder: Path) -> Path:
    """Where a gallery keeps the codebook that was learnt on it."""
    return Path(folder) / f"{name}.codebook.safetensors"
