"""Files of weights that others publish: found in the cache, or fetched once, and believed by their hash alone."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from reid.backends.weights import sha256_of
from reid.errors import WeightsError
from reid.places import offline

PUBLISHER = "https://download.pytorch.org/models/"
TIMEOUT_S = 20


@dataclass(frozen=True)
class Published:
    """A file at its publisher's.

    Attributes:
        name: the file's name, here and there.
        sha256: what it must hash to.
        megabytes: about how large it is.
    """

    name: str
    sha256: str
    megabytes: int

    @property
    def url(self) -> str:
        return PUBLISHER + self.name


def cache_path(file: Published) -> Path:
    """Where torchvision itself would keep the file: `$TORCH_HOME`, or else the user's cache."""
    home = os.environ.get("TORCH_HOME")
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    root = Path(home) if home else Path(caches) / "torch"
    return root.expanduser() / "hub" / "checkpoints" / file.name


def cached(file: Published) -> Path:
    """The file in the cache; it is not read.

    Raises:
        WeightsError: it is not there.
    """
    path = cache_path(file)
    if not path.is_file():
        raise WeightsError(
            f"Its weights ({file.megabytes} MB) are not on this machine: use it where the network can be reached, or "
            f"put {file.url} at {path}."
        )
    return path


def fetched(file: Published) -> Path:
    """The file from the cache, or else from its publisher into the cache; checked against its hash.

    Raises:
        WeightsError: it is not there and cannot be fetched, or is not the file that is meant.
    """
    path = cache_path(file)
    if not path.is_file():
        if offline():
            return cached(file)
        _fetch(file, path)
    try:
        found = sha256_of(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
    if found != file.sha256:
        raise WeightsError(
            f"{path} is not the file that {file.url} names (its SHA-256 starts {found[:12]}, not "
            f"{file.sha256[:12]}); remove it and fetch it again."
        )
    return path


def _fetch(file: Published, path: Path) -> None:
    """Into the cache, at once or not at all."""
    partial: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with (
            urllib.request.urlopen(file.url, timeout=TIMEOUT_S) as source,
            tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as target,
        ):
            partial = Path(target.name)
            while block := source.read(1 << 20):
                digest.update(block)
                target.write(block)
        if digest.hexdigest() != file.sha256:
            raise WeightsError(f"{file.url} gave another file than the one that is pinned; it was not kept.")
        os.replace(partial, path)
    except OSError as error:  # no network, no room, no permission
        reason = getattr(error, "reason", None) or error.strerror or error
        raise WeightsError(
            f"Its weights ({file.megabytes} MB) cannot be fetched from {file.url}: {reason}. "
            f"Put that file at {path}, or try again later."
        ) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
