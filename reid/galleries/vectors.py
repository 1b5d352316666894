"""Vector stores: the nearest global vectors of a recipe, in memory; FAISS behind a small protocol.

The store is a cache of the catalogue. It keeps the `VectorState` it was made from, is brought up to date from the
catalogue when that has moved on, and is made anew when its file is missing or damaged.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import zlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reid.galleries.catalogue import Catalogue, VectorState

# Writing the file anew costs more than adding a few vectors at the next start.
_WORTH_SAVING = 0.05
_MAGIC = b"partwise faiss 1\n"


def _faiss() -> Any:
    """FAISS, imported when first needed; its signatures are rewritten at run time, so a type checker is no help."""
    import faiss

    return faiss


class VectorStore(Protocol):
    """Where vectors are kept under item ids and searched by inner product. Implementations are safe between threads."""

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Add vectors (N, D) float32 under ids (N,) int64; an id that is there gets the new vector."""

    def remove(self, ids: np.ndarray) -> int:
        """Remove ids (N,) and return how many were there."""

    def search(self, vector: np.ndarray, top: int, among: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The `top` largest inner products with a vector (D,), among all or only some ids.

        Returns:
            ids (K,) int64 and inner products (K,) float32, best first; K <= top.
        """

    def count(self) -> int:
        """How many vectors there are."""


class FaissStore:
    """Exact inner products with FAISS's flat index, in memory.

    Args:
        dim: length of the vectors.
    """

    def __init__(self, dim: int) -> None:
        faiss = _faiss()
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
        self._lock = threading.Lock()

    @property
    def dim(self) -> int:
        return int(self._index.d)

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        ids = np.asarray(ids, np.int64)
        with self._lock:
            self._index.remove_ids(ids)
            self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), ids)

    def remove(self, ids: np.ndarray) -> int:
        with self._lock:
            return int(self._index.remove_ids(np.asarray(ids, np.int64)))

    def search(self, vector: np.ndarray, top: int, among: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        faiss = _faiss()
        query = np.ascontiguousarray(vector, np.float32)[None]
        with self._lock:
            top = min(top, self._index.ntotal if among is None else len(among))
            if top < 1:
                return np.zeros(0, np.int64), np.zeros(0, np.float32)
            if among is None:
                similarities, ids = self._index.search(query, top)
            else:
                selector = faiss.IDSelectorBatch(np.asarray(among, np.int64))
                similarities, ids = self._index.search(query, top, params=faiss.SearchParameters(sel=selector))
        found = ids[0] >= 0
        return ids[0][found], similarities[0][found]

    def count(self) -> int:
        return int(self._index.ntotal)

    def ids(self) -> np.ndarray:
        """The ids (N,) int64 in store order."""
        return np.asarray(_faiss().vector_to_array(self._index.id_map))

    def to_bytes(self) -> bytes:
        with self._lock:
            return bytes(_faiss().serialize_index(self._index))

    @classmethod
    def from_bytes(cls, data: bytes) -> FaissStore:
        store = cls.__new__(cls)
        store._index = _faiss().deserialize_index(np.frombuffer(data, np.uint8))
        store._lock = threading.Lock()
        return store


class CachedStore:
    """The store of one recipe of one catalogue, always up to date when it is handed out.

    Args:
        catalogue: the truth.
        recipe: whose vectors.
        file: where the store is kept between runs; nothing is lost if it is deleted or cannot be written.
    """

    def __init__(self, catalogue: Catalogue, recipe: str, file: Path) -> None:
        self._catalogue = catalogue
        self._recipe = recipe
        self._file = file
        self._lock = threading.Lock()
        self._store: FaissStore | None = None
        self._state: VectorState | None = None
        self._saved = 0

    def store(self) -> FaissStore:
        """The store, with what the catalogue holds at this moment."""
        with self._lock, self._catalogue.snapshot():
            state = self._catalogue.vector_state(self._recipe)
            if self._store is None:
                self._load()
            if self._store is None or self._state != state:
                self._update(state)
            assert self._store is not None
            return self._store

    def _update(self, state: VectorState) -> None:
        if self._store is None or self._state is None or self._state.uid != state.uid:
            ids, embeddings = self._catalogue.vectors(self._recipe, parts=False)
            self._store = FaissStore(embeddings.global_.shape[1])
            self._store.add(ids, embeddings.global_)
            changed = len(ids)
        else:
            gone = np.setdiff1d(self._store.ids(), self._catalogue.vector_ids(self._recipe))
            changed = self._store.remove(gone)
            ids, embeddings = self._catalogue.vectors(self._recipe, after=self._state.last, parts=False)
            if len(ids):
                self._store.add(ids, embeddings.global_)
            changed += len(ids)
        self._state = state
        self._saved += changed
        if self._saved > _WORTH_SAVING * self._store.count():
            self._save()

    def _load(self) -> None:
        try:
            data = self._file.read_bytes()
            head, _, body = data.removeprefix(_MAGIC).partition(b"\n")
            facts: dict[str, Any] = json.loads(head)
            state = VectorState(**facts["state"])
            whole = data.startswith(_MAGIC) and zlib.crc32(body) == facts["crc32"]
            if whole and (state.uid, state.recipe) == (self._catalogue.uid, self._recipe):
                store = FaissStore.from_bytes(body)
                if store.count() == state.count:
                    self._store, self._state = store, state
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            return  # missing or damaged: it is made anew

    def _save(self) -> None:
        assert self._store is not None
        assert self._state is not None
        body = self._store.to_bytes()
        head = json.dumps({"state": self._state.__dict__, "crc32": zlib.crc32(body)}).encode()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._file.parent, prefix=".", delete=False) as file:
                try:
                    file.write(_MAGIC + head + b"\n")
                    file.write(body)
                    file.close()
                    os.replace(file.name, self._file)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        except OSError:
            return  # a cache that cannot be written costs time, nothing else
        self._saved = 0
