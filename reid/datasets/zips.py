"""Zip archives of pictures, from anybody: nothing is written outside the folder, and nothing swells without end."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from reid.errors import DatasetError
from reid.images import MAX_BYTES, is_image_name

MAX_FILES = 100_000
MAX_TOTAL_BYTES = 4_000_000_000
_TABLES = (".csv",)  # words and manifests come along


def read_zip(
    path: str | os.PathLike[str],
    into: str | os.PathLike[str],
    *,
    max_files: int = MAX_FILES,
    max_file_bytes: int = MAX_BYTES,
    max_total_bytes: int = MAX_TOTAL_BYTES,
    on_skip: Callable[[str, str], None] | None = None,
) -> list[Path]:
    """Unpack the pictures (and CSV tables) of a zip archive, folders kept.

    The whole list is checked before the first byte is written. Links, hidden files and what is no picture by its
    suffix are left out; existing files are not overwritten.

    Args:
        path: the archive.
        into: the folder to unpack to; made where missing.
        max_files: most entries.
        max_file_bytes: largest unpacked file; a larger one is left out.
        max_total_bytes: most unpacked bytes of all that is taken.
        on_skip: called with the name of each entry that is left out and why.

    Returns:
        The unpacked files, in the order of the archive.

    Raises:
        DatasetError: no zip archive, damaged, encrypted, too big, or with an entry that points out of the folder.
    """
    path, into = Path(path), Path(into)
    skip = on_skip or (lambda name, reason: None)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _checked(path, archive.infolist(), max_files, max_file_bytes, max_total_bytes, skip)
            written: list[Path] = []
            for name, entry in entries.items():
                target = into / name
                if target.exists():
                    skip(name, "a file of that name is already there")
                    continue
                try:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    # zipfile stops at the size that was declared and checked, whatever the data would swell to.
                    with archive.open(entry) as source, open(target, "xb") as file:
                        shutil.copyfileobj(source, file)
                except (FileExistsError, NotADirectoryError):
                    skip(name, "a file of its folder's name is already there")
                except Exception as error:  # the decompressors raise many kinds; a full disk has a number
                    target.unlink(missing_ok=True)
                    if isinstance(error, OSError) and error.errno is not None:
                        raise
                    skip(name, "damaged in the archive")
                else:
                    written.append(target)
            return written
    except zipfile.BadZipFile as error:
        raise DatasetError(f"{path} is no zip archive, or cut off: {error}.") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be unpacked: {error.strerror or error}.") from error


def _checked(
    path: Path,
    entries: list[zipfile.ZipInfo],
    max_files: int,
    max_file_bytes: int,
    max_total_bytes: int,
    skip: Callable[[str, str], None],
) -> dict[str, zipfile.ZipInfo]:
    """The entries to unpack by their name, all checks done on the archive's own list."""
    if len(entries) > max_files:
        raise DatasetError(f"{path} holds {len(entries)} entries; at most {max_files} are taken.")
    taken: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename.replace("\\", "/")
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or ":" in name or "\0" in name:
            raise DatasetError(f"{path} is refused: its entry {name!r} points outside the folder it is unpacked to.")
        if entry.is_dir() or any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        if stat.S_ISLNK(entry.external_attr >> 16):
            skip(name, "a link")
        elif not is_image_name(name) and PurePosixPath(name).suffix.lower() not in _TABLES:
            skip(name, "no picture")
        elif entry.flag_bits & 1:
            raise DatasetError(f"{path} is encrypted; unpack it and pack it without a password.")
        elif entry.file_size > max_file_bytes:
            skip(name, f"too big: {entry.file_size / 1e6:.1f} MB, at most {max_file_bytes / 1e6:g} MB are taken")
        elif name in taken:
            skip(name, "a second entry of that name")
        else:
            taken[name] = entry
    total = sum(entry.file_size for entry in taken.values())
    if total > max_total_bytes:
        raise DatasetError(
            f"{path} would unpack to {total / 1e9:.1f} GB, and at most {max_total_bytes / 1e9:g} GB are taken."
        )
    return taken
