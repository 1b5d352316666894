"""The catalogue: items, words and vectors of one gallery in SQLite, the truth that everything else is made from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reid.embedding import Embeddings
from reid.errors import GalleryError, UnknownNameError
from reid.galleries.database import WORD_SOURCES, Database

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Item:
    """One picture, or one region of a picture or video frame, in a gallery.

    Attributes:
        id: its number in the gallery; never used again after removal.
        name: its path under the folder it came from, with `/`.
        path: where the file is.
        sha256: of the file's bytes, 64 hex digits.
        width, height: pixels of the whole picture, as it is seen (EXIF turn applied).
        identity, camera: None where unknown.
        words: all words kept with it, the user's first.
        bytes: size of the file.
        copied: True if the file lies in the gallery's own folder.
        box: (x0, y0, x1, y1) in the picture's pixels where the item is a region of it.
        frame, time: frame number and seconds from the start where the file is a video.
    """

    id: int
    name: str
    path: Path
    sha256: str
    width: int
    height: int
    identity: str | None = None
    camera: str | None = None
    words: str = ""
    bytes: int = 0
    copied: bool = False
    box: Box | None = None
    frame: int | None = None
    time: float | None = None


@dataclass(frozen=True)
class NewItem:
    """What `Catalogue.put_items` enters; the fields are `Item`'s.

    Attributes:
        stamp: tells cheaply whether the file changed; see `reid.galleries.files`.
        words: words that came with the picture; empty keeps those that are there.
    """

    name: str
    path: str
    sha256: str
    bytes: int
    stamp: str
    width: int
    height: int
    identity: str | None = None
    camera: str | None = None
    words: str = ""
    copied: bool = False
    box: Box | None = None
    frame: int | None = None
    time: float | None = None


@dataclass(frozen=True)
class Put:
    """What became of one `NewItem`.

    Attributes:
        id: the item's number.
        added: True if it was not there before.
        changed: True if it was there with other bytes.
    """

    id: int
    added: bool
    changed: bool


@dataclass(frozen=True)
class Known:
    """What indexing needs to know of an item to pass over it."""

    id: int
    sha256: str
    stamp: str
    identity: str | None
    camera: str | None
    words: str


@dataclass(frozen=True)
class VectorState:
    """Which vectors a recipe has: the same state always stands for the same vectors.

    Ids of vectors only grow. So those of a later state with the same highest id are among those of the earlier one, and
    as many of them are the same ones.
    """

    uid: str
    recipe: str
    count: int
    last: int


_ITEM = """
    SELECT i.id, i.name, i.path, i.sha256, i.width, i.height, i.identity, i.camera, w.user, w.file, w.parse,
           i.bytes, i.copied, i.box, i.frame, i.time
    FROM items i LEFT JOIN words w ON w.rowid = i.id
"""


class Catalogue:
    """Items, words and vectors of one gallery. Safe to share between threads; processes see each other's changes.

    Args:
        folder: the gallery's folder, where `catalogue.sqlite` is.
        title: what errors call it.
    """

    FILE = "catalogue.sqlite"

    def __init__(self, folder: Path, title: str) -> None:
        self.folder = folder
        self._database = Database(folder / self.FILE, title)

    @property
    def uid(self) -> str:
        """A name of this gallery that outlives renaming."""
        return self._database.uid

    def transaction(self) -> AbstractContextManager[Any]:
        """`with gallery.transaction():` keeps all the changes made inside, or none."""
        return self._database.writing()

    def snapshot(self) -> AbstractContextManager[Any]:
        """`with gallery.snapshot():` all reads inside see one state, whatever others write meanwhile."""
        return self._database.reading()

    @property
    def in_transaction(self) -> bool:
        """True for a thread that is inside `transaction` or `snapshot`."""
        return self._database.busy

    def close(self) -> None:
        """Let go of the files; the next use opens them again."""
        self._database.close()

    # Items

    def count(self) -> int:
        """How many items there are."""
        with self._database.reading() as db:
            return int(db.execute("SELECT count(*) FROM items").fetchone()[0])

    def item(self, id: int) -> Item:
        """The item of that number.

        Raises:
            UnknownNameError: there is none.
        """
        found = self.items(ids=[id])
        if not found:
            raise UnknownNameError(f"{self._database.title} holds no item {id}.")
        return found[0]

    def items(
        self,
        ids: Iterable[int] | None = None,
        *,
        identity: str | None = None,
        camera: str | None = None,
        sha256: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Item]:
        """Items in the order they came, or in the order of `ids` (those that are gone are left out).

        Args:
            ids: only these.
            identity, camera, sha256: only items that have it.
            limit, offset: so many at most, after leaving out the first ones.
        """
        with self._database.reading() as db:
            if ids is not None:
                wanted = [int(i) for i in ids]
                rows = db.execute(f"{_ITEM} WHERE i.id IN (SELECT value FROM json_each(?))", (json.dumps(wanted),))
                found = {row[0]: self._item(row) for row in rows}
                wants = {"identity": identity, "camera": camera, "sha256": sha256}
                asked = {key: value for key, value in wants.items() if value is not None}
                chosen = [found[i] for i in wanted if i in found]
                chosen = [i for i in chosen if all(getattr(i, key) == value for key, value in asked.items())]
                return chosen[offset : None if limit is None else offset + limit]
            rows = db.execute(
                f"""{_ITEM} WHERE (?1 IS NULL OR i.identity = ?1) AND (?2 IS NULL OR i.camera = ?2)
                AND (?3 IS NULL OR i.sha256 = ?3) ORDER BY i.id LIMIT ?4 OFFSET ?5""",
                (identity, camera, sha256, -1 if limit is None else limit, offset),
            )
            return [self._item(row) for row in rows]

    def cameras(self) -> list[str]:
        """The cameras there are, sorted."""
        return self._distinct("camera")

    def identities(self) -> list[str]:
        """The identities there are, sorted."""
        return self._distinct("identity")

    def ids_where(self, cameras: Sequence[str] | None = None, exclude_camera: str | None = None) -> np.ndarray:
        """Ids (N,) int64, ascending, of the items on one of `cameras` (None: any) and not on `exclude_camera`."""
        with self._database.reading() as db:
            rows = db.execute(
                """SELECT id FROM items WHERE (?1 IS NULL OR camera IN (SELECT value FROM json_each(?1)))
                AND (?2 IS NULL OR camera IS NOT ?2)""",
                (None if cameras is None else json.dumps(list(cameras)), exclude_camera),
            ).fetchall()
        return np.sort(np.array([row[0] for row in rows], np.int64))

    def identities_of(self, ids: Iterable[int]) -> dict[int, str | None]:
        """Identity by id, of the items that exist."""
        with self._database.reading() as db:
            return dict(
                db.execute(
                    "SELECT id, identity FROM items WHERE id IN (SELECT value FROM json_each(?))",
                    (json.dumps([int(i) for i in ids]),),
                ).fetchall()
            )

    def known(self, *, copied: bool) -> dict[str, Known]:
        """The whole pictures by path (those referred to), or by sha256 and name in one (those copied)."""
        key = "i.sha256 || i.name" if copied else "i.path"
        with self._database.reading() as db:
            rows = db.execute(
                f"""SELECT {key}, i.id, i.sha256, i.stamp, i.identity, i.camera, ifnull(w.file, '')
                FROM items i LEFT JOIN words w ON w.rowid = i.id
                WHERE i.copied = ? AND i.frame IS NULL AND i.box IS NULL""",
                (int(copied),),
            )
            return {row[0]: Known(*row[1:]) for row in rows}

    def put_items(self, items: Sequence[NewItem], *, again: bool = False) -> list[Put]:
        """Enter items; one that is there is brought up to date, not entered twice.

        A picture that is referred to is there by its path: where its bytes changed, vectors and words made from the old
        ones go. A copied picture is there by its name and bytes.

        Args:
            items: what to enter.
            again: True enters copied pictures even if they are there.
        """
        with self._database.writing() as db:
            return [self._put_item(db, item, again) for item in items]

    def refresh_items(self, items: Iterable[Known]) -> None:
        """Bring stamp, labels and the file's words up to date where the bytes are the same."""
        with self._database.writing() as db:
            for item in items:
                db.execute(
                    "UPDATE items SET stamp = ?, identity = ?, camera = ? WHERE id = ?",
                    (item.stamp, item.identity, item.camera, item.id),
                )
                _set_words(db, item.id, "file", item.words)

    def remove_items(self, ids: Iterable[int]) -> int:
        """Remove items with their words and vectors; how many there were. Ids that do not exist are passed over."""
        wanted = json.dumps(sorted({int(i) for i in ids}))
        with self._database.writing() as db:
            db.execute("DELETE FROM words WHERE rowid IN (SELECT value FROM json_each(?))", (wanted,))
            removed = db.execute("DELETE FROM items WHERE id IN (SELECT value FROM json_each(?))", (wanted,))
            return removed.rowcount

    # Words

    def set_words(self, id: int, text: str, source: str = "user") -> None:
        """Replace the words of one source ("user", "file" or "parse") of an item.

        Raises:
            UnknownNameError: no such item.
        """
        if source not in WORD_SOURCES:
            raise ValueError(f"words come from one of {WORD_SOURCES}, not {source!r}")
        with self._database.writing() as db:
            if db.execute("SELECT 1 FROM items WHERE id = ?", (id,)).fetchone() is None:
                raise UnknownNameError(f"{self._database.title} holds no item {id}.")
            _set_words(db, id, source, text)

    def words(self, id: int) -> dict[str, str]:
        """The words of an item by source; a source without words is left out."""
        with self._database.reading() as db:
            row = db.execute(f"SELECT {', '.join(WORD_SOURCES)} FROM words WHERE rowid = ?", (id,)).fetchone()
        return {source: text for source, text in zip(WORD_SOURCES, row or (), strict=False) if text}

    def search_words(self, query: str, limit: int | None = None) -> list[int]:
        """Ids of the items that have all words of the query, or words that begin with them; best first (BM25).

        Any text is a valid query; accents and case do not matter. A query without a word finds nothing.
        """
        phrases = " ".join(f'"{word}"*' for word in _clean(query).replace('"', " ").split())
        if not phrases:
            return []
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?",
                (phrases, -1 if limit is None else limit),
            )
            return [row[0] for row in rows]

    # Vectors

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

    # Inside

    def _item(self, row: tuple[Any, ...]) -> Item:
        id, name, path, sha256, width, height, identity, camera, user, file, parse, size, copied, box, frame, time = row
        try:
            return Item(
                id=id,
                name=name,
                path=self.folder / path if copied else Path(path),
                sha256=sha256,
                width=width,
                height=height,
                identity=identity,
                camera=camera,
                words=" ".join(filter(None, (user, file, parse))),
                bytes=size,
                copied=bool(copied),
                box=None if box is None else tuple(json.loads(box)),
                frame=frame,
                time=time,
            )
        except (TypeError, ValueError) as error:
            raise self._damaged(f"item {id} is not well-formed") from error

    def _damaged(self, what: str) -> GalleryError:
        return GalleryError(
            f"{self._database.title} is damaged: {what}. Put back a copy of {self.folder / self.FILE}, "
            "or remove the gallery and index its pictures again."
        )

    def _put_item(self, db: Any, item: NewItem, again: bool) -> Put:
        box = None if item.box is None else json.dumps([float(v) for v in item.box])
        key, values = (
            ("name = ? AND sha256 = ?", (item.name, item.sha256)) if item.copied else ("path = ?", (item.path,))
        )
        row = db.execute(
            f"""SELECT id, sha256 FROM items WHERE copied = {int(item.copied)} AND {key}
            AND ifnull(frame, -1) = ifnull(?, -1) AND ifnull(box, '') = ifnull(?, '')""",
            (*values, item.frame, box),
        ).fetchone()
        added = row is None or again
        changed = not added and row[1] != item.sha256
        if added:
            id = db.execute(
                """INSERT INTO items (name, path, copied, sha256, bytes, stamp, width, height, identity, camera,
                box, frame, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    *(item.name, item.path, int(item.copied), item.sha256, item.bytes, item.stamp),
                    *(item.width, item.height, item.identity, item.camera, box, item.frame, item.time),
                ),
            ).lastrowid
        else:
            id = row[0]
            db.execute(
                """UPDATE items SET name = ?, sha256 = ?, bytes = ?, stamp = ?, width = ?, height = ?,
                identity = ifnull(?, identity), camera = ifnull(?, camera), time = ? WHERE id = ?""",
                (
                    *(item.name, item.sha256, item.bytes, item.stamp, item.width, item.height),
                    *(item.identity, item.camera, item.time, id),
                ),
            )
        if changed:
            db.execute("DELETE FROM vectors WHERE item = ?", (id,))
            _set_words(db, id, "parse", "")
        if item.words:
            _set_words(db, id, "file", item.words)
        return Put(int(id), added, changed)

    def _distinct(self, column: str) -> list[str]:
        with self._database.reading() as db:
            rows = db.execute(f"SELECT DISTINCT {column} FROM items WHERE {column} IS NOT NULL ORDER BY 1")
            return [row[0] for row in rows]


def _set_words(db: Any, id: int, source: str, text: str) -> None:
    row = db.execute(f"SELECT {', '.join(WORD_SOURCES)} FROM words WHERE rowid = ?", (id,)).fetchone()
    texts: Mapping[str, str] = dict(zip(WORD_SOURCES, row or ("",) * len(WORD_SOURCES), strict=True))
    new = {**texts, source: _clean(text)}
    if new == texts:
        return
    if not any(new.values()):
        db.execute("DELETE FROM words WHERE rowid = ?", (id,))
    elif row is None:
        db.execute(
            f"INSERT INTO words (rowid, {', '.join(new)}) VALUES (?{', ?' * len(new)})",
            (id, *new.values()),
        )
    else:
        db.execute(f"UPDATE words SET {source} = ? WHERE rowid = ?", (new[source], id))


def _clean(text: str) -> str:
    """Text as SQLite takes it: no NUL, no lone surrogates, single blanks."""
    return " ".join(text.replace("\0", " ").encode("utf-8", "replace").decode().split())


def _blob(vector: np.ndarray) -> bytes:
    return np.ascontiguousarray(vector, "<f4").tobytes()
