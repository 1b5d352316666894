"""Vectors in Milvus, for galleries that one machine's memory no longer holds.

`$PARTWISE_MILVUS` names where: `http://host:19530` a server or a cluster (with `$PARTWISE_MILVUS_TOKEN` where it asks
for one), the path of a file Milvus Lite, which only one process can open at a time. SQLite stays the truth: as much a
cache as FAISS's file, a collection is brought up to date or made anew from the catalogue in the same way.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reid.errors import GalleryError
from reid.galleries.records import VectorState
from reid.galleries.vectors import VectorStore

MOST = 16_384
"""Hits that Milvus gives at once."""

_BATCH = 2_000  # rows a call: 4 MB at 512 numbers, far below the 64 MB that a server takes
_FILTER = 20_000  # ids in one expression


def milvus_uri() -> str | None:
    """Where vectors are to be kept in Milvus; None where FAISS keeps them."""
    return os.environ.get("PARTWISE_MILVUS") or None


class MilvusStore:
    """A collection of global vectors under item ids, by inner product; see `VectorStore`.

    A server chooses its own approximate index; a file is searched exactly. `search` gives `MOST` hits at most.

    Args:
        uri: of the server, or a file's path.
        name: of the collection.
        dim: length of the vectors; an existing collection is taken as it is where this is left out.

    Raises:
        GalleryError: Milvus is not installed, does not answer, or (without `dim`) has no such collection.
    """

    def __init__(self, uri: str, name: str, dim: int | None = None) -> None:
        self._uri, self._name = uri, name
        with self._asking() as client:
            if dim is None:
                fields = client.describe_collection(name)["fields"]
                self.dim = int(next(f["params"]["dim"] for f in fields if f["name"] == "vector"))
                client.load_collection(name)
            else:
                self.dim = dim
                self._create(client)

    @property
    def nbytes(self) -> int:
        return 0  # it is held elsewhere

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        vectors = np.asarray(vectors, np.float32)
        with self._asking() as client:
            for start in range(0, len(ids), _BATCH):
                part = slice(start, start + _BATCH)
                rows = [{"id": int(i), "vector": v} for i, v in zip(ids[part], vectors[part], strict=True)]
                client.upsert(self._name, rows)

    def remove(self, ids: np.ndarray) -> int:
        before = self.count()
        with self._asking() as client:
            for start in range(0, len(ids), _BATCH):
                client.delete(self._name, ids=[int(i) for i in ids[start : start + _BATCH]])
        return before - self.count()

    def search(self, vector: np.ndarray, top: int, among: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        top = min(top, MOST, self.count() if among is None else len(among))
        if top < 1:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        found: dict[int, float] = {}
        with self._asking() as client:
            for expression in _expressions(among):
                rows = client.search(
                    self._name,
                    [np.asarray(vector, np.float32)],
                    filter=expression,
                    limit=top,
                    output_fields=["id"],
                    anns_field="vector",
                )[0]
                found |= {row["id"]: row["distance"] for row in rows}
        best = sorted(found, key=lambda i: -found[i])[:top]
        return np.array(best, np.int64), np.array([found[i] for i in best], np.float32)

    def count(self) -> int:
        with self._asking() as client:
            return int(client.query(self._name, filter="", output_fields=["count(*)"])[0]["count(*)"])

    def ids(self) -> np.ndarray:
        found: list[int] = []
        with self._asking() as client:
            rows = client.query_iterator(self._name, batch_size=_BATCH, output_fields=["id"])
            while batch := rows.next():
                found += [row["id"] for row in batch]
            rows.close()
        return np.array(found, np.int64)

    def _create(self, client: Any) -> None:
        from pymilvus import DataType

        if client.has_collection(self._name):
            client.drop_collection(self._name)
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self.dim)
        index = client.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX" if _is_server(self._uri) else "FLAT", metric_type="IP")
        # Strong: what was added a moment ago is found, as everywhere else in a gallery.
        client.create_collection(self._name, schema=schema, index_params=index, consistency_level="Strong")

    def _asking(self) -> Any:
        return _asking(self._uri)


class MilvusKeeper:
    """Keeps a recipe's vectors in a collection, and in a small file what the collection holds; see `Keeper`.

    Args:
        uri: of the server, or a file's path.
        file: where the collection's state is noted.
        uid, recipe: of the gallery and of the vectors: the collection's name.
    """

    def __init__(self, uri: str, file: Path, uid: str, recipe: str) -> None:
        self.uri, self.file = uri, file
        self.collection = f"partwise_{uid}_{recipe}"

    def make(self, dim: int) -> VectorStore:
        # From here to the next `save` the note would speak of a collection that is gone.
        self.file.unlink(missing_ok=True)
        return MilvusStore(self.uri, self.collection, dim)

    def load(self) -> tuple[VectorStore, VectorState] | None:
        try:
            facts = json.loads(self.file.read_bytes())
            uri, state = facts["uri"], VectorState(**facts["state"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # nothing noted: the collection is made anew
        if uri != self.uri or not _has(self.uri, self.collection):
            return None
        return MilvusStore(self.uri, self.collection), state

    def save(self, store: VectorStore, state: VectorState, unsaved: int) -> bool:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps({"uri": self.uri, "state": vars(state)}))
        except OSError:
            pass  # costs the next start the work of making the collection anew, nothing else
        return True

    def drop(self) -> None:
        """Remove the collection, if Milvus can be asked."""
        if self.file.exists():
            self.file.unlink(missing_ok=True)
            try:
                with _asking(self.uri) as client:
                    client.drop_collection(self.collection)
            except GalleryError:
                pass  # the gallery must be removable without it


def _has(uri: str, collection: str) -> bool:
    with _asking(uri) as client:
        return bool(client.has_collection(collection))


def _is_server(uri: str) -> bool:
    return "://" in uri


def _expressions(among: np.ndarray | None) -> Iterator[str]:
    """Filters that together let exactly these ids through."""
    if among is None:
        yield ""
        return
    for start in range(0, len(among), _FILTER):
        yield f"id in [{','.join(str(int(i)) for i in among[start : start + _FILTER])}]"


_opening = threading.Lock()


@contextmanager
def _asking(uri: str) -> Iterator[Any]:
    """A client, and Milvus's complaints as sentences."""
    try:
        from pymilvus.exceptions import MilvusException
    except ImportError as error:
        raise GalleryError(
            "PARTWISE_MILVUS is set, but Milvus's client is not installed: pip install -e .[cluster], or unset it "
            "to search with FAISS."
        ) from error
    # It also prints each error with its traceback, beside raising it.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    try:
        with _opening:
            client = _client(uri)
        yield client
    except (MilvusException, OSError) as error:
        told = getattr(error, "message", "") or str(error)
        raise GalleryError(
            f"Milvus at {uri} cannot be used: {' '.join(str(told).split())[:200]}. See that it runs and that "
            "PARTWISE_MILVUS is right, or unset it to search with FAISS; the gallery itself is whole."
        ) from error


@lru_cache(maxsize=4)
def _client(uri: str) -> Any:
    from pymilvus import MilvusClient

    make: Callable[..., Any] = MilvusClient
    if _is_server(uri):
        return make(uri, token=os.environ.get("PARTWISE_MILVUS_TOKEN", ""), timeout=10)
    Path(uri).expanduser().parent.mkdir(parents=True, exist_ok=True)
    return make(str(Path(uri).expanduser()))
