"""The one record of a picture in a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

JUNK = "-1"  # Market-1501's mark for a box that counts neither as a match nor as a mistake
DISTRACTOR = "0000"  # Market-1501's mark for a box that shows nobody asked for: always a mistake


@dataclass(frozen=True)
class Sample:
    """One picture file and what is known of it.

    Attributes:
        path: where the file lies.
        name: its path under the folder it came from, with forward slashes.
        identity: whom or what it shows (a person, a class, a place), or None.
        camera: which camera took it, e.g. "c1", or None.
        words: free text about it.
        split: "train", "query" or "test" where the data set says, else "".
        view: which view of the identity it is where the data set says, else "".
    """

    path: Path
    name: str
    identity: str | None = None
    camera: str | None = None
    words: str = ""
    split: str = ""
    view: str = ""
