"""The SQLite file under a catalogue: schema, connections, transactions, and errors as sentences.

Write-ahead logging lets any number of threads and processes read while one writes; a writer waits its turn.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reid.errors import GalleryError

SCHEMA_VERSION = 1
BUSY_SECONDS = 60.0
WORD_SOURCES = ("user", "file", "parse")

_MEND = "Put back a copy of it, or remove the gallery and index its pictures again."

# `box` and `frame`/`time` let an item be a region of a picture or of a video's frame. A picture that is referred to is
# one item by its path, a copied one by its name and bytes; equal bytes under two names share a file, but are two items.
# The vectors' ids only ever grow (AUTOINCREMENT), so that (count, highest id) says whether anything changed.
_SCHEMA = f"""
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    copied INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    stamp TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    identity TEXT,
    camera TEXT,
    box TEXT,
    frame INTEGER,
    time REAL
);
CREATE UNIQUE INDEX items_referred ON items (path, ifnull(frame, -1), ifnull(box, '')) WHERE copied = 0;
CREATE INDEX items_copied ON items (name, sha256) WHERE copied = 1;
CREATE INDEX items_camera ON items (camera);
CREATE INDEX items_identity ON items (identity);
CREATE INDEX items_sha256 ON items (sha256);
CREATE TABLE recipes (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    backend TEXT NOT NULL,
    dim INTEGER NOT NULL,
    parts INTEGER NOT NULL,
    part_dim INTEGER NOT NULL
);
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    recipe INTEGER NOT NULL REFERENCES recipes ON DELETE CASCADE,
    item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
    global_ BLOB NOT NULL,
    parts BLOB NOT NULL,
    visibility BLOB NOT NULL,
    UNIQUE (recipe, item)
);
CREATE INDEX vectors_item ON vectors (item);
CREATE VIRTUAL TABLE words USING fts5 (
    {", ".join(WORD_SOURCES)}, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);
"""


class Database:
    """Connections to one SQLite file, shared by threads.

    Args:
        file: the database.
        title: what errors call it, e.g. "Gallery 'street'".

    Raises:
        GalleryError: the file is missing, damaged or of a newer version.
    """

    def __init__(self, file: Path, title: str) -> None:
        self.file = file
        self.title = title
        self._free: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._inode: int | None = None
        with self.reading() as connection:
            row = connection.execute("SELECT value FROM facts WHERE key = 'uid'").fetchone()
        if row is None:
            raise GalleryError(f"{title} is damaged: {file} has lost what it is. {_MEND}")
        self.uid: str = row[0]
        """A name for this very database that no other one, earlier or later at the same place, has."""

    @staticmethod
    def create(file: Path, title: str) -> None:
        """Lay out an empty database in a new file."""
        with _sentences(title, file):
            connection = sqlite3.connect(file, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
                connection.execute("INSERT INTO facts VALUES ('uid', ?)", (uuid.uuid4().hex,))
            finally:
                connection.close()

    @property
    def busy(self) -> bool:
        """True inside `reading` or `writing` of this thread."""
        return getattr(self._mine, "transaction", None) is not None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection whose statements all see one state of the database; inside `writing`, that transaction's."""
        yield from self._transaction("BEGIN")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is kept, or nothing. Nested ones join the outermost."""
        yield from self._transaction("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Close the connections that are not in use; the next use opens new ones."""
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        outer: tuple[sqlite3.Connection, str] | None = getattr(self._mine, "transaction", None)
        if outer is not None:
            if begin != "BEGIN" and outer[1] == "BEGIN":
                raise RuntimeError("a write inside a read transaction could wait for itself")
            yield outer[0]
            return
        with _sentences(self.title, self.file):
            connection = self._take()
            try:
                connection.execute(begin)
                self._mine.transaction = connection, begin
                try:
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    self._mine.transaction = None
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            except BaseException:
                connection.close()
                raise
            with self._lock:
                self._free.append(connection)

    def _take(self) -> sqlite3.Connection:
        try:
            inode = self.file.stat().st_ino
        except OSError:
            inode = None
        if inode is None or inode != (self._inode or inode):
            self.close()  # else one would go on with a file that nobody else sees
            raise GalleryError(
                f"{self.title} is gone: it was removed or renamed; {self.file} is not its catalogue now."
            )
        self._inode = inode
        with self._lock:
            if self._free:
                return self._free.pop()
        try:
            return self._connect("mode=rw")  # without `c`: a file that vanished must not come back empty
        except sqlite3.OperationalError as error:
            # Where nothing can be written, write-ahead logging has no place for its index; but then nothing changes
            # either, and the file can be read alone, unless some changes still wait in the log.
            log = self.file.with_name(f"{self.file.name}-wal")
            if "readonly" not in str(error) and "unable to open" not in str(error):
                raise
            if log.exists() and log.stat().st_size:
                raise
            return self._connect("mode=ro&immutable=1")

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.file.absolute().as_uri()}?{mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise GalleryError(f"{self.title} was made by a newer version of Partwise; update to open it.")
            if version < 1:
                raise GalleryError(f"{self.title} is damaged: {self.file} holds no catalogue. {_MEND}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def _sentences(title: str, file: Path) -> Iterator[None]:
    """Turn SQLite's errors into sentences that say what to do."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where the text of an error is itself damaged
        cause = " ".join(str(error).split())
        if "locked" in cause or "busy" in cause:
            text = f"{title} is being written by another process for over {BUSY_SECONDS:.0f} seconds; try again later."
        elif "is full" in cause:
            text = f"{title} cannot be written: the disk is full. Make room and try again; what was stored is kept."
        elif "readonly" in cause:
            text = (
                f"{title} cannot be written: {file.parent} is read-only. "
                "Make it writable, or set PARTWISE_DATA to another folder."
            )
        elif "unable to open" in cause or "disk I/O" in cause:
            text = f"{title} cannot be read or written: {file} ({cause}). Check the disk and the folder's permissions."
        else:
            text = f"{title} is damaged: {file} cannot be read ({cause}). {_MEND}"
        raise GalleryError(text) from error
