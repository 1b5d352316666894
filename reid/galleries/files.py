"""Picture files on the way into a gallery: read once, hashed, and kept under their hash where they are copied."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from functools import lru_cache
from pathlib import Path

from reid.errors import GalleryError, ImageError
from reid.images import MAX_BYTES

PICTURES = "pictures"


def stamp(path: str | os.PathLike[str]) -> str:
    """Size and times of a file in one word: while it stays the same, the bytes are taken to be the same.

    Raises:
        OSError: there is no such file.
    """
    status = os.stat(path)
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def sha256(data: bytes) -> str:
    """64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def read(path: str | os.PathLike[str], name: str | None = None) -> tuple[bytes, str]:
    """The bytes of a picture file, and its stamp from before reading.

    Raises:
        ImageError: it cannot be read, or is too big to be a picture that is taken.
    """
    name = name or os.fspath(path)
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES:
            mark = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"
            with open(path, "rb") as file:
                return file.read(), mark
    except FileNotFoundError:
        raise ImageError(f"{name} does not exist.") from None
    except OSError as error:
        raise ImageError(f"{name} cannot be read: {error.strerror}.") from error
    if stat.S_ISREG(status.st_mode):
        raise ImageError(
            f"{name} is too big: {status.st_size / 1e6:.1f} MB, and at most {MAX_BYTES / 1e6:g} MB are taken."
        )
    raise ImageError(f"{name} is no regular file, so it is not read as a picture.")


def canonical(path: str | os.PathLike[str]) -> str:
    """Absolute, with links in the folders followed: one file has one path. A picture that is a link keeps its name."""
    folder, name = os.path.split(os.fspath(path))
    return os.path.join(_real(os.path.abspath(folder)), name)


@lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def suffix_of(name: str | Path) -> str:
    """A file name's suffix in small letters, or nothing where it is an odd one."""
    suffix = os.path.splitext(name)[1].lower()
    return suffix if suffix.isascii() and suffix[1:].isalnum() and len(suffix) <= 6 else ""


def keep(folder: Path, data: bytes, digest: str, name: str | Path) -> str:
    """Write bytes under their hash into a gallery's folder, unless they are there; the path relative to the folder.

    Raises:
        GalleryError: the disk is full or read-only.
    """
    relative = f"{PICTURES}/{digest[:2]}/{digest}{suffix_of(name)}"
    target = folder / relative
    try:
        if target.exists() and target.stat().st_size == len(data):
            return relative
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as file:
            try:
                file.write(data)
                file.close()
                os.chmod(file.name, 0o644)
                os.replace(file.name, target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise GalleryError(
            f"A picture cannot be copied to {folder}: {error.strerror or error}. "
            "Make room or make it writable; what was stored is kept."
        ) from error
    return relative
