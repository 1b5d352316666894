"""Photos whose terms allow to ship what is learnt from them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from reid.errors import DatasetError
from reid.images import load_image

# Package, folder in it, and the photos without people that are in the public domain, CC0 or (the last two) CC BY 2.0.
PHOTOS: tuple[tuple[str, str, str], ...] = (
    ("skimage", "data", "brick.png chelsea.png clock_motion.png coffee.png coins.png grass.png gravel.png"),
    ("skimage", "data", "hubble_deep_field.jpg rocket.jpg"),
    ("sklearn", "datasets/images", "china.jpg flower.jpg"),
)


def sample_pictures() -> Iterator[np.ndarray]:
    """The open photos that the scikit-image and scikit-learn wheels carry, whole and at half size: RGB uint8.

    Raises:
        DatasetError: one of those packages is not installed.
    """
    for package, folder, names in PHOTOS:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise DatasetError(
                f"The sample photos come with {package}, which is not installed: pip install scikit-image scikit-learn."
            )
        for name in names.split():
            photo = load_image(Path(spec.origin).parent / folder / name)
            yield photo
            yield cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
