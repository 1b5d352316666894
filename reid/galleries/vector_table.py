"""The vectors of a gallery's items, by recipe: exact, as the backends gave them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from reid.embedding import Embeddings
from reid.errors import GalleryError
from reid.galleries.records import VectorState
from reid.galleries.table import Table


class VectorTable(Table):
    """Embeddings by recipe and item."""

    def put_vectors(self, recipe: str, ids: Sequence[int], embeddings: Embeddings, *, backend: str = "") -> None:
        """Keep the embeddings of items under a recipe, in place of any they had.

        Args:
            recipe: `Backend.recipe_hash()`.
            ids: N items; one that is gone meanwhile is passed over.
            embeddings: N of them, exact as stored.
            backend: its name, for listings.
        """
        if len(ids) != len(embeddings):
            raise ValueError(f"{len(ids)} items but {len(embeddings)} embeddings")
        shape = embeddings.global_.shape[1], *embeddings.parts.shape[1:]
        with self._database.writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO recipes (hash, backend, dim, parts, part_dim) VALUES (?, ?, ?, ?, ?)",
                (recipe, backend, *shape),
            )
            number, *stored = db.execute(
                "SELECT id, dim, parts, part_dim FROM recipes WHERE hash = ?", (recipe,)
            ).fetchone()
            if tuple(stored) != shape:
                raise GalleryError(
                    f"{self._database.title} holds vectors of shape {tuple(stored)} under recipe {recipe}, "
                    f"and these are {shape}: the recipe leaves out something that changes vectors."
                )
            db.executemany(
                """INSERT OR REPLACE INTO vectors (recipe, item, global_, parts, visibility)
                SELECT ?, id, ?, ?, ? FROM items WHERE id = ?""",
                (
                    (number, _blob(e.global_), _blob(e.parts), _blob(e.visibility), int(i))
                    for i, e in zip(ids, embeddings, strict=True)
                ),
            )

    def vectors(
        self, recipe: str, ids: Iterable[int] | None = None, *, after: int = 0, parts: bool = True
    ) -> tuple[np.ndarray, Embeddings]:
        """Item ids (N,) int64, ascending, and their embeddings under a recipe.

        Args:
            recipe: of which recipe; an unknown one has no vectors.
            ids: only these items.
            after: only vectors entered later than `VectorState.last` was this.
            parts: False leaves parts and visibility out (P = 0), which is much less to read.
        """
        chosen = None if ids is None else json.dumps([int(i) for i in ids])
        where = (
            "WHERE recipe = ?1 AND id > ?2"
            if chosen is None
            else "WHERE recipe = ?1 AND id > ?2 AND item IN (SELECT value FROM json_each(?3))"
        )
        with self._database.reading() as db:
            row = db.execute("SELECT id, dim, parts, part_dim FROM recipes WHERE hash = ?", (recipe,)).fetchone()
            if row is None:
                return np.zeros(0, np.int64), Embeddings.of(np.zeros((0, 0), np.float32))
            number, dim, part_count, part_dim = row
            arguments = (number, after) if chosen is None else (number, after, chosen)
            (count,) = db.execute(f"SELECT count(*) FROM vectors {where}", arguments).fetchone()
            p = part_count if parts else 0
            found = np.zeros(count, np.int64)
            global_ = np.zeros((count, dim), np.float32)
            per_part = np.zeros((count, p, part_dim if parts else 0), np.float32)
            visibility = np.zeros((count, p), np.float32)
            columns = "item, global_, parts, visibility" if parts else "item, global_"
            rows = db.execute(f"SELECT {columns} FROM vectors {where} ORDER BY item", arguments)
            try:
                for n, (item, *blobs) in enumerate(rows):
                    found[n] = item
                    global_[n] = np.frombuffer(blobs[0], "<f4")
                    if parts:
                        per_part[n] = np.frombuffer(blobs[1], "<f4").reshape(p, part_dim)
                        visibility[n] = np.frombuffer(blobs[2], "<f4")
            except (TypeError, ValueError, IndexError) as error:
                raise self._damaged("a stored vector has the wrong length") from error
        return found, Embeddings(global_, per_part, visibility)

    def vector_ids(self, recipe: str) -> np.ndarray:
        """Ids (N,) int64, ascending, of the items that have vectors under a recipe."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT item FROM vectors WHERE recipe = (SELECT id FROM recipes WHERE hash = ?) ORDER BY item",
                (recipe,),
            ).fetchall()
        return np.array([row[0] for row in rows], np.int64)

    def vector_state(self, recipe: str) -> VectorState:
        """What tells a cache of a recipe's vectors whether it is up to date."""
        with self._database.reading() as db:
            count, last = db.execute(
                "SELECT count(*), ifnull(max(id), 0) FROM vectors "
                "WHERE recipe = (SELECT id FROM recipes WHERE hash = ?)",
                (recipe,),
            ).fetchone()
        return VectorState(self.uid, recipe, count, last)

    def missing(self, recipe: str) -> list[int]:
        """Ids of the items without vectors under a recipe."""
        with self._database.reading() as db:
            rows = db.execute(
                """SELECT id FROM items WHERE id NOT IN (
                    SELECT item FROM vectors WHERE recipe = (SELECT id FROM recipes WHERE hash = ?)
                ) ORDER BY id""",
                (recipe,),
            )
            return [row[0] for row in rows]

    def recipes(self) -> dict[str, str]:
        """Backend name by recipe hash, of the recipes that have vectors, in the order they came."""
        with self._database.reading() as db:
            return dict(
                db.execute(
                    """SELECT hash, backend FROM recipes r
                    WHERE EXISTS (SELECT 1 FROM vectors WHERE recipe = r.id) ORDER BY r.id"""
                ).fetchall()
            )

    def remove_vectors(self, recipe: str) -> None:
        """Forget a recipe with its vectors."""
        with self._database.writing() as db:
            db.execute("DELETE FROM recipes WHERE hash = ?", (recipe,))


def _blob(vector: np.ndarray) -> bytes:
    return np.ascontiguousarray(vector, "<f4").tobytes()
