"""Weights from disk: safetensors only, checked against the hash their backend pins. Nothing here unpickles."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from reid.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = Path(__file__).resolve().parents[2] / "models" / "weights"


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, modified: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hex; read again only when size or time of the file have changed.

    Raises:
        OSError: it cannot be read.
    """
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


def checked_weights(name: str, sha256: str) -> Path:
    """The path of a shipped weights file whose bytes are the pinned ones.

    Raises:
        WeightsError: the file is missing or its hash differs.
    """
    path = WEIGHTS / name
    try:
        found = sha256_of(path)
    except OSError as error:
        raise WeightsError(
            f"{path} is missing: {error.strerror}; it ships with the project, so fetch the repository again."
        ) from error
    if found != sha256:
        raise WeightsError(
            f"{path} is not the file this version was measured with (its SHA-256 starts {found[:12]}, not "
            f"{sha256[:12]}); fetch the repository again."
        )
    return path


def load_weights(name: str, sha256: str) -> dict[str, Tensor]:
    """Tensors of a shipped weights file as float32 (they are stored as float16; integers stay integers).

    Raises:
        WeightsError: the file is missing, changed or damaged.
    """
    return read_tensors(checked_weights(name, sha256), "fetch the repository again")


def read_tensors(path: Path, remedy: str) -> dict[str, Tensor]:
    """Tensors of any safetensors file, floats as float32.

    Args:
        path: the file; one of another format, pickles among them, is refused unread.
        remedy: what to do when it cannot be read, as the end of a sentence.

    Raises:
        WeightsError: it is missing, damaged, or no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        with open(path, "rb") as file:
            head = file.read(9)
        # Eight bytes of length, then JSON. A pickle or a zip of pickles begins otherwise.
        if len(head) < 9 or head[8:] != b"{":
            raise WeightsError(f"{path} is no safetensors file, and weights of other formats are not read; {remedy}.")
        tensors = load_file(str(path))
    except SafetensorError as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}; {remedy}.") from error
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}; {remedy}.") from error
    return {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
