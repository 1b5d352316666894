"""The items of a gallery: entered, brought up to date, listed and removed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reid.errors import UnknownNameError
from reid.galleries.records import Item, Known, NewItem, Put
from reid.galleries.table import Table
from reid.galleries.word_table import put_words

_ITEM = """
    SELECT i.id, i.name, i.path, i.sha256, i.width, i.height, i.identity, i.camera, w.user, w.file, w.parse,
           i.bytes, i.copied, i.box, i.frame, i.time
    FROM items i LEFT JOIN words w ON w.rowid = i.id
"""


class ItemTable(Table):
    """Pictures and regions of pictures, with their labels."""

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

    def pictures_of(self, ids: Iterable[int]) -> dict[int, tuple[str, int | None]]:
        """File and frame by id, of those items that are regions of a picture or of a video's frame."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT id, path, frame FROM items WHERE box IS NOT NULL AND id IN (SELECT value FROM json_each(?))",
                (json.dumps([int(i) for i in ids]),),
            )
            return {id: (path, frame) for id, path, frame in rows}

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
                put_words(db, item.id, "file", item.words)

    def remove_items(self, ids: Iterable[int]) -> int:
        """Remove items with their words and vectors; how many there were. Ids that do not exist are passed over."""
        wanted = json.dumps(sorted({int(i) for i in ids}))
        with self._database.writing() as db:
            db.execute("DELETE FROM words WHERE rowid IN (SELECT value FROM json_each(?))", (wanted,))
            removed = db.execute("DELETE FROM items WHERE id IN (SELECT value FROM json_each(?))", (wanted,))
            return removed.rowcount

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
            put_words(db, id, "parse", "")
        if item.words:
            put_words(db, id, "file", item.words)
        return Put(int(id), added, changed)

    def _distinct(self, column: str) -> list[str]:
        with self._database.reading() as db:
            rows = db.execute(f"SELECT DISTINCT {column} FROM items WHERE {column} IS NOT NULL ORDER BY 1")
            return [row[0] for row in rows]
