"""Networks kept in folders: those fine-tuned on this machine, and whatever has the same three files.

A folder holds config.json (what the network is), model.safetensors (its weights) and README.md (its model card). Those
under `networks` in the data folder are backends by the folder's name, `ARCHITECTURE.TAG`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from reid.backends.registry import Backend, Card, add_source, check_installed, forget
from reid.backends.retrieval import POOLING_NAMES, RetrievalNetwork
from reid.backends.tensors import IMAGENET_MEAN, IMAGENET_STD
from reid.backends.weights import read_tensors, sha256_of
from reid.errors import PartwiseError, UnknownNameError, WeightsError
from reid.places import data_folder

if TYPE_CHECKING:
    from torch import Tensor

    from models.retrieval import RetrievalNet
    from reid.backends.hub_network import PartwiseNetwork

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_TAG = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_RESERVED = ("partwise", "imagenet")
BUILDABLE = tuple(f"{name}.{tag}" for name in ("alexnet", "vggnet", "googlenet", "resnet") for tag in _RESERVED)


@dataclass(frozen=True)
class NetworkConfig:
    """config.json: what `PartwiseNetwork` is made with, and the length of its vectors."""

    network: str
    dim: int
    pooling: str = "gem"
    whitened: int | None = None
    input_size: tuple[int, int] = (128, 128)
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    subject: str = "any"
    summary: str = ""
    licence: str = "unknown"
    research_only: bool = False
    paper: str = ""
    about: str = ""

    @classmethod
    def of(cls, backend: RetrievalNetwork, **changes: Any) -> NetworkConfig:
        """A backend's own, with changes."""
        card = backend.card
        assert card.dim is not None
        assert card.input_size is not None
        settings: dict[str, Any] = {
            "network": backend.network,
            "dim": card.dim,
            "pooling": backend.pooling,
            "input_size": card.input_size,
            "mean": tuple(backend.mean),
            "std": tuple(backend.std),
            "subject": card.subject,
            "summary": card.summary,
            "licence": card.licence,
            "research_only": card.research_only,
            "paper": card.paper,
        }
        return cls(**(settings | changes))


class SavedNetwork(RetrievalNetwork):
    """A network out of a folder; `class_of` makes one for each."""

    folder: ClassVar[Path]

    def check(self) -> None:
        self.digest()
        check_installed("torch", "torchvision")

    def state(self) -> dict[str, Tensor]:
        return read_tensors(self.folder / WEIGHTS, "fine-tune it again, or remove it")

    def digest(self) -> str:
        try:
            return sha256_of(self.folder / WEIGHTS)
        except OSError as error:
            raise WeightsError(f"The weights of {self.card.name} are gone: {error.strerror}; remove it.") from error


def class_of(name: str, folder: Path) -> type[SavedNetwork]:
    """The backend that a folder holds.

    Raises:
        WeightsError: its config.json is missing, damaged or of another kind of network.
    """
    config = read_config(folder / CONFIG, name)
    height, width = config.input_size
    card = Card(
        name=name,
        family="retrieval network",
        subject=config.subject,
        does=("embed",),
        summary=config.summary or f"{config.network}, fine-tuned.",
        dim=config.dim,
        weights=str(folder / WEIGHTS),
        licence=config.licence,
        research_only=config.research_only,
        paper=config.paper,
        input_size=config.input_size,
        preprocessing=f"resized to {height}x{width}, aspect not kept; mean {config.mean}, deviation {config.std}",
    )
    body: dict[str, Any] = {"card": card, "folder": folder, "network": config.network, "pooling": config.pooling}
    return type("SavedNetworkOf", (SavedNetwork,), body | {"mean": config.mean, "std": config.std})


def read_config(path: Path, name: str) -> NetworkConfig:
    """The network that a config.json describes; `name` is what errors call it.

    Raises:
        WeightsError: it is missing, damaged, or not one of this project's.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name for field in fields(NetworkConfig)}
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in said.items() if k in known}
        config = NetworkConfig(**settings)
        valid = isinstance(config.dim, int) and config.dim > 0 and config.pooling in POOLING_NAMES
        height, width = config.input_size
        valid = (
            valid and isinstance(height, int) and isinstance(width, int) and len(config.mean) == 3 == len(config.std)
        )
    except OSError as error:
        raise WeightsError(f"{name} has no {path.name} that can be read: {error.strerror}.") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{name}: {path.name} does not describe a network of this project ({error}).") from error
    if not valid or config.network not in BUILDABLE:
        raise WeightsError(f"{name}: {path.name} does not describe a network that this version can build.")
    return config


def packed(net: RetrievalNet, config: NetworkConfig) -> PartwiseNetwork:
    """The network as the Hub's library saves and pushes it."""
    import torch

    from reid.backends.hub_network import PartwiseNetwork

    settings: dict[str, Any] = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()}
    del settings["dim"]
    with torch.device("meta"):  # its own weights are not wanted
        made = PartwiseNetwork(**settings)
    made.net = net
    made._hub_mixin_config = {**settings, "dim": config.dim}
    return made


def networks_folder() -> Path:
    """Where this machine's own networks lie."""
    return data_folder() / "networks"


def check_free_name(name: str) -> str:
    """`ARCHITECTURE.TAG` as a new network may be called.

    Raises:
        PartwiseError: it cannot be called so, or one is.
    """
    architecture, _, tag = name.partition(".")
    if not _TAG.fullmatch(tag) or tag in _RESERVED:
        raise PartwiseError(
            f"A network cannot be called {name!r}: the name behind {architecture}. takes 1 to 40 small letters, "
            f"digits, - and _, and is not {' or '.join(_RESERVED)}."
        )
    if (networks_folder() / name).exists():
        raise PartwiseError(f"There is a network {name} already; take another name, or remove that one.")
    return name


def keep(name: str, net: RetrievalNet, config: NetworkConfig) -> Path:
    """Keep a network as a backend of this machine, at once or not at all; returns its folder.

    Raises:
        PartwiseError: the name is not fit or taken, or there is no room.
    """
    target = networks_folder() / check_free_name(name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-", ignore_cleanup_errors=True) as scratch:
            folder = Path(scratch) / "network"
            packed(net, config).save_pretrained(folder)
            folder.rename(target)
    except Exception as error:  # safetensors has an exception of its own for a full disk
        if isinstance(error, PartwiseError):
            raise
        raise PartwiseError(f"{name} cannot be kept in {target.parent}: {error}. Make room and try again.") from error
    forget(name)
    return target


def remove(name: str) -> None:
    """Remove a network of this machine.

    Raises:
        UnknownNameError: there is none of that name.
    """
    folder = networks_folder() / name
    if name not in own_networks():
        raise UnknownNameError(
            f"There is no network {name!r} of your own; there are {', '.join(own_networks()) or 'none'}."
        )
    gone = folder.with_name(f".gone-{name}")
    os.replace(folder, gone)
    shutil.rmtree(gone, ignore_errors=True)
    forget(name)


def own_networks() -> list[str]:
    """Names of the networks that were made on this machine, sorted."""
    try:
        return sorted(f.name for f in networks_folder().iterdir() if not f.name.startswith(".") and f.is_dir())
    except OSError:
        return []


_known: dict[tuple[Path, int], type[SavedNetwork]] = {}


def _own_class(name: str) -> type[SavedNetwork]:
    folder = networks_folder() / name
    try:
        key = folder, (folder / CONFIG).stat().st_mtime_ns
    except OSError:
        return class_of(name, folder)  # says what is the matter
    if key not in _known:
        _known[key] = class_of(name, folder)
    return _known[key]


def _listed() -> Iterator[type[Backend]]:
    for name in own_networks():
        try:
            yield _own_class(name)
        except WeightsError:
            continue  # a damaged one is no choice; asked for by name, it says what is the matter


def _find(name: str) -> type[Backend] | None:
    return _own_class(name) if name in own_networks() else None


add_source(_find, _listed)
