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
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reid.embedding import Embeddings
from reid.galleries.catalogue import Catalogue
from reid.galleries.records import VectorState

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
    """The store of one recipe of one gallery, and the parts beside it; brought up to date whenever it is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._store: FaissStore | None = None
        self._state: VectorState | None = None
        self._unsaved = 0
        self._parts: tuple[VectorState, np.ndarray, Embeddings] | None = None

    def store(self, catalogue: Catalogue, recipe: str, file: Path) -> FaissStore:
        """The store, with what the catalogue holds at this moment.

        Args:
            catalogue: the truth.
            recipe: whose vectors.
            file: where the store is kept between runs; nothing is lost if it vanishes or cannot be written.
        """
        # Under the lock first, so that states follow each other as they did in the catalogue.
        with self._lock, catalogue.snapshot():
            state = catalogue.vector_state(recipe)
            if self._store is None:
                self._load(file, state)
            # A store that was made of no vectors does not know their length.
            if self._store is None or self._state is None or self._state.count == 0:
                ids, embeddings = catalogue.vectors(recipe, parts=False)
                self._store = FaissStore(embeddings.global_.shape[1])
                self._store.add(ids, embeddings.global_)
                self._unsaved = len(ids)
            elif self._state != state:
                gone = np.setdiff1d(self._store.ids(), catalogue.vector_ids(recipe))
                self._unsaved += self._store.remove(gone)
                ids, embeddings = catalogue.vectors(recipe, after=self._state.last, parts=False)
                self._unsaved += len(ids)
                if len(ids):
                    self._store.add(ids, embeddings.global_)
            self._state = state
            if self._unsaved > _WORTH_SAVING * self._store.count():
                self._save(file, self._store, state)
            return self._store

    def parts(self, catalogue: Catalogue, recipe: str) -> tuple[np.ndarray, Embeddings]:
        """Item ids (N,) int64 and their embeddings, as the catalogue holds them at this moment."""
        with self._lock, catalogue.snapshot():
            state = catalogue.vector_state(recipe)
            if self._parts is None or self._parts[0] != state:
                self._parts = None  # let go of the old before the new is read
                self._parts = state, *catalogue.vectors(recipe)
            return self._parts[1:]

    def bytes(self) -> int:
        """Memory held, about."""
        store, parts = self._store, self._parts
        held = 0 if store is None else store.count() * (store.dim * 4 + 8)
        return held if parts is None else held + sum(a.nbytes for a in vars(parts[2]).values())

    def _load(self, file: Path, now: VectorState) -> None:
        try:
            data = file.read_bytes()
            head, _, body = data.removeprefix(_MAGIC).partition(b"\n")
            facts: dict[str, Any] = json.loads(head)
            state = VectorState(**facts["state"])
            whole = data.startswith(_MAGIC) and zlib.crc32(body) == facts["crc32"]
            # A state that is ahead of the catalogue is of a catalogue that was since put back from a copy.
            if whole and (state.uid, state.recipe) == (now.uid, now.recipe) and state.last <= now.last:
                store = FaissStore.from_bytes(body)
                if store.count() == state.count:
                    self._store, self._state, self._unsaved = store, state, 0
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            return  # missing or damaged: it is made anew

    def _save(self, file: Path, store: FaissStore, state: VectorState) -> None:
        body = store.to_bytes()
        head = json.dumps({"state": vars(state), "crc32": zlib.crc32(body)}).encode()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=file.parent, prefix=".")
            try:
                with os.fdopen(handle, "wb") as out:
                    out.write(_MAGIC + head + b"\n")
                    out.write(body)
                os.replace(name, file)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError:
            pass  # a cache that cannot be written costs time at the next start, nothing else
        self._unsaved = 0


class Shelf:
    """The stores in memory, shared by all threads; the least recently used go when they become too many.

    Args:
        max_bytes: memory they may hold together; the one in use stays even if it alone holds more.
    """

    def __init__(self, max_bytes: int = 1_500_000_000) -> None:
        self.max_bytes = max_bytes
        self._stores: OrderedDict[tuple[str, str], CachedStore] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, uid: str, recipe: str) -> CachedStore:
        """The store of a gallery's recipe, made empty where there is none."""
        with self._lock:
            store = self._stores.pop((uid, recipe), None) or CachedStore()
            self._stores[uid, recipe] = store
            held = sum(each.bytes() for each in self._stores.values())
            while held > self.max_bytes and len(self._stores) > 1:
                _, oldest = self._stores.popitem(last=False)
                held -= oldest.bytes()
            return store

    def drop(self, uid: str) -> None:
        """Let go of a gallery's stores."""
        with self._lock:
            for key in [key for key in self._stores if key[0] == uid]:
                del self._stores[key]


shelf = Shelf()
