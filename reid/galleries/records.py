"""What a catalogue is told and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Item:
    """One picture, or one region of a picture or video frame, in a gallery.

    Attributes:
        id: its number in the gallery; never used again after removal.
        name: its path under the folder it came from, with `/`.
        path: where the file is.
        sha256: of the file's bytes, 64 hex digits.
        width, height: pixels of the whole picture, as it is seen (EXIF turn applied).
        identity, camera: None where unknown.
        words: all words kept with it, the user's first.
        bytes: size of the file.
        copied: True if the file lies in the gallery's own folder.
        box: (x0, y0, x1, y1) in the picture's pixels where the item is a region of it.
        frame, time: frame number and seconds from the start where the file is a video.
    """

    id: int
    name: str
    path: Path
    sha256: str
    width: int
    height: int
    identity: str | None = None
    camera: str | None = None
    words: str = ""
    bytes: int = 0
    copied: bool = False
    box: Box | None = None
    frame: int | None = None
    time: float | None = None


@dataclass(frozen=True)
class NewItem:
    """What `Catalogue.put_items` enters; the fields are `Item`'s.

    Attributes:
        stamp: tells cheaply whether the file changed; see `reid.galleries.files`.
        words: words that came with the picture; empty keeps those that are there.
    """

    name: str
    path: str
    sha256: str
    bytes: int
    stamp: str
    width: int
    height: int
    identity: str | None = None
    camera: str | None = None
    words: str = ""
    copied: bool = False
    box: Box | None = None
    frame: int | None = None
    time: float | None = None


@dataclass(frozen=True)
class Put:
    """What became of one `NewItem`.

    Attributes:
        id: the item's number.
        added: True if it was not there before.
        changed: True if it was there with other bytes.
    """

    id: int
    added: bool
    changed: bool


@dataclass(frozen=True)
class Known:
    """What indexing needs to know of an item to pass over it."""

    id: int
    sha256: str
    stamp: str
    identity: str | None
    camera: str | None
    words: str


@dataclass(frozen=True)
class VectorState:
    """Which vectors a recipe has: the same state always stands for the same vectors.

    Ids of vectors only grow. So those of a later state with the same highest id are among those of the earlier one, and
    as many of them are the same ones.
    """

    uid: str
    recipe: str
    count: int
    last: int
