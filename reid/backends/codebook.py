"""A codebook: what a local descriptor's aggregation has learnt, in one small safetensors file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reid.backends.aggregate import bit_fisher, vlad
from reid.errors import WeightsError

CENTRES = 64
DIM = 32  # a descriptor's, once projected


@dataclass(frozen=True)
class Codebook:
    """Centres among descriptors, and the directions in which descriptors vary most.

    Attributes:
        backend: name of the local descriptor it was learnt for.
        projection: (b, DIM) float32, principal components of the descriptors, halfway to whitening.
        centres: (CENTRES, DIM) float32 among projected descriptors; for binary ones (CENTRES, b / 8) uint8.
        ones: (CENTRES, b) float32, how often each bit is set near a centre; (0, 0) for float descriptors.
    """

    backend: str
    projection: np.ndarray
    centres: np.ndarray
    ones: np.ndarray

    @property
    def binary(self) -> bool:
        return self.centres.dtype == np.uint8

    @property
    def digest(self) -> str:
        """16 hex digits that name the contents."""
        sha = hashlib.sha256(self.backend.encode())
        for array in (self.projection, self.centres, self.ones):
            sha.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()[:16]

    def encode(self, descriptors: np.ndarray) -> np.ndarray:
        """(N, d) descriptors of one picture -> (CENTRES * DIM,) float32 of unit length; all zero for N = 0."""
        if self.binary:
            return bit_fisher(descriptors, self.centres, self.ones, self.projection)
        return vlad(descriptors @ self.projection, self.centres)

    def save(self, path: Path) -> None:
        """Write a safetensors file."""
        from safetensors.numpy import save_file

        arrays = {"projection": self.projection, "centres": self.centres, "ones": self.ones}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, path, {"backend": self.backend})

    @classmethod
    def load(cls, path: Path, backend: str) -> Codebook:
        """Read a file that `save` wrote.

        Raises:
            WeightsError: it is missing, damaged, or was learnt for another backend.
        """
        from safetensors import SafetensorError, safe_open

        retrain = f"learn it anew: python -m reid codebook --gallery NAME --backend {backend}."
        try:
            with safe_open(path, framework="numpy") as file:
                owner = (file.metadata() or {}).get("backend")
                codebook = cls(str(owner), *(file.get_tensor(k) for k in ("projection", "centres", "ones")))
        except FileNotFoundError:
            raise WeightsError(f"The codebook {path} is missing; {retrain}") from None
        except (SafetensorError, OSError, ValueError, TypeError) as error:
            raise WeightsError(f"{path} is no codebook ({error}); {retrain}") from None
        if owner != backend:
            raise WeightsError(f"The codebook {path} belongs to {owner}, not to {backend}; {retrain}")
        centres = (CENTRES, len(codebook.projection) // 8 if codebook.binary else DIM)
        if codebook.projection.shape[1:] != (DIM,) or codebook.centres.shape != centres:
            raise WeightsError(f"The codebook {path} has other sizes than this version uses; {retrain}")
        return codebook
