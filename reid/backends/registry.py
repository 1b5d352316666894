"""The registry: one entry a backend, with a card that listing, command line, app, docs and tests all follow.

A backend's module registers its class and stays cheap to import: OpenCV, torch and the like are imported in `load`, so
that listing what there is costs nothing.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from reid.embedding import Embedding, Embeddings
from reid.errors import PartwiseError, UnknownNameError

ABILITIES = ("embed", "find", "parse", "pose")

# Each registers its backends when imported; a new family is one line here.
FAMILY_MODULES: tuple[str, ...] = (
    "reid.backends.colour",
    "reid.backends.descriptors",
    "reid.backends.lite0",
    "reid.backends.retrieval",
    "reid.backends.saved",
    "reid.backends.hub",
    "reid.backends.timm_models",
    "reid.backends.gpn",
    "reid.backends.dpsnet",
    "reid.backends.rfcn",
    "reid.backends.rcnn",
)

# Best on real photos first.
PREFERRED = ("gpn", "resnet.partwise", "lite0", "hsv-stripes")

# What a bare name means where there are several weights: the ones that ship.
DEFAULT_TAG = "partwise"


@dataclass(frozen=True)
class Card:
    """What is known of a backend without loading it.

    Attributes:
        name: public name, e.g. `sift`; with a tag where there are several weights, e.g. `resnet.imagenet`.
        family: "baseline", "local descriptor", "retrieval network", "region network", "graph pose network" or
            "scene parser".
        subject: what it was made for: "person", "scene" or "any".
        does: abilities out of `ABILITIES`.
        summary: one sentence for people.
        dim: length of the global vector; None where it does not embed.
        parts: names of the parts, in the order of `Embedding.parts`.
        weights: file under models/weights, or where else the numbers come from; None for none.
        licence: terms of the weights (their data's terms included).
        research_only: True where those terms forbid commercial use.
        paper: where the method was published.
        input_size: (height, width) pictures are brought to, or None where they keep their own.
        preprocessing: one line, part of the recipe: changing it must change this text.
    """

    name: str
    family: str
    subject: str
    does: tuple[str, ...]
    summary: str
    dim: int | None = None
    parts: tuple[str, ...] = ()
    weights: str | None = None
    licence: str = "Apache-2.0"
    research_only: bool = False
    paper: str = ""
    input_size: tuple[int, int] | None = None
    preprocessing: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.does) - set(ABILITIES)
        if unknown or not self.does:
            raise ValueError(f"card {self.name!r}: does {self.does} must be some of {ABILITIES}")
        if ("embed" in self.does) != (self.dim is not None):
            raise ValueError(f"card {self.name!r}: a backend has a dim exactly when it embeds")


@dataclass(frozen=True)
class Boxes:
    """What a finder found in one frame, best first.

    Attributes:
        xyxy: (N, 4) float32, pixels of the caller's frame.
        labels: N names, e.g. "person".
        scores: (N,) float32 in 0..1.
    """

    xyxy: np.ndarray
    labels: tuple[str, ...]
    scores: np.ndarray


@dataclass(frozen=True)
class Parse:
    """A label map in the caller's frame.

    Attributes:
        labels: (H, W) uint8, indices into `names`.
        names: the classes, in order.
        palette: (len(names), 3) uint8, a colour a class.
    """

    labels: np.ndarray
    names: tuple[str, ...]
    palette: np.ndarray

    @property
    def has_background(self) -> bool:
        """Whether label 0 is what lies behind a figure; a scene is labelled all over."""
        return self.names[0] == "background"

    @property
    def figure(self) -> np.ndarray:
        """(H, W) bool, the pixels of a class that is no background."""
        return self.labels > 0 if self.has_background else np.ones(self.labels.shape, bool)


@dataclass(frozen=True)
class Skeleton:
    """The joints of one person in the caller's frame.

    Attributes:
        names: J joint names.
        xy: (J, 2) float32, pixels of the picture.
        confidence: (J,) float32 in 0..1.
        xyz: (J, 3) float32, metres from the pelvis, camera axes (x right, y down, z away).
        bones: pairs of joint indices.
    """

    names: tuple[str, ...]
    xy: np.ndarray
    confidence: np.ndarray
    xyz: np.ndarray
    bones: tuple[tuple[int, int], ...] = field(default=())


class Backend(ABC):
    """Base of all backends. Construction is free of work; `load` does it once, `get` calls it."""

    card: Card

    @abstractmethod
    def load(self) -> None:
        """Import what is needed and read weights from disk. Never touches the network.

        Raises:
            WeightsError: weights are missing, changed or of another network.
        """

    def recipe(self) -> dict[str, Any]:
        """Everything that changes vectors: weights hash, codebook hash, preprocessing. Extend, do not replace."""
        return {"name": self.card.name, "preprocessing": self.card.preprocessing, "input_size": self.card.input_size}

    def recipe_hash(self) -> str:
        """16 hex digits that name the recipe: vectors of different recipes never mix."""
        text = json.dumps(self.recipe(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def check(self) -> None:
        """See whether `load` would work, and raise what it would raise; cheaper than loading where that is possible."""
        self.load()

    def why_not_ready(self) -> str | None:
        """None when `load` would work, else one sentence that says why not and what to do."""
        try:
            self.check()
        except (PartwiseError, ImportError) as error:
            return str(error)
        return None

    def embed(self, pictures: Sequence[np.ndarray]) -> Embeddings:
        """Embed RGB uint8 pictures (H, W, 3) of any sizes: N in, arrays of N out."""
        raise self._cannot("embed")

    def reveal(self, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The pictures without what hides their subject, to be embedded for a match by parts.

        A picture that nothing is taken out of comes back itself; all do, from a backend that cannot tell what hides.
        """
        return list(pictures)

    def find(self, frame: np.ndarray, progress: Callable[[int, int], None] | None = None) -> Boxes:
        """Find people and objects in one RGB uint8 frame (H, W, 3).

        `progress` is called with (regions looked at, regions in all) by those that look at one after the other.
        """
        raise self._cannot("find")

    def parse(self, picture: np.ndarray) -> Parse:
        """Label every pixel of one RGB uint8 picture (H, W, 3)."""
        raise self._cannot("parse")

    def pose(self, picture: np.ndarray) -> Skeleton:
        """Find the joints of the one person in an RGB uint8 picture (H, W, 3)."""
        raise self._cannot("pose")

    def embed_and_parse(self, pictures: Sequence[np.ndarray]) -> tuple[Embeddings, list[Parse]]:
        """`embed` and `parse` of each picture; a network that gives both in one pass does so."""
        return self.embed(pictures), [self.parse(picture) for picture in pictures]

    def note(self, picture: np.ndarray, embedding: Embedding) -> str | None:
        """A sentence the user should know before believing this embedding of the picture, or None: all is well."""
        return None

    def _cannot(self, ability: str) -> PartwiseError:
        able = [name for name, cls in _classes().items() if ability in cls.card.does]
        return PartwiseError(f"{self.card.name} does not {ability}; backends that do: {', '.join(able) or 'none yet'}.")


B = TypeVar("B", bound=type[Backend])


@dataclass(frozen=True)
class Source:
    """Where backends come from that no module registers: networks made on this machine, models of a hub, and so on.

    Attributes:
        find: name -> class, or None where the name is not of this source's kind. It may raise what `create` may.
        listed: the classes that a listing shows beside the registered ones.
    """

    find: Callable[[str], type[Backend] | None]
    listed: Callable[[], Iterable[type[Backend]]] = tuple


_registered: dict[str, type[Backend]] = {}
_instances: dict[str, Backend] = {}
_sources: list[Source] = []
_lock = threading.RLock()


def register(card: Card) -> Callable[[B], B]:
    """Class decorator that enters a backend under `card.name`; one class may carry one card (subclass for more)."""

    def enter(cls: B) -> B:
        if card.name in _registered:
            raise ValueError(f"two backends are called {card.name!r}")
        cls.card = card
        _registered[card.name] = cls
        return cls

    return enter


def add_source(
    find: Callable[[str], type[Backend] | None], listed: Callable[[], Iterable[type[Backend]]] = tuple
) -> None:
    """Have backends found that no module registers; see `Source`."""
    _sources.append(Source(find, listed))


def forget(name: str) -> None:
    """Let go of a loaded backend: its weights have changed, or are gone."""
    with _lock:
        _instances.pop(name, None)


def _classes() -> dict[str, type[Backend]]:
    with _lock:
        for module in FAMILY_MODULES:
            importlib.import_module(module)
        # Listing follows the families, whichever module happened to be imported first.
        place = {module: i for i, module in enumerate(FAMILY_MODULES)}
        found = dict(sorted(_registered.items(), key=lambda entry: place.get(entry[1].__module__, len(place))))
    return found | {cls.card.name: cls for source in _sources for cls in source.listed()}


def registered(name: str) -> type[Backend]:
    """The class of one backend; a bare name means the weights that ship.

    Raises:
        UnknownNameError: no such backend; the text lists all.
    """
    classes = _classes()
    found = classes.get(name) or classes.get(f"{name}.{DEFAULT_TAG}")
    for source in _sources if found is None else ():
        found = found or source.find(name)
    if found is None:
        raise UnknownNameError(f"There is no backend {name!r}; there are {', '.join(classes)}.")
    return found


def cards() -> list[Card]:
    """The cards of all backends, family by family."""
    return [cls.card for cls in _classes().values()]


def card(name: str) -> Card:
    """The card of one backend.

    Raises:
        UnknownNameError: no such backend; the text lists all.
    """
    return registered(name).card


def create(name: str) -> Backend:
    """A new, unloaded backend: for a caller that wants its own settings or several copies."""
    return registered(name)()


def get(name: str) -> Backend:
    """The loaded backend of that name, shared by the process.

    Raises:
        UnknownNameError: no such backend.
        WeightsError: its weights cannot be had.
    """
    with _lock:
        name = card(name).name
        if name not in _instances:
            backend = create(name)
            backend.load()
            _instances[name] = backend
        return _instances[name]


def default() -> str:
    """The backend that is used where none is named: the first of `PREFERRED` that is there."""
    return next(name for name in PREFERRED if name in _classes())


def check_installed(*packages: str) -> None:
    """See whether packages can be imported, without the seconds that importing some of them takes.

    Raises:
        PartwiseError: one is not installed.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise PartwiseError(f"The package {package} is not installed: pip install -r requirements.txt.")


def markdown_table() -> str:
    """All backends as a Markdown table, for the guide."""
    rows = ["| backend | family | subject | does | dimension | terms of the weights | what it is |", "| --- " * 7 + "|"]
    for c in cards():
        dim = f"{c.dim:,}" if c.dim else ""
        cells = (f"`{c.name}`", c.family, c.subject, ", ".join(c.does), dim, c.licence, c.summary)
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)
