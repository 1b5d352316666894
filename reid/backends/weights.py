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


def checked_weights(name: str, sha256: str) -> Path:
    """The path of a shipped weights file whose bytes are the pinned ones.

    Raises:
        WeightsError: the file is missing or its hash differs.
    """
    path = WEIGHTS / name
    try:
        status = path.stat()
    except OSError as error:
        raise WeightsError(
            f"{path} is missing: {error.strerror}; it ships with the project, so fetch the repository again."
        ) from error
    found = _sha256(path, status.st_size, status.st_mtime_ns)
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
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = checked_weights(name, sha256)
    try:
        tensors = load_file(str(path))
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}; fetch the repository again.") from error
    return {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
