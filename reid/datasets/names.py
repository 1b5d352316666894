"""What file names say: identity and camera as Market-1501, CUHK03 and Corel write them."""

from __future__ import annotations

import re
from typing import NamedTuple


class Known(NamedTuple):
    """What a name tells of a picture; None where it does not."""

    identity: str | None = None
    camera: str | None = None


# 0002_c1s1_000451_03.jpg, -1_c3s2_..., and the kin that leave out the sequence: 0002_c1_f0046182.jpg
_MARKET1501 = re.compile(r"(-1|\d+)_c(\d+)(?:s\d+)?_")
# 0007_03.jpg: identity, then the view: 00-04 camera A, 05-09 camera B
_CUHK03 = re.compile(r"(\d{4})_0(\d)$")
COREL_CLASS_SIZE = 100


def market1501(stem: str) -> Known | None:
    """`0002_c1s1_000451_03` -> identity "0002", camera "c1"; None for a name of another kind."""
    match = _MARKET1501.match(stem)
    return Known(match[1], f"c{int(match[2])}") if match else None


def cuhk03(stem: str) -> Known | None:
    """`0007_03` -> identity "0007", camera "A"; None for a name of another kind."""
    match = _CUHK03.match(stem)
    return Known(match[1], "A" if int(match[2]) < 5 else "B") if match else None


def corel(stem: str) -> Known | None:
    """`742` -> class "7"; None for a name of another kind."""
    return Known(str(int(stem) // COREL_CLASS_SIZE)) if stem.isascii() and stem.isdigit() else None
