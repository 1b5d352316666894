"""Vector stores: the nearest global vectors of a recipe; FAISS, in memory, behind a small protocol.

The store is a cache of the catalogue. It keeps the `VectorState` it was made from, is brought up to date from the
catalogue when that has moved on, and is made anew when what a `Keeper` kept of it is missing or damaged.
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

    def ids(self) -> np.ndarray:
        """The ids (N,) int64, in any order."""

    @property
    def dim(self) -> int:
        """Length of the vectors."""

    @property
    def nbytes(self) -> int:
        """Memory held by this process, about."""


class Keeper(Protocol):
    """Where the store of one recipe of one gallery is kept between runs."""

    def make(self, dim: int) -> VectorStore:
        """An empty store in place of the one that was kept."""

    def load(self) -> tuple[VectorStore, VectorState] | None:
        """What was kept and the state it stands for; None where nothing was, or where it is damaged."""

    def save(self, store: VectorStore, state: VectorState, unsaved: int) -> bool:
        """Keep a store that `unsaved` vectors were added to or removed from; whether that was done, or can wait."""

    def drop(self) -> None:
        """Forget what was kept."""


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

    @property
    def nbytes(self) -> int:
        return self.count() * (self.dim * 4 + 8)

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


class FaissFile:
    """Keeps FAISS's index in a file; nothing is lost if it vanishes or cannot be written."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def make(self, dim: int) -> VectorStore:
        return FaissStore(dim)

    def load(self) -> tuple[VectorStore, VectorState] | None:
        try:
            data = self.file.read_bytes()
            head, _, body = data.removeprefix(_MAGIC).partition(b"\n")
            facts: dict[str, Any] = json.loads(head)
            state = VectorState(**facts["state"])
            if data.startswith(_MAGIC) and zlib.crc32(body) == facts["crc32"]:
                return FaissStore.from_bytes(body), state
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            pass  # missing or damaged: it is made anew
        return None

    def save(self, store: VectorStore, state: VectorState, unsaved: int) -> bool:
        assert isinstance(store, FaissStore)
        if unsaved <= _WORTH_SAVING * store.count():
            return False
        body = store.to_bytes()
        head = json.dumps({"state": vars(state), "crc32": zlib.crc32(body)}).encode()
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.file.parent, prefix=".")
            try:
                with os.fdopen(handle, "wb") as out:
                    out.write(_MAGIC + head + b"\n")
                    out.write(body)
                os.replace(name, self.file)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError:
            pass  # a cache that cannot be written costs time at the next start, nothing else
        return True

    def drop(self) -> None:
        self.file.unlink(missing_ok=True)


class CachedStore:
    """The store of one recipe of one gallery, and the parts beside it; brought up to date whenever it is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._store: VectorStore | None = None
        self._state: VectorState | None = None
        self._unsaved = 0
        self._parts: tuple[VectorState, np.ndarray, Embeddings] | None = None

    def store(self, catalogue: Catalogue, recipe: str, keeper: Keeper) -> VectorStore:
        """The store, with what the catalogue holds at this moment.

        Args:
            catalogue: the truth.
            recipe: whose vectors.
            keeper: where the store is kept between runs.
        """
        # Under the lock first, so that states follow each other as they did in the catalogue.
        with self._lock, catalogue.snapshot():
            state = catalogue.vector_state(recipe)
            if self._store is None:
                self._load(keeper, state)
            # A store that was made of no vectors does not know their length.
            if self._store is None or self._state is None or self._state.count == 0:
                ids, embeddings = catalogue.vectors(recipe, parts=False)
                dim = embeddings.global_.shape[1]
                self._store = keeper.make(dim) if dim else FaissStore(0)
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
            if self._unsaved and keeper.save(self._store, state, self._unsaved):
                self._unsaved = 0
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
        held = 0 if store is None else store.nbytes
        return held if parts is None else held + sum(a.nbytes for a in vars(parts[2]).values())

    def _load(self, keeper: Keeper, now: VectorState) -> None:
        kept = keeper.load()
        if kept is None:
            return
        store, state = kept
        # A state that is ahead of the catalogue is of a catalogue that was since put back from a copy.
        fits = (state.uid, state.recipe) == (now.uid, now.recipe) and state.last <= now.last
        if fits and store.count() == state.count:
            self._store, self._state, self._unsaved = store, state, 0


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
